using LightTunnel.Diagnostics;
using LightTunnel.Tests.Configuration;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Diagnostics;

/// <summary>No flood pushes out of the logs what matters.</summary>
public sealed class SecurityLogTests
{
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero));

    [Fact]
    public void Write_SameLineByTheThousand_IsCollapsed_AndOthersStay()
    {
        using var log = new TunnelLog("hub", _time, capacity: 100);
        log.Information("{Client} joined", "bob");
        for (int i = 0; i < 172_869; i++)
            log.Information("Client {Client} joined", "mallory");
        log.Information("Client {Client} joined", "carol");
        _time.Advance(LogCollapser.Interval);

        string[] lines = [.. log.Read().Select(entry => entry.Message)];

        Assert.Equal(LogCollapser.Burst, lines.Count(line => line == "Client mallory joined"));
        Assert.Contains("bob joined", lines);
        Assert.Contains("Client carol joined", lines);
        Assert.Equal("… 172,859 more like this in 20 s: Client {Client} joined (mallory)", lines[^1]);
        log.Information("Client {Client} joined", "mallory");
        Assert.Equal("Client mallory joined", log.Read()[^1].Message);
    }

    [Fact]
    public void Security_Flood_LeavesOtherKindsAndOtherSubjects()
    {
        using var log = new TunnelLog("hub", _time);
        log.Security(SecurityEvent.KeyChanged, "nas", "The key of nas is another");
        for (int i = 0; i < 100_000; i++)
            log.Security(SecurityEvent.Flood, $"m{i % 7}", $"m{i % 7} floods");
        for (int i = 0; i < 100_000; i++)
            log.Security(SecurityEvent.Refused, $"r{i}", $"r{i} was refused");
        log.Security(SecurityEvent.PrefixRefused, "hub", "The server gives 8.8.8.1/24");

        IReadOnlyList<LogEntry> kept = log.ReadSecurity();

        Assert.Contains(kept, entry => entry.Message == "KeyChanged: The key of nas is another");
        Assert.Contains(kept, entry => entry.Message == "PrefixRefused: The server gives 8.8.8.1/24");
        Assert.Equal(7 * SecurityLog.PerSubject, kept.Count(entry => entry.Message.StartsWith("Flood", StringComparison.Ordinal)));
        Assert.Equal(SecurityLog.PerKind, kept.Count(entry => entry.Message.StartsWith("Refused", StringComparison.Ordinal)));
        _time.Advance(TimeSpan.FromHours(1));
        log.Security(SecurityEvent.Flood, "m1", "m1 floods");
        Assert.Contains(
            log.ReadSecurity(), entry => entry.Message.StartsWith("Refused: 99,940 more of this kind", StringComparison.Ordinal));
        Assert.Equal("Flood: m1 floods", log.ReadSecurity(tail: 1)[0].Message);
    }

    [Fact]
    public void Security_Path_IsAFileForTheOwnerOnly()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "security.log");
        using (var log = new TunnelLog("hub", _time, securityPath: path))
            log.Security(SecurityEvent.KeyChanged, "nas", "The key of nas is another");

        Assert.EndsWith(
            "[Warning] KeyChanged: The key of nas is another", Assert.Single(File.ReadAllLines(path)), StringComparison.Ordinal);
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
    }
}
