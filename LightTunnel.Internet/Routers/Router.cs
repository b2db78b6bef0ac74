using System.Buffers.Binary;
using LightTunnel.Addressing;
using LightTunnel.Internet.Wires;
using LightTunnel.Packets;

namespace LightTunnel.Internet.Routers;

/// <summary>
/// Forwards each packet on the wire of the longest prefix that contains its destination, one hop fewer to live; answers packets that
/// are too long or lead nowhere as RFC 1812 and RFC 4443 ask.
/// </summary>
internal class Router : INetworkNode
{
    private const int MaximumPacketLength = 65535;

    private readonly TunnelAddress _addressV4;
    private readonly TunnelAddress _addressV6;
    private readonly byte[] _scratch = new byte[Math.Max(IcmpErrors.MaximumLength, MaximumPacketLength)];
    private readonly HashSet<(TunnelAddress From, TunnelAddress To)> _cut = [];
    private PrefixTable<Wire> _routes = PrefixTable<Wire>.Empty;

    /// <param name="name">A name for people.</param>
    /// <param name="addressV4">Its own IPv4 address: the sender of ICMP errors.</param>
    /// <param name="addressV6">Its own IPv6 address.</param>
    public Router(string name, TunnelAddress addressV4, TunnelAddress addressV6)
    {
        Name = name;
        _addressV4 = addressV4;
        _addressV6 = addressV6;
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <summary>What became of the packets that came to this router.</summary>
    public FateCounters Fates { get; } = new();

    /// <summary>Leads a prefix to a wire, in place of where it led before.</summary>
    public virtual void AddRoute(IpPrefix prefix, Wire wire) => _routes = _routes.With(prefix, wire);

    /// <summary>Lets a prefix lead nowhere.</summary>
    public virtual void RemoveRoute(IpPrefix prefix) => _routes = _routes.Without(prefix);

    /// <summary>Lets no packet pass from one address to another any more.</summary>
    public void Cut(TunnelAddress from, TunnelAddress to) => _cut.Add((from, to));

    /// <summary>Undoes <see cref="Cut"/>.</summary>
    public void Heal(TunnelAddress from, TunnelAddress to) => _cut.Remove((from, to));

    /// <inheritdoc/>
    public virtual void Receive(Span<byte> packet, Wire arrivedOn)
    {
        PacketFate fate = Decide(packet, arrivedOn, out IpPacketInfo info, out Wire? next);
        Fates.Count(fate);
        if (info.TotalLength > 0)
            packet = packet[..info.TotalLength];
        switch (fate)
        {
            case PacketFate.Forwarded:
                DecrementHopLimit(packet);
                next!.Send(this, packet);
                break;
            case PacketFate.Fragmented:
                DecrementHopLimit(packet);
                SendFragments(packet, info, next!, MtuBetween(arrivedOn, next!));
                break;
            case PacketFate.TooBig when next!.From(this).Conditions.ReportsTooBig && arrivedOn.To(this).Conditions.ReportsTooBig:
                Answer(arrivedOn, IcmpErrors.WriteTooBig(packet, MtuBetween(arrivedOn, next), AddressFor(info), _scratch));
                break;
            case PacketFate.NoRoute:
                Answer(arrivedOn, IcmpErrors.WriteUnreachable(packet, UnreachableReason.NoRoute, AddressFor(info), _scratch));
                break;
        }
    }

    private PacketFate Decide(ReadOnlySpan<byte> packet, Wire arrivedOn, out IpPacketInfo info, out Wire? next)
    {
        next = null;
        if (!IpPacket.TryParse(packet, out info))
            return PacketFate.Malformed;
        if (packet[HopLimitOffset(packet)] <= 1)
            return PacketFate.HopLimit;
        if (_cut.Contains((info.Source, info.Destination)))
            return PacketFate.Cut;
        if (!_routes.TryLookup(info.Destination, out next))
            return PacketFate.NoRoute;
        if (info.TotalLength <= MtuBetween(arrivedOn, next))
            return PacketFate.Forwarded;
        return info.DontFragment ? PacketFate.TooBig : PacketFate.Fragmented;
    }

    // A host knows the MTU that its wire began with; should the wire have become narrower since, this is the first router to tell.
    private int MtuBetween(Wire arrivedOn, Wire next) => Math.Min(arrivedOn.To(this).Conditions.Mtu, next.From(this).Conditions.Mtu);

    private TunnelAddress AddressFor(in IpPacketInfo info) => info.IsIPv4 ? _addressV4 : _addressV6;

    private void Answer(Wire arrivedOn, int length)
    {
        if (length > 0)
            SendAnswer(arrivedOn, _scratch.AsSpan(0, length));
    }

    /// <summary>Sends an ICMP error of its own back to where the packet at fault came from.</summary>
    protected virtual void SendAnswer(Wire arrivedOn, Span<byte> packet) => arrivedOn.Send(this, packet);

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
    private void SendFragments(ReadOnlySpan<byte> packet, in IpPacketInfo info, Wire next, int mtu)
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
            next.Send(this, fragment);
        }
    }
}
