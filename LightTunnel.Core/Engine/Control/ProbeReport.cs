using System.Buffers.Binary;
using LightTunnel.Membership;
using LightTunnel.Routing;

namespace LightTunnel.Engine.Control;

/// <summary>
/// What a ping tells beside asking: the round trip (microseconds, u32) and the loss (1/10,000, u16) that its sender has measured so far,
/// so that one side's probes inform both; an empty body means "nothing measured yet". Its answer tells the time (microseconds since 1970,
/// i64) and the longest packet that passes the answerer's path (u16, 0 for unknown). Both may be longer, and an answer is as long as its
/// ping: so a test finds out what size passes in both directions. What stands behind a ping's body is padding, and its answer short: so a
/// path is measured in one.
/// </summary>
internal static class ProbeReport
{
    private const int PingSize = 6;
    private const int PongSize = 10;
    private const int ClockSize = 8;
    private const double LossUnit = 10_000;

    /// <summary>A ping frame with this node's measurements.</summary>
    /// <param name="transaction">What its answer is known by.</param>
    /// <param name="monitor">The measurements.</param>
    /// <param name="length">Length of the frame at least, bytes; without measurements it is as short as can be, as zeros would be taken
    /// for some.</param>
    public static byte[] Ping(uint transaction, PathMonitor monitor, int length = 0)
    {
        byte[] body = [];
        if (monitor.RoundTrip is { } roundTrip)
        {
            body = new byte[Math.Max(PingSize, length - ControlFrame.HeaderLength)];
            BinaryPrimitives.WriteUInt32BigEndian(body, (uint)Math.Min(roundTrip.TotalMicroseconds, uint.MaxValue));
            BinaryPrimitives.WriteUInt16BigEndian(body.AsSpan(4), (ushort)((monitor.Loss ?? 0) * LossUnit));
        }

        byte[] frame = new byte[ControlFrame.HeaderLength + body.Length];
        new ControlFrame(ControlFrameKind.Ping, 0, transaction, body).Write(frame);
        return frame;
    }

    /// <summary>The frame that answers a ping.</summary>
    /// <param name="ping">What is answered.</param>
    /// <param name="clock">The time.</param>
    /// <param name="mtu">Longest packet that passes this node's path to the asker, bytes; null when it is not known.</param>
    public static byte[] Pong(in ControlFrame ping, DateTimeOffset clock, int? mtu = null)
    {
        byte[] body = new byte[Math.Max(PongSize, ping.Body.Length)];
        BinaryPrimitives.WriteInt64BigEndian(body, (clock - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond);
        BinaryPrimitives.WriteUInt16BigEndian(body.AsSpan(ClockSize), (ushort)(mtu ?? 0));
        byte[] frame = new byte[ControlFrame.HeaderLength + body.Length];
        new ControlFrame(ControlFrameKind.Pong, 0, ping.Number, body).Write(frame);
        return frame;
    }

    /// <summary>Notes what a ping tells of the path; a longer body is of a newer version, or of a test, and holds these first.</summary>
    public static void Read(ReadOnlySpan<byte> body, Peer peer)
    {
        if (body.Length < PingSize)
            return;
        peer.ReportedRoundTrip = TimeSpan.FromMicroseconds(BinaryPrimitives.ReadUInt32BigEndian(body));
        peer.ReportedLoss = Math.Min(BinaryPrimitives.ReadUInt16BigEndian(body[4..]) / LossUnit, 1);
    }

    /// <summary>The time that a pong tells; null of an older version, or when it is none.</summary>
    public static DateTimeOffset? ReadClock(ReadOnlySpan<byte> body)
    {
        if (body.Length < ClockSize)
            return null;
        long microseconds = BinaryPrimitives.ReadInt64BigEndian(body);
        return microseconds < 0 || microseconds > (DateTimeOffset.MaxValue - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond
            ? null
            : DateTimeOffset.UnixEpoch.AddTicks(microseconds * TimeSpan.TicksPerMicrosecond);
    }

    /// <summary>The longest packet that passes the answerer's path, as a pong tells; null when it does not.</summary>
    public static int? ReadMtu(ReadOnlySpan<byte> body) =>
        body.Length >= PongSize && BinaryPrimitives.ReadUInt16BigEndian(body[ClockSize..]) is var mtu and not 0 ? mtu : null;
}
