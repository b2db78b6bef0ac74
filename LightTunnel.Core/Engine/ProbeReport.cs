using System.Buffers.Binary;
using LightTunnel.Membership;
using LightTunnel.Routing;

namespace LightTunnel.Engine;

/// <summary>
/// What a ping tells beside asking: the round trip (microseconds, u32) and the loss (1/10,000, u16) that its sender has measured so far,
/// so that one side's probes inform both. An empty body means "nothing measured yet".
/// </summary>
internal static class ProbeReport
{
    private const int Size = 6;
    private const double LossUnit = 10_000;

    /// <summary>A ping frame with this node's measurements.</summary>
    public static byte[] Ping(uint transaction, PathMonitor monitor)
    {
        byte[] body = [];
        if (monitor.RoundTrip is { } roundTrip)
        {
            body = new byte[Size];
            BinaryPrimitives.WriteUInt32BigEndian(body, (uint)Math.Min(roundTrip.TotalMicroseconds, uint.MaxValue));
            BinaryPrimitives.WriteUInt16BigEndian(body.AsSpan(4), (ushort)((monitor.Loss ?? 0) * LossUnit));
        }

        byte[] frame = new byte[ControlFrame.HeaderLength + body.Length];
        new ControlFrame(ControlFrameKind.Ping, 0, transaction, body).Write(frame);
        return frame;
    }

    /// <summary>Notes what a ping tells of the path; a longer body is of a newer version and holds these first.</summary>
    public static void Read(ReadOnlySpan<byte> body, Peer peer)
    {
        if (body.Length < Size)
            return;
        peer.ReportedRoundTrip = TimeSpan.FromMicroseconds(BinaryPrimitives.ReadUInt32BigEndian(body));
        peer.ReportedLoss = Math.Min(BinaryPrimitives.ReadUInt16BigEndian(body[4..]) / LossUnit, 1);
    }
}
