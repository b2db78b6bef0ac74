using System.Buffers.Binary;
using LightTunnel.Addressing;
using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Sites;
using LightTunnel.Internet.Wires;
using LightTunnel.Packets;

namespace LightTunnel.Internet.Routers;

/// <summary>
/// A router with a local network inside and one address outside, and a <see cref="Nats.Nat"/> in between. Hosts inside reach each other as
/// by a switch. Translates UDP, TCP and ICMP queries of IPv4 and the ICMP errors about them; fragments and other protocols do not pass.
/// IPv6 of those who have it is routed and not filtered. It answers pings to its own addresses and, when it is set so, requests to forward
/// a port.
/// </summary>
internal sealed class NatRouter : NatSite
{
    /// <summary>Sender of ICMPv6 errors; from the block for documentation (RFC 3849).</summary>
    private static readonly TunnelAddress AddressV6OfErrors = TunnelAddress.FromIPv6(new UInt128(0x2001_0DB8_0000_0000, 0xFFFE));

    private readonly VirtualInternet _internet;
    private readonly Router _router;
    private readonly PortForwarder _forwarder;

    /// <param name="internet">What it is part of.</param>
    /// <param name="name">A name for people.</param>
    /// <param name="uplink">The wire towards the internet.</param>
    /// <param name="nat">How it translates.</param>
    /// <param name="inside">Its own address in the local network, with that network's prefix length.</param>
    public NatRouter(VirtualInternet internet, string name, Wire uplink, Nat nat, InterfaceAddress inside)
        : base(name, uplink, nat, inside.Prefix)
    {
        InsideAddress = inside.Address;
        _internet = internet;
        _router = new Router(inside.Address, AddressV6OfErrors, internet.Carry, TranslateOwnError);
        _forwarder = new PortForwarder(nat);
    }

    /// <summary>Its address in the local network.</summary>
    public TunnelAddress InsideAddress { get; }

    /// <summary>Its address on the outside.</summary>
    public TunnelAddress OutsideAddress => TunnelAddress.FromIPAddress(Nat.OutsideAddress);

    /// <summary>Packets that it does not know to translate, or that nobody in the local network is there for.</summary>
    public long Untranslatable { get; private set; }

    /// <summary>Power off and on.</summary>
    public void Reboot()
    {
        Nat.Reboot();
        _forwarder.Reboot(_internet.Now);
    }

    /// <summary>Takes a packet from its uplink or from that of a site behind it.</summary>
    /// <param name="origin">The host that sent it first.</param>
    /// <param name="arrived">How it came.</param>
    /// <param name="packet">The packet; the memory is changed.</param>
    public void Receive(Site? origin, in Hop arrived, Span<byte> packet)
    {
        if (!_router.TryParse(ref packet, out IpPacketInfo info))
            return;
        Hop? next = !info.IsIPv4 ? _internet.Topology.Route(this, NatPacket.EndpointOf(info.Destination))
            : arrived.IsUpward ? TakeFromInside(packet, info, arrived)
            : TakeFromOutside(packet, info, arrived);
        if (next is not null)
            _router.Forward(origin, arrived, next, packet, info);
    }

    /// <returns>Where it goes, translated; null when it is answered or dropped.</returns>
    private Hop? TakeFromInside(Span<byte> packet, in IpPacketInfo info, in Hop arrived)
    {
        if ((info.Destination == InsideAddress || info.Destination == OutsideAddress) && AnswersPing(packet, arrived))
            return null;
        if (info.Destination == InsideAddress && AnswersPortRequest(packet, arrived))
            return null;
        if (Lan.Contains(info.Destination))
            return Counted(Route(packet));
        if (NatPacket.TryFindQuote(packet, out _))
            return Counted(TranslateErrorOutbound(packet) ? Route(packet) : null);
        return Translate(packet, arrived);
    }

    /// <inheritdoc cref="TakeFromInside"/>
    private Hop? TakeFromOutside(Span<byte> packet, in IpPacketInfo info, in Hop arrived)
    {
        if (info.Destination != OutsideAddress || AnswersPing(packet, arrived))
            return null;
        if (NatPacket.TryFindQuote(packet, out _))
            return Counted(TranslateErrorInbound(packet) ? Route(packet) : null);
        return Translate(packet, arrived);
    }

