using System.Buffers.Binary;
using LightTunnel.Addressing;
using LightTunnel.Internet.Sites;
using LightTunnel.Internet.Wires;
using LightTunnel.Packets;

namespace LightTunnel.Internet.Routers;

/// <summary>Sends a copy of a packet over an uplink.</summary>
/// <param name="origin">The host that sent it first; null for what a router says.</param>
/// <param name="hop">Over which uplink, and in what direction.</param>
/// <param name="packet">The packet.</param>
internal delegate void PacketSender(Site? origin, in Hop hop, ReadOnlySpan<byte> packet);

/// <summary>Changes a router's ICMP error before it goes back to where the packet at fault came from.</summary>
internal delegate void ErrorChanger(in Hop arrived, Span<byte> error);

/// <summary>
/// What every router does with a packet of which it is known where it goes: it passes it on with one hop fewer to live, in pieces where it
/// is too long and may be cut; what is too long otherwise, or leads nowhere, it answers as RFC 1812 and RFC 4443 ask.
/// </summary>
/// <param name="addressV4">Its own IPv4 address: the sender of ICMP errors.</param>
/// <param name="addressV6">Its own IPv6 address.</param>
/// <param name="send">Sends packets.</param>
/// <param name="change">Changes its ICMP errors; null where nothing is translated.</param>
internal sealed class Router(TunnelAddress addressV4, TunnelAddress addressV6, PacketSender send, ErrorChanger? change = null)
{
    private const int MaximumPacketLength = 65535;

    private readonly byte[] _scratch = new byte[Math.Max(IcmpErrors.MaximumLength, MaximumPacketLength)];

    /// <summary>What became of the packets that came to this router.</summary>
    public FateCounters Fates { get; } = new();

    /// <summary>Looks at what has come, and cuts off what follows the packet; false when it is none.</summary>
    public bool TryParse(ref Span<byte> packet, out IpPacketInfo info)
    {
        if (!IpPacket.TryParse(packet, out info))
        {
            Fates.Count(PacketFate.Malformed);
            return false;
        }

        packet = packet[..info.TotalLength];
        return true;
    }

    /// <summary>Sends a packet on, or says to where it came from why not.</summary>
    /// <param name="origin">The host that sent it first.</param>
    /// <param name="arrived">How it came.</param>
    /// <param name="next">Where it goes; null when nobody has its address.</param>
    /// <param name="packet">The packet; the memory is changed.</param>
    /// <param name="info">What <see cref="TryParse"/> says of it.</param>
    public void Forward(Site? origin, in Hop arrived, Hop? next, Span<byte> packet, in IpPacketInfo info)
    {
        int mtu = next is { } hop ? MtuBetween(arrived, hop) : int.MaxValue;
        PacketFate fate = Decide(packet, info, next, mtu);
        Fates.Count(fate);
        switch (fate)
        {
            case PacketFate.Forwarded:
                DecrementHopLimit(packet);
                send(origin, next!.Value, packet);
                break;
            case PacketFate.Fragmented:
                DecrementHopLimit(packet);
                SendFragments(origin, packet, info, next!.Value, mtu);
                break;
            case PacketFate.TooBig
                when next!.Value.Direction.Conditions.ReportsTooBig && arrived.Direction.Conditions.ReportsTooBig:
                Answer(arrived, IcmpErrors.WriteTooBig(packet, mtu, AddressFor(info), _scratch));
                break;
            case PacketFate.NoRoute:
                Answer(arrived, IcmpErrors.WriteUnreachable(packet, UnreachableReason.NoRoute, AddressFor(info), _scratch));
                break;
        }
    }

    private static PacketFate Decide(ReadOnlySpan<byte> packet, in IpPacketInfo info, Hop? next, int mtu)
    {
        if (packet[HopLimitOffset(packet)] <= 1)
            return PacketFate.HopLimit;
        if (next is null)
            return PacketFate.NoRoute;
        if (info.TotalLength <= mtu)
            return PacketFate.Forwarded;
        return info.DontFragment ? PacketFate.TooBig : PacketFate.Fragmented;
    }

    // A host knows the MTU that its wire began with; should the wire have become narrower since, this is the first router to tell.
    private static int MtuBetween(in Hop arrived, in Hop next) =>
        Math.Min(arrived.Direction.Conditions.Mtu, next.Direction.Conditions.Mtu);

    private TunnelAddress AddressFor(in IpPacketInfo info) => info.IsIPv4 ? addressV4 : addressV6;

    private void Answer(in Hop arrived, int length)
    {
        if (length == 0)
            return;
        Span<byte> error = _scratch.AsSpan(0, length);
        change?.Invoke(arrived, error);
        send(null, arrived.Back, error);
    }

    private static int HopLimitOffset(ReadOnlySpan<byte> packet) => IpPacket.Version(packet) == 4 ? 8 : 7;

    private static void DecrementHopLimit(Span<byte> packet)
    {
        packet[HopLimitOffset(packet)]--;
        if (IpPacket.Version(packet) == 4)
            WriteHeaderChecksum(packet);
    }

    private static void WriteHeaderChecksum(Span<byte> packet)
    {
        Span<byte> header = packet[..((packet[0] & 0xF) * 4)];
        header[10..12].Clear();
        BinaryPrimitives.WriteUInt16BigEndian(header[10..], InternetChecksum.Compute(header));
    }

    /// <summary>
    /// RFC 791 section 3.2. Options are copied to every fragment, which is more than needed and never wrong for those in use.
    /// </summary>
    private void SendFragments(Site? origin, ReadOnlySpan<byte> packet, in IpPacketInfo info, in Hop next, int mtu)
    {
        int headerLength = (packet[0] & 0xF) * 4;
        int room = (mtu - headerLength) & ~7;
        ReadOnlySpan<byte> payload = packet[headerLength..];
        for (int offset = 0; offset < payload.Length && room > 0; offset += room)
        {
            ReadOnlySpan<byte> part = payload.Slice(offset, Math.Min(room, payload.Length - offset));
            bool more = info.MoreFragments || offset + part.Length < payload.Length;
            Span<byte> fragment = _scratch.AsSpan(0, headerLength + part.Length);
            packet[..headerLength].CopyTo(fragment);
            part.CopyTo(fragment[headerLength..]);
            BinaryPrimitives.WriteUInt16BigEndian(fragment[2..], (ushort)fragment.Length);
            int position = (info.FragmentOffset + offset) / 8;
            BinaryPrimitives.WriteUInt16BigEndian(fragment[6..], (ushort)(position | (more ? 0x2000 : 0)));
            WriteHeaderChecksum(fragment);
            send(origin, next, fragment);
        }
    }
}
