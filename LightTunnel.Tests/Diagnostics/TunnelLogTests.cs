using System.Globalization;
using System.Net;
using LightTunnel.Diagnostics;
using LightTunnel.Tests.Configuration;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Diagnostics;

public sealed class TunnelLogTests
{
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero));

    [Fact]
    public void Write_Entry_IsKeptWithTimeLevelAndPlainWords()
    {
        using var log = new TunnelLog("hub", _time);
        log.Information("{Peer} came online at {Address} after {Count} tries", "laptop", IPAddress.Parse("10.0.0.20"), 3);
        _time.Advance(TimeSpan.FromSeconds(1));
        log.Error(new InvalidOperationException("two\nlines"), "Broken");
        Assert.Equal(
            [
                new LogEntry(
                    1, new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero), LogLevel.Information, "hub",
                    "laptop came online at 10.0.0.20 after 3 tries", null),
                new LogEntry(
                    2, new DateTimeOffset(2026, 1, 2, 3, 4, 6, TimeSpan.Zero), LogLevel.Error, "hub", "Broken",
                    "InvalidOperationException: two lines"),
            ],
            log.Read());
    }

    [Fact]
    public void Write_ValueWithLineBreak_StaysOneLine()
    {
        using var log = new TunnelLog("hub", _time);
        log.Warning("The server says: {Text}", "a\r\n2026-01-01 [Error] forged\u2028x");
        Assert.Equal("The server says: a  2026-01-01 [Error] forged x", Assert.Single(log.Read()).Message);
    }

    [Fact]
    public void MinimumLevel_Changed_HoldsFromThenOn()
    {
        using var log = new TunnelLog("hub", _time);
        log.Debug("one");
        Assert.False(log.IsEnabled(LogLevel.Debug));
        log.MinimumLevel = LogLevel.Debug;
        log.Debug("two");
        log.MinimumLevel = LogLevel.Error;
        log.Warning("three");
        log.Error(null, "four");
        Assert.Equal(["two", "four"], log.Read().Select(entry => entry.Message));
    }

    [Fact]
    public void Read_MoreThanTheRing_KeepsTheLatest()
    {
        using var log = new TunnelLog("hub", _time, capacity: 10);
        for (int i = 1; i <= 25; i++)
            log.Write(i % 5 == 0 ? LogLevel.Warning : LogLevel.Information, null, "{Number}", i);
        Assert.Equal(Enumerable.Range(16, 10), log.Read().Select(entry => (int)entry.Sequence));
        Assert.Equal(["20", "25"], log.Read(0, LogLevel.Warning).Select(entry => entry.Message));
        Assert.Equal(["24", "25"], log.Read(tail: 2).Select(entry => entry.Message));
        Assert.Equal(["25"], log.Read(24).Select(entry => entry.Message));
        Assert.Equal(["20"], log.Read(0, LogLevel.Warning).Take(1).Select(entry => entry.Message));
        Assert.Empty(log.Read(25));
        Assert.Empty(log.Read(long.MaxValue));
        Assert.Empty(log.Read(tail: 0));
        Assert.Equal(10, log.Read(-5).Count);
    }

    [Fact]
    public async Task WaitAsync_NothingYet_ReturnsWithTheFirstEntryThatMatters()
    {
        using var log = new TunnelLog("hub", _time);
        log.Warning("before");
        Assert.Equal("before", Assert.Single(await log.WaitAsync(0, LogLevel.Debug, TestContext.Current.CancellationToken)).Message);
        Task<IReadOnlyList<LogEntry>> waiting = log.WaitAsync(1, LogLevel.Warning, TestContext.Current.CancellationToken);
        log.Information("unimportant");
        Assert.False(waiting.IsCompleted);
        log.Warning("after");
        Assert.Equal("after", Assert.Single(await waiting).Message);
    }

    [Fact]
    public async Task WaitAsync_LogEndsOrCallerGivesUp_Returns()
    {
        var log = new TunnelLog("hub", _time);
        using var cancellation = new CancellationTokenSource();
        Task<IReadOnlyList<LogEntry>> cancelled = log.WaitAsync(0, LogLevel.Debug, cancellation.Token);
        Task<IReadOnlyList<LogEntry>> ended = log.WaitAsync(0, LogLevel.Debug, TestContext.Current.CancellationToken);
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);
        log.Dispose();
        log.Dispose();
        Assert.Empty(await ended);
        Assert.Empty(await log.WaitAsync(0, LogLevel.Debug, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Write_ManyThreads_NumbersWithoutGaps()
    {
        using var log = new TunnelLog("hub", _time, capacity: 4000);
        await Task.WhenAll(Enumerable.Range(0, 4).Select(thread => Task.Run(
            () =>
            {
                for (int i = 0; i < 1000; i++)
                    log.Information("{Line}", (thread * 1000) + i);
            },
            TestContext.Current.CancellationToken)));
        Assert.Equal(Enumerable.Range(1, 4000).Select(number => (long)number), log.Read().Select(entry => entry.Sequence));
    }

    [Fact]
    public void Path_Given_WritesAFileForTheOwnerOnly()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "logs", "hub.log");
        using (var log = new TunnelLog("hub", _time, path: path))
        {
            log.Information("✓ {Peer} is here", "laptop");
            log.Error(new InvalidOperationException("cause"), "Broken");
        }

        string file = Assert.Single(Directory.GetFiles(Path.Combine(folder.Path, "logs")));
        Assert.Matches(@"hub\d{8}\.log$", file);
        string[] lines = File.ReadAllLines(file);
        string time = _time.GetLocalNow().ToString("yyyy-MM-dd HH:mm:ss.fff zzz", CultureInfo.InvariantCulture);
        Assert.Equal($"{time} [Information] ✓ laptop is here", lines[0]);
        Assert.Equal($"{time} [Error] Broken", lines[1]);
        Assert.Contains("InvalidOperationException: cause", lines[2], StringComparison.Ordinal);
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
    }

    [Fact]
    public void Path_Unwritable_IsToldBeforeTheStart()
    {
        using var folder = new TemporaryFolder();
        string file = folder.Write("file", "x");
        foreach (string path in new[] { Path.Combine(file, "hub.log"), folder.Path, "/proc/nowhere/hub.log", string.Empty })
        {
            LightTunnelException exception = Assert.Throws<LightTunnelException>(() => new TunnelLog("hub", _time, path: path));
            Assert.Equal(LightTunnelError.FileAccess, exception.Error);
            Assert.Contains(path, exception.Message, StringComparison.Ordinal);
            Assert.NotEmpty(exception.RecommendedAction);
        }
    }

    [Fact]
    public void ContractLog_EveryLine_HasExactlyThePromisedWords()
    {
        using var log = new TunnelLog("hub", _time, LogLevel.Debug);
        IPAddress peer = IPAddress.Parse("10.0.0.20");
        log.PeerInfoReceived(peer, IPEndPoint.Parse("1.2.3.4:19001"), IPEndPoint.Parse("192.168.1.100:19001"));
        log.P2PEstablished(peer, IPEndPoint.Parse("192.168.1.100:19001"));
        log.DirectRouteEstablished(peer);
        log.P2PNotEstablished(peer);
        log.RoutingStats(1, 1, 0, 0);
        log.RoutingStatsOfPeer(peer, ContractLog.RouteDirect, 150, ContractLog.StatusLocal, false);
        log.RoutingStatsOfPeer(peer, ContractLog.RouteServer, 70, ContractLog.StatusDisconnected, true);
        log.RoutingStatsOfPeer(peer, ContractLog.RouteRelay, 100, ContractLog.StatusConnected, false);
        log.Relaying(IPAddress.Parse("10.0.0.2"), peer);
        log.PacketForServerItself(IPAddress.Parse("10.0.0.1"));
        Assert.Equal(
            [
                (LogLevel.Information, "Received peer info from server: 10.0.0.20 at 1.2.3.4:19001 (local: 192.168.1.100:19001)"),
                (LogLevel.Information, "P2P connection established with 10.0.0.20 via 192.168.1.100:19001"),
                (LogLevel.Information, "✓ P2P direct route established to 10.0.0.20 (via server broadcast)"),
                (LogLevel.Information, "⚠ P2P connection to 10.0.0.20 not established, will use server relay"),
                (LogLevel.Information, "Routing stats: 1 peers, 1 direct, 0 relay, 0 server"),
                (LogLevel.Information, "  Peer 10.0.0.20: route=P2P-DIRECT quality=150 status=connected-local throughServer=false"),
                (LogLevel.Information, "  Peer 10.0.0.20: route=SERVER-RELAY quality=70 status=disconnected throughServer=true"),
                (LogLevel.Information, "  Peer 10.0.0.20: route=P2P-RELAY quality=100 status=connected throughServer=false"),
                (LogLevel.Debug, "Relaying packet 10.0.0.2 → 10.0.0.20 (server relay mode)"),
                (LogLevel.Warning,
                    "WARNING: Unexpected packet from TUN destined for server itself (dstIP=10.0.0.1). This might indicate a routing loop."),
            ],
            log.Read().Select(entry => (entry.Level, entry.Message)));
    }
}
