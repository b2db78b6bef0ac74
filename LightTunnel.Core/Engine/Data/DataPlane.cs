using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Packets;
using LightTunnel.Timing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Data;

/// <summary>
/// The border between the data threads and the control loop: what the control loop publishes, which data threads only read, and what data
/// threads hand over, which the control loop takes out of <see cref="ControlInbox"/>. All that data threads call here returns at once, and
/// may be called from any of them.
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="log">The tunnel's log.</param>
/// <param name="links">Opens what was received.</param>
/// <param name="wake">Wakes the control loop.</param>
internal sealed class DataPlane(TimeProvider time, TunnelLog log, LinkTable links, Action wake)
{
    /// <summary>Handshakes and control frames that may wait for the control loop.</summary>
    public const int InboxCapacity = 8192;

    /// <summary>Longest control frame, bytes; a link's padding behind it may make a packet of any length of it.</summary>
    public const int LongestControlDatagram = 2048;

    /// <summary>A data thread tells of traffic after a pause this long.</summary>
    private static readonly TimeSpan TrafficPause = TimeSpan.FromSeconds(2);

    private readonly ControlFrameQuota _newcomersFrames = ControlFrameQuota.ForNewcomers(time);
    private readonly RateLimiter _sourceLimiter = new(time, TimeSpan.FromMilliseconds(50), burst: 64);
    private readonly RateLimiter _icmpLimiter = new(time, TimeSpan.FromMilliseconds(10), burst: 50);
    private readonly RateLimiter _ownDestinationLimiter = new(time, TimeSpan.FromSeconds(10));
    private volatile ForwardingTable _forwarding = ForwardingTable.Empty;
    private volatile PrefixMapping? _mapping;
    private volatile uint _memberId;
    private volatile int[] _outerPorts = [];
    private volatile int _longestPacket = TunnelOptions.OrdinaryMtu;

    /// <summary>The present, for a data thread's whole batch.</summary>
    public Timestamp Now => time.Now();

    /// <summary>What data threads have handed over.</summary>
    public ControlInbox Inbox { get; } = new(InboxCapacity, wake);

    /// <summary>All links, by which what was received is opened.</summary>
    public LinkTable Links => links;

    /// <summary>What is passed on for others: the node's role, before any thread is started.</summary>
    public IRelayRules Relay { get; set; } = new NothingRelayed();

    /// <summary>Where inner packets go. Published by the control loop.</summary>
    public ForwardingTable Forwarding
    {
        get => _forwarding;
        set => _forwarding = value;
    }

    /// <summary>
    /// What the networks behind this node are to members; null when they are what they are there. All else here, rules included, speaks of
    /// addresses as members know them: packets are mapped right after they were read from the TUN and right before they are written to it.
    /// Published by the control loop.
    /// </summary>
    public PrefixMapping? Mapping
    {
        get => _mapping;
        set => _mapping = value;
    }

    /// <summary>This node's id in relay headers, 0 until the server gave one. Published by the control loop.</summary>
    public uint MemberId
    {
        get => _memberId;
        set => _memberId = value;
    }

    /// <summary>
    /// Longest inner packet that the network carries, bytes; data threads make their buffers large enough for it, so it only grows.
    /// Published by the control loop.
    /// </summary>
    public int LongestPacket
    {
        get => _longestPacket;
        set => _longestPacket = Math.Max(value, TunnelOptions.OrdinaryMtu);
    }

    /// <summary>Hands over a handshake datagram; false when the control loop has too much to do.</summary>
    public bool TryPostHandshake(ReadOnlySpan<byte> datagram, in PathAddress source) =>
        datagram.Length <= LongestControlDatagram && Inbox.TryPost(InboxKind.Handshake, datagram, source);

    /// <summary>Hands over a probe or answer; false when the control loop has too much to do.</summary>
    public bool TryPostProbe(ReadOnlySpan<byte> datagram, in PathAddress source) => Inbox.TryPost(InboxKind.Probe, datagram, source);

    /// <summary>
    /// Hands over a decrypted control frame, without what is only padding; false when the control loop has too much to do.
    /// </summary>
    public bool TryPostControlFrame(Link link, ReadOnlySpan<byte> frame, in PathAddress source = default)
    {
        ControlFrameQuota intake = (link.Owner as RouteTarget)?.Frames ?? _newcomersFrames;
        if (!intake.TryTake(Now))
            return false;
        if (Inbox.TryPost(InboxKind.ControlFrame, frame[..Math.Min(frame.Length, LongestControlDatagram)], source, link, intake: intake))
            return true;
        intake.Release();
        return false;
    }

    /// <summary>Hands over a packet until its target's link is there; false when too many wait already.</summary>
    public bool TryStage(RouteTarget target, ReadOnlySpan<byte> packet)
    {
        if (!target.TryReserveStaged())
            return false;
        if (Inbox.TryPost(InboxKind.Staged, packet, target: target))
            return true;
        target.ReleaseStaged();
        return false;
    }

    /// <summary>
    /// A packet came from somebody whom this node does not know: the control loop asks who that is, as often as is answered.
    /// </summary>
    public void AskForSource(ReadOnlySpan<byte> packet)
    {
        if (_sourceLimiter.TryTake(Now))
            Inbox.TryPost(InboxKind.UnknownSource, packet[..Math.Min(packet.Length, IpPacket.IPv6HeaderLength)]);
    }

    /// <summary>A packet of the target was carried: after a pause, the control loop has its path probed at once.</summary>
    public void NoteTraffic(RouteTarget target, Timestamp now)
    {
        if (target.Touch(now, TrafficPause))
            Inbox.TryPost(InboxKind.TrafficStarted, default, target: target);
        if (target.Route.Carrier is { } carrier && carrier.Touch(now, TrafficPause))
            Inbox.TryPost(InboxKind.TrafficStarted, default, target: carrier);
    }

    /// <summary>True when an ICMP error may be sent now (RFC 1812 section 4.3.2.8, RFC 4443 section 2.4 f).</summary>
    public bool TryTakeIcmpToken() => _icmpLimiter.TryTake(Now);

    /// <summary>Publishes the UDP ports that this node's datagrams leave from; 0 for none. The control loop's.</summary>
    public void PublishOuterPorts(IEnumerable<int> ports) => _outerPorts = [.. ports];

    /// <summary>True for the ports that this node's own datagrams leave from.</summary>
    public bool IsOuterPort(int port) => port != 0 && Array.IndexOf(_outerPorts, port) >= 0;

    /// <summary>The system sent a packet for this node's own address into the tunnel: it was dropped, and an admin should know.</summary>
    public void NoteOwnDestination(TunnelAddress destination)
    {
        if (_ownDestinationLimiter.TryTake(Now))
            log.PacketForServerItself(destination.ToIPAddress());
    }

    /// <summary>The system routes what this node sends into its own tunnel.</summary>
    public void NoteOwnDatagram(TunnelAddress destination)
    {
        if (!_ownDestinationLimiter.TryTake(Now))
            return;
        log.Warning(
            "The system routes this tunnel's own datagrams to {Destination} into the tunnel: they are dropped. "
                + "A route or another overlay leads there",
            destination.ToIPAddress());
    }
}
