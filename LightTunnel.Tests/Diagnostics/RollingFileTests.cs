using LightTunnel.Diagnostics;
using LightTunnel.Tests.Configuration;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Diagnostics;

/// <summary>Logs are never longer than they may be, whatever happens to their files.</summary>
public sealed class RollingFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 2, 12, 0, 0, TimeSpan.Zero));

    private string LogPath => Path.Combine(_folder.Path, "hub.log");

    private string[] Files => [.. Directory.GetFiles(_folder.Path).Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal)];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Security_LongerThanAFile_BeginsTheNext_AndKeepsSeven()
    {
        string text = new('x', 100_000);
        using (var log = new TunnelLog("hub", _time, securityPath: LogPath))
        {
            for (int i = 0; i < 100; i++)
            {
                log.Security(SecurityEvent.Refused, $"m{i}", $"{i} {text}");
                _time.Advance(TimeSpan.FromHours(1));
            }
        }

        // Nine lines of 100,000 characters have room in 1 MB.
        Assert.Equal([.. Enumerable.Range(5, 7).Select(i => $"hub_{i:000}.log")], Files);
        Assert.All(Directory.GetFiles(_folder.Path), file => Assert.InRange(new FileInfo(file).Length, 1, 1_000_000));
        Assert.Contains("Refused: 99 x", File.ReadAllText(Path.Combine(_folder.Path, "hub_011.log")), StringComparison.Ordinal);
    }

    [Fact]
    public void Path_EachDay_HasAFile_WhichOtherTunnelsShare()
    {
        using var first = new TunnelLog("hub", _time, path: LogPath);
        using var second = new TunnelLog("home", _time, path: LogPath);
        for (int day = 0; day < 9; day++)
        {
            for (int i = 0; i < 3; i++)
            {
                first.Information("{Line} of the first", $"{day} {i}");
                second.Information("{Line} of the second", $"{day} {i}");
            }

            _time.Advance(TimeSpan.FromDays(1));
        }

        if (OperatingSystem.IsWindows())
            return;
        Assert.Equal([.. Enumerable.Range(4, 7).Select(day => $"hub202601{day:00}.log")], Files);
        Assert.Equal(
            ["8 0 of the first", "8 0 of the second", "8 1 of the first", "8 1 of the second", "8 2 of the first", "8 2 of the second"],
            File.ReadAllLines(Path.Combine(_folder.Path, "hub20260110.log")).Select(line => line[(line.IndexOf(']') + 2)..]));
    }

    [Fact]
    public void File_ThatIsMovedAway_IsMadeAnew_AndAFolderThatIsGone_LosesWhatIsLoggedMeanwhile()
    {
        using var log = new TunnelLog("hub", _time, path: Path.Combine(_folder.Path, "logs", "hub.log"));
        log.Information("before");
        Directory.Delete(Path.Combine(_folder.Path, "logs"), recursive: true);
        _time.Advance(TimeSpan.FromDays(1));
        log.Information("lost");
        Directory.CreateDirectory(Path.Combine(_folder.Path, "logs"));
        log.Information("lost as well");
        _time.Advance(TimeSpan.FromSeconds(11));
        log.Information("after");

        Assert.EndsWith(
            "[Information] after",
            Assert.Single(File.ReadAllLines(Path.Combine(_folder.Path, "logs", "hub20260103.log"))), StringComparison.Ordinal);
    }
}
