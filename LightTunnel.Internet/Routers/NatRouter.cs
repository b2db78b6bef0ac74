using System.Buffers.Binary;
using LightTunnel.Addressing;
using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Wires;
using LightTunnel.Packets;

namespace LightTunnel.Internet.Routers;

/// <summary>
/// A router with a local network inside and one address outside, and a <see cref="Nats.Nat"/> in between. Hosts inside reach each other as
/// by a switch. Translates UDP, TCP and ICMP queries of IPv4 and the ICMP errors about them; fragments and other protocols do not pass.
/// IPv6 of those who have it is routed and not filtered. It answers pings to its own addresses and, when it is set so, requests to forward
/// a port.
/// </summary>
internal sealed class NatRouter : Router
{
    /// <summary>Sender of ICMPv6 errors; from the block for documentation (RFC 3849).</summary>
    private static readonly TunnelAddress AddressV6 = TunnelAddress.FromIPv6(new UInt128(0x2001_0DB8_0000_0000, 0xFFFE));

    private readonly Func<TimeSpan> _now;
    private readonly HashSet<TunnelAddress> _neighbours = [];
    private readonly PortForwarder _forwarder;

    /// <param name="name">A name for people.</param>
    /// <param name="nat">How it translates.</param>
    /// <param name="inside">Its own address in the local network, with that network's prefix length.</param>
    /// <param name="now">The time.</param>
    public NatRouter(string name, Nat nat, InterfaceAddress inside, Func<TimeSpan> now)
        : base(name, inside.Address, AddressV6)
    {
        Nat = nat;
        Lan = inside.Prefix;
        InsideAddress = inside.Address;
        _now = now;
        _forwarder = new PortForwarder(nat);
    }

    /// <summary>How it translates, and what it counted.</summary>
    public Nat Nat { get; }

    /// <summary>Its address in the local network.</summary>
    public TunnelAddress InsideAddress { get; }

    /// <summary>The local network.</summary>
    public IpPrefix Lan { get; }

    /// <summary>The router that it is connected to.</summary>
    public Router? Parent { get; private set; }

    /// <summary>The wire to the internet; set when it is connected.</summary>
    public Wire? Uplink { get; private set; }

    /// <summary>Its address on the outside.</summary>
    public TunnelAddress OutsideAddress => TunnelAddress.FromIPAddress(Nat.OutsideAddress);

    /// <summary>Packets that it does not know to translate, or that nobody in the local network is there for.</summary>
    public long Untranslatable { get; private set; }

    /// <summary>Power off and on.</summary>
    public void Reboot()
    {
        Nat.Reboot();
        _forwarder.Reboot(_now());
    }

    /// <summary>Makes a wire the way to everywhere but the local network.</summary>
    public void ConnectUplink(Router parent, Wire uplink)
    {
        Parent = parent;
        Uplink = uplink;
        AddRoute(new IpPrefix(TunnelAddress.FromIPv4(0), 0), uplink);
        AddRoute(new IpPrefix(TunnelAddress.FromIPv6(0), 0), uplink);
    }

    /// <inheritdoc/>
    public override void AddRoute(IpPrefix prefix, Wire wire)
    {
        base.AddRoute(prefix, wire);
        if (prefix.Network.IsIPv4 && prefix.Length == 32)
            _neighbours.Add(prefix.Network);
        else if (!prefix.Network.IsIPv4 && prefix.Length == 128)
            Parent?.AddRoute(prefix, Uplink!);
    }

    /// <inheritdoc/>
    public override void RemoveRoute(IpPrefix prefix)
    {
        base.RemoveRoute(prefix);
        _neighbours.Remove(prefix.Network);
    }

    /// <inheritdoc/>
    public override void Receive(Span<byte> packet, Wire arrivedOn)
    {
        if (IpPacket.Version(packet) == 4 && IpPacket.TryParse(packet, out IpPacketInfo info))
        {
            packet = packet[..info.TotalLength];
            bool passes = ReferenceEquals(arrivedOn, Uplink)
                ? TakeFromOutside(packet, info, arrivedOn)
                : TakeFromInside(packet, info, arrivedOn);
            if (!passes)
                return;
        }

        base.Receive(packet, arrivedOn);
    }

