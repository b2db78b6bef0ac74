using System.Buffers.Binary;
using LightTunnel.Addressing;
using LightTunnel.Membership;

namespace LightTunnel.Engine.Control;

/// <summary>
/// The bodies of two control frames. <see cref="ControlFrameKind.Ports"/>: the ports of the sender's stripes, 2 bytes each.
/// <see cref="ControlFrameKind.PortsTaken"/>: the address (IPv4 mapped into IPv6) and port that the question came from, zeros when it was
/// relayed, and the number of queues that its sender receives by; a longer one is of a newer version.
/// </summary>
internal static class StripeFrames
{
    private const int AnswerSize = 19;

    /// <summary>The frame that tells of ports.</summary>
    public static byte[] Ports(uint number, IReadOnlyList<int> ports)
    {
        int[] open = [.. ports.Where(port => port != 0)];
        byte[] body = new byte[open.Length * sizeof(ushort)];
        for (int i = 0; i < open.Length; i++)
            BinaryPrimitives.WriteUInt16BigEndian(body.AsSpan(i * sizeof(ushort)), (ushort)open[i]);
        return Write(new ControlFrame(ControlFrameKind.Ports, 0, number, body));
    }

    /// <summary>Reads the ports; false when there is none, more than a node can have, or what is none.</summary>
    public static bool TryReadPorts(ReadOnlySpan<byte> body, out ushort[] ports)
    {
        ports = [];
        if (body.Length is 0 or > PeerStripes.Maximum * sizeof(ushort) || body.Length % sizeof(ushort) != 0)
            return false;
        var read = new ushort[body.Length / sizeof(ushort)];
        for (int i = 0; i < read.Length; i++)
            read[i] = BinaryPrimitives.ReadUInt16BigEndian(body[(i * sizeof(ushort))..]);
        if (read.Contains((ushort)0))
            return false;
        ports = read;
        return true;
    }

    /// <summary>The frame that answers it.</summary>
    public static byte[] Taken(uint number, in PathAddress source, int queues)
    {
        byte[] body = new byte[AnswerSize];
        if (!source.IsRelayed)
        {
            BinaryPrimitives.WriteUInt128BigEndian(body, source.Endpoint.MappedAddress);
            BinaryPrimitives.WriteUInt16BigEndian(body.AsSpan(16), source.Endpoint.Port);
        }

        body[18] = (byte)Math.Min(queues, byte.MaxValue);
        return Write(new ControlFrame(ControlFrameKind.PortsTaken, 0, number, body));
    }

    /// <summary>Reads the answer; false when it is cut short.</summary>
    public static bool TryReadTaken(ReadOnlySpan<byte> body, out UdpEndpoint seen, out int queues)
    {
        (seen, queues) = (default, 0);
        if (body.Length < AnswerSize)
            return false;
        seen = new UdpEndpoint(BinaryPrimitives.ReadUInt128BigEndian(body), BinaryPrimitives.ReadUInt16BigEndian(body[16..]));
        queues = body[18];
        return true;
    }

    private static byte[] Write(in ControlFrame frame)
    {
        byte[] bytes = new byte[ControlFrame.HeaderLength + frame.Body.Length];
        frame.Write(bytes);
        return bytes;
    }
}
