using LightTunnel.Diagnostics;
using LightTunnel.Tun;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Tun;

/// <summary>What the driver says, as it says it: by the unmanaged callback.</summary>
public sealed unsafe class WintunLogTests
{
    private readonly FakeTimeProvider _time = new(DateTimeOffset.UnixEpoch);

    [Theory]
    [InlineData(0, LogLevel.Information)]
    [InlineData(1, LogLevel.Warning)]
    [InlineData(2, LogLevel.Error)]
    [InlineData(77, LogLevel.Error)]
    public void Message_IsALineOfEachTunnelThatListens(int level, LogLevel expected)
    {
        using var first = new TunnelLog("first", _time);
        using var second = new TunnelLog("second", _time);
        using IDisposable one = WintunLog.Listen(first);
        using IDisposable two = WintunLog.Listen(second);

        Say(level, "Using existing driver 0.14");

        foreach (TunnelLog log in new[] { first, second })
        {
            LogEntry entry = Assert.Single(log.Read(), entry => entry.Message == "Wintun: Using existing driver 0.14");
            Assert.Equal(expected, entry.Level);
        }
    }

    [Fact]
    public void Message_AfterTheTunnelHasEnded_IsNotItsOwnAnyMore()
    {
        using var ended = new TunnelLog("ended", _time);
        using var running = new TunnelLog("running", _time);
        using IDisposable other = WintunLog.Listen(running);
        WintunLog.Listen(ended).Dispose();

        Say(1, "the ring is full");

        Assert.Empty(ended.Read());
        Assert.Contains(running.Read(), entry => entry.Message == "Wintun: the ring is full");
    }

    [Fact]
    public void MessagesByTheThousand_LeaveRoomForOthers()
    {
        using var log = new TunnelLog("flooded", _time);
        log.Information("before");
        using IDisposable listening = WintunLog.Listen(log);

        for (int i = 0; i < 10_000; i++)
            Say(2, $"failed {i}");

        Assert.InRange(log.Read().Count, 2, 2 * LogCollapser.Burst);
        Assert.Contains(log.Read(), entry => entry.Message == "before");
    }

    [Theory]
    [InlineData(null, "Wintun: ")]
    [InlineData("two\r\nlines {Message}", "Wintun: two  lines {Message}")]
    public void Message_ThatIsNone_OrLooksLikeTwo_IsOneLine(string? text, string expected)
    {
        using var log = new TunnelLog("odd", _time);
        using IDisposable listening = WintunLog.Listen(log);

        Say(1, text);

        Assert.Contains(log.Read(), entry => entry.Message == expected);
    }

    [Fact]
    public void MessageWithoutEnd_IsCutShort()
    {
        using var log = new TunnelLog("long", _time);
        using IDisposable listening = WintunLog.Listen(log);

        Say(1, new string('x', 100_000));

        Assert.Contains(log.Read(), entry => entry.Message == $"Wintun: {new string('x', WintunLog.LongestMessage)}…");
    }

    private static void Say(int level, string? text)
    {
        fixed (char* message = text)
            WintunLog.Callback(level, 0, message);
    }
}