    private Hop? Translate(Span<byte> packet, in Hop arrived)
    {
        if (!NatPacket.TryRead(packet, out NatProtocol protocol, out UdpEndpoint source, out UdpEndpoint destination)
            || (arrived.IsUpward && IsEchoReply(protocol, source)))
        {
            return Counted(null);
        }

        RouteDecision decision = _internet.Topology.Decide(this, arrived.IsUpward, _internet.Now, protocol, ref source, ref destination);
        if (decision.Refusal is not null)
            return null; // The NAT itself counts it.
        NatPacket.Rewrite(packet, protocol, source, destination);
        return Counted(decision.Next);
    }

    private Hop? Route(ReadOnlySpan<byte> packet) =>
        _internet.Topology.Route(this, UdpEndpoint.FromIPv4(BinaryPrimitives.ReadUInt32BigEndian(packet[16..]), 0));

    private static bool IsEchoReply(NatProtocol protocol, in UdpEndpoint source) => protocol == NatProtocol.Icmp && source.Port == 0;

    private Hop? Counted(Hop? next)
    {
        Untranslatable += next is null ? 1 : 0;
        return next;
    }

    private bool AnswersPing(Span<byte> packet, in Hop arrived)
    {
        if (!NatPacket.TryMakeEchoReply(packet))
            return false;
        _internet.Carry(null, arrived.Back, packet);
        return true;
    }

    private bool AnswersPortRequest(ReadOnlySpan<byte> packet, in Hop arrived)
    {
        if (!NatPacket.TryRead(packet, out NatProtocol protocol, out UdpEndpoint source, out UdpEndpoint destination)
            || protocol != NatProtocol.Udp || destination.Port != PortForwarder.Port)
        {
            return false;
        }

        Span<byte> answer = stackalloc byte[PortForwarder.MaximumAnswer];
        int length = _forwarder.Answer(_internet.Now, source, NatPacket.UdpPayload(packet), answer);
        if (length == 0)
            return false;
        Span<byte> reply = stackalloc byte[PortForwarder.MaximumAnswer + 28];
        _internet.Carry(null, arrived.Back, reply[..NatPacket.WriteUdp(reply, destination, source, answer[..length])]);
        return true;
    }

    /// <summary>It is about a packet that was translated already: the sender must find its own endpoint in it.</summary>
    private void TranslateOwnError(in Hop arrived, Span<byte> error)
    {
        if (arrived.IsUpward)
            TranslateErrorInbound(error);
        else
            TranslateErrorOutbound(error);
    }

    /// <summary>
    /// An ICMP error for an inside host: what it quotes was sent by that host and left with the outside endpoint (RFC 5508 section 4.1).
    /// </summary>
    private bool TranslateErrorInbound(Span<byte> packet)
    {
        if (!NatPacket.TryFindQuote(packet, out Span<byte> quote)
            || !NatPacket.TryRead(quote, out NatProtocol protocol, out UdpEndpoint source, out UdpEndpoint destination)
            || !Nat.TryFindInside(_internet.Now, protocol, source, out UdpEndpoint inside))
        {
            return false;
        }

        NatPacket.Rewrite(quote, protocol, inside, destination);
        NatPacket.RewriteError(packet, UdpEndpoint.FromIPv4(BinaryPrimitives.ReadUInt32BigEndian(packet[12..]), 0), inside);
        return true;
    }

    /// <summary>An ICMP error of an inside host: what it quotes came in by the outside endpoint (RFC 5508 section 4.2).</summary>
    private bool TranslateErrorOutbound(Span<byte> packet)
    {
        if (!NatPacket.TryFindQuote(packet, out Span<byte> quote)
            || !NatPacket.TryRead(quote, out NatProtocol protocol, out UdpEndpoint source, out UdpEndpoint destination)
            || !Nat.TryFindOutside(_internet.Now, protocol, destination, source, out UdpEndpoint outside))
        {
            return false;
        }

        NatPacket.Rewrite(quote, protocol, source, outside);
        NatPacket.RewriteError(packet, outside, UdpEndpoint.FromIPv4(BinaryPrimitives.ReadUInt32BigEndian(packet[16..]), 0));
        return true;
    }
}
