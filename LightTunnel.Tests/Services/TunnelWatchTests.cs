using LightTunnel.Host;
using LightTunnel.Membership;
using LightTunnel.Services;
using LightTunnel.Tests.Configuration;
using LightTunnel.Tests.Management;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Services;

/// <summary>What the program of services does while its tunnel runs.</summary>
public sealed class TunnelWatchTests : IDisposable
{
    private static readonly Version Running = new(1, 2, 3), Newer = new(1, 3, 0);

    private readonly TemporaryFolder _folder = new();
    private readonly FakeTimeProvider _time = new();
    private readonly StringWriter _log = new();
    private readonly FakeTunnel _tunnel = new("office", TunnelRole.Server);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _log.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [InlineData(null, null)]
    [InlineData("", null)]
    [InlineData("0", null)]
    [InlineData("-5", null)]
    [InlineData("nonsense", null)]
    [InlineData("60000000", 30.0)]
    public void WatchdogInterval_IsHalfOfWhatSystemdAllows(string? microseconds, double? seconds) =>
        Assert.Equal(seconds, TunnelWatch.WatchdogInterval(microseconds)?.TotalSeconds);

    [Fact]
    public async Task NewerVersion_StopsTheTunnelOnce_AndSaysSo()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Where a version is installed is said by a link.");
        var updates = new HostUpdateWatch(new HostInstallation(_folder.Path), Running);
        var watch = new TunnelWatch(new NotifiedSystemd(), updates, new TextLog(_log, isJournal: true), _time);

        Task watching = watch.RunAsync(_tunnel, Token);
        Assert.Null(watch.NewerVersion);
        Install(Newer);
        while (!watching.IsCompleted)
        {
            _time.Advance(TimeSpan.FromMinutes(1));
            await Task.WhenAny(watching, Task.Delay(20, Token));
        }

        await watching;
        Assert.Equal(Newer, watch.NewerVersion);
        Assert.True(_tunnel.IsStopped);
        Assert.StartsWith("<6>LightTunnel 1.3.0 is there", _log.ToString(), StringComparison.Ordinal);
    }

    private void Install(Version version)
    {
        string program = _folder.File($"{version}/{HostPayload.ProgramName}");
        Directory.CreateDirectory(Path.GetDirectoryName(program)!);
        File.WriteAllText(program, string.Empty);
        File.CreateSymbolicLink(_folder.File("current"), version.ToString());
    }
}
