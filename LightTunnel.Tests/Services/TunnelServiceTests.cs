using LightTunnel.Host;
using LightTunnel.Services;
using LightTunnel.Tests.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Services;

/// <summary>What a service tells of how its tunnel does.</summary>
public sealed class TunnelServiceTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly NotifiedSystemd _systemd = new();
    private readonly StringWriter _log = new();

    public void Dispose()
    {
        _log.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task AWrongConfiguration_IsNeverToldAsReady_HoweverSlowlyTheProcessEnds()
    {
        string path = _folder.File("office.yaml");
        await File.WriteAllTextAsync(path, "role: server\nmaxClient: 3\n", TestContext.Current.CancellationToken);
        var text = new TextLog(_log, isJournal: false);
        var updates = new HostUpdateWatch(new HostInstallation(_folder.Path), new Version(1, 2, 3));
        using var life = new SlowEnd();
        using var service = new TunnelService(
            path, text, life, _systemd, new TunnelWatch(_systemd, updates, text, new FakeTimeProvider()));

        await service.StartAsync(life.ApplicationStopping);
        Assert.Empty(_systemd.Told);
        Assert.Equal(ExitStatus.Configuration, service.Status);

        life.Release();
        await service.StopAsync(TestContext.Current.CancellationToken);
        Assert.Equal(["STOPPING=1"], _systemd.Told);
        Assert.Contains("'maxClient' is not a key of this file", _log.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task HowItEnded_IsToldToAManagerThatAsksNothing_WithTheLastWords()
    {
        string path = _folder.File("office.yaml");
        await File.WriteAllTextAsync(path, "role: server\nmaxClient: 3\n", TestContext.Current.CancellationToken);
        var duties = new Duties();

        await RunAsync(path, duties);

        Assert.Equal(ExitStatus.Configuration, duties.Ended);
        Assert.Contains("'maxClient' is not a key of this file", duties.Words, StringComparison.Ordinal);
    }

    [Fact]
    public async Task NewerVersion_IsTakenBeforeTheTunnelIsStarted()
    {
        var duties = new Duties { HasNewerVersion = true };

        await RunAsync(_folder.File("missing.yaml"), duties);

        Assert.Equal((ExitStatus.Restart, null), (duties.Ended, duties.Words));
        Assert.DoesNotContain("READY=1", _systemd.Told);
    }

    private async Task RunAsync(string path, Duties duties)
    {
        var text = new TextLog(_log, isJournal: false);
        var updates = new HostUpdateWatch(new HostInstallation(_folder.Path), new Version(1, 2, 3));
        using var life = new SlowEnd();
        life.Release();
        using var service = new TunnelService(
            path, text, life, _systemd, new TunnelWatch(_systemd, updates, text, new FakeTimeProvider()), duties);
        await service.StartAsync(life.ApplicationStopping);
        await service.StopAsync(TestContext.Current.CancellationToken);
    }

    /// <summary>Notes what it is told.</summary>
    private sealed class Duties : IServiceDuties
    {
        public bool HasNewerVersion { get; init; }

        public ExitStatus? Ended { get; private set; }

        public string? Words { get; private set; }

        public bool TakeUpdate() => HasNewerVersion;

        public void End(ExitStatus status, string? words) => (Ended, Words) = (status, words);
    }

    /// <summary>A process whose end is announced to everybody at once, while who asked for it still waits.</summary>
    private sealed class SlowEnd : IHostApplicationLifetime, IDisposable
    {
        private readonly CancellationTokenSource _stopping = new();
        private readonly ManualResetEventSlim _released = new();

        public CancellationToken ApplicationStarted => CancellationToken.None;

        public CancellationToken ApplicationStopping => _stopping.Token;

        public CancellationToken ApplicationStopped => CancellationToken.None;

        public void Release() => _released.Set();

        public void StopApplication()
        {
            _stopping.Cancel();
            _released.Wait();
        }

        public void Dispose()
        {
            _released.Dispose();
            _stopping.Dispose();
        }
    }
}