    /// <inheritdoc/>
    protected override void SendAnswer(Wire arrivedOn, Span<byte> packet)
    {
        // It is about a packet that was translated already: the sender must find its own endpoint in it.
        if (ReferenceEquals(arrivedOn, Uplink))
            TranslateErrorOutbound(packet);
        else
            TranslateErrorInbound(packet);
        base.SendAnswer(arrivedOn, packet);
    }

    private bool TakeFromInside(Span<byte> packet, in IpPacketInfo info, Wire arrivedOn)
    {
        if ((info.Destination == InsideAddress || info.Destination == OutsideAddress) && AnswersPing(packet, arrivedOn))
            return false;
        if (info.Destination == InsideAddress && AnswersPortRequest(packet, arrivedOn))
            return false;
        if (Lan.Contains(info.Destination))
            return CountUnless(_neighbours.Contains(info.Destination));
        if (NatPacket.TryFindQuote(packet, out _))
            return CountUnless(TranslateErrorOutbound(packet));
        if (!NatPacket.TryRead(packet, out NatProtocol protocol, out UdpEndpoint source, out UdpEndpoint destination)
            || IsEchoReply(protocol, source))
        {
            return CountUnless(false);
        }

        if (Nat.Outbound(_now(), protocol, ref source, ref destination) is not (NatVerdict.Translated or NatVerdict.Hairpinned))
            return false;
        NatPacket.Rewrite(packet, protocol, source, destination);
        return true;
    }

    private bool TakeFromOutside(Span<byte> packet, in IpPacketInfo info, Wire arrivedOn)
    {
        if (info.Destination != OutsideAddress || AnswersPing(packet, arrivedOn))
            return false;
        if (NatPacket.TryFindQuote(packet, out _))
            return CountUnless(TranslateErrorInbound(packet));
        if (!NatPacket.TryRead(packet, out NatProtocol protocol, out UdpEndpoint source, out UdpEndpoint destination))
            return CountUnless(false);
        if (Nat.Inbound(_now(), protocol, source, ref destination) != NatVerdict.Translated)
            return false;
        NatPacket.Rewrite(packet, protocol, source, destination);
        return true;
    }

    private static bool IsEchoReply(NatProtocol protocol, in UdpEndpoint source) => protocol == NatProtocol.Icmp && source.Port == 0;

    private bool CountUnless(bool passes)
    {
        Untranslatable += passes ? 0 : 1;
        return passes;
    }

    private bool AnswersPing(Span<byte> packet, Wire arrivedOn)
    {
        if (!NatPacket.TryMakeEchoReply(packet))
            return false;
        arrivedOn.Send(this, packet);
        return true;
    }

    private bool AnswersPortRequest(ReadOnlySpan<byte> packet, Wire arrivedOn)
    {
        if (!NatPacket.TryRead(packet, out NatProtocol protocol, out UdpEndpoint source, out UdpEndpoint destination)
            || protocol != NatProtocol.Udp || destination.Port != PortForwarder.Port)
        {
            return false;
        }

        Span<byte> answer = stackalloc byte[PortForwarder.MaximumAnswer];
        int length = _forwarder.Answer(_now(), source, NatPacket.UdpPayload(packet), answer);
        if (length == 0)
            return false;
        Span<byte> reply = stackalloc byte[PortForwarder.MaximumAnswer + 28];
        arrivedOn.Send(this, reply[..NatPacket.WriteUdp(reply, destination, source, answer[..length])]);
        return true;
    }

    /// <summary>
    /// An ICMP error for an inside host: what it quotes was sent by that host and left with the outside endpoint (RFC 5508 section 4.1).
    /// </summary>
    private bool TranslateErrorInbound(Span<byte> packet)
    {
        if (!NatPacket.TryFindQuote(packet, out Span<byte> quote)
            || !NatPacket.TryRead(quote, out NatProtocol protocol, out UdpEndpoint source, out UdpEndpoint destination)
            || !Nat.TryFindInside(_now(), protocol, source, out UdpEndpoint inside))
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
            || !Nat.TryFindOutside(_now(), protocol, destination, source, out UdpEndpoint outside))
        {
            return false;
        }

        NatPacket.Rewrite(quote, protocol, source, outside);
        NatPacket.RewriteError(packet, outside, UdpEndpoint.FromIPv4(BinaryPrimitives.ReadUInt32BigEndian(packet[16..]), 0));
        return true;
    }
}
