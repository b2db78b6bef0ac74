using LightTunnel.Addressing;
using LightTunnel.Packets;
using LightTunnel.Timing;

namespace LightTunnel.Access;

/// <summary>How often a rule had packets dropped at this node. Any thread.</summary>
/// <param name="number">The rule's number.</param>
internal sealed class RuleCounter(int number)
{
    private long _dropped;

    /// <summary>The rule's number.</summary>
    public int Number => number;

    /// <summary>Packets that were dropped because of it.</summary>
    public long Dropped => Interlocked.Read(ref _dropped);

    /// <summary>Counts one.</summary>
    public void NoteDropped() => Interlocked.Increment(ref _dropped);
}

/// <summary>One rule as packets are held against it. Never changed after creation.</summary>
internal sealed class CompiledRule
{
    private readonly RuleProtocol _protocol;
    private readonly PortRange[] _ports;
    private readonly TunnelAddress[] _own;
    private readonly AddressSet? _behind;

    /// <param name="rule">The rule.</param>
    /// <param name="far">The far side's addresses; null when it is about everybody, or about all but the server.</param>
    /// <param name="counter">Counts what it has dropped.</param>
    /// <param name="behind">What of the networks behind the node it is about; null for none or all, as the rule says.</param>
    public CompiledRule(NodeRule rule, AddressSet[]? far, RuleCounter counter, AddressSet? behind = null)
    {
        _behind = behind;
        _protocol = rule.Protocol;
        _ports = [.. rule.Ports];
        _own = [.. rule.Own];
        Far = far;
        Counter = counter;
        Rule = rule;
    }

    /// <summary>The rule.</summary>
    public NodeRule Rule { get; }

    /// <summary>The far side's addresses.</summary>
    public AddressSet[]? Far { get; }

    /// <summary>Counts what it has dropped.</summary>
    public RuleCounter Counter { get; }

    /// <summary>True when connections that it is about pass.</summary>
    public bool IsAllow => Rule.Action == RuleAction.Allow;

    /// <summary>True when it is about every connection of the addresses that it is about.</summary>
    public bool IsWhole => _protocol == RuleProtocol.Any && _own.Length == 0 && !Rule.OnlyBehind;

    /// <summary>True when it is about connections between the two; a port that is not known is each port.</summary>
    /// <param name="ends">Between whom it is.</param>
    /// <param name="protocol">The protocol.</param>
    /// <param name="port">The port of who is talked to, or -1.</param>
    /// <param name="isFarKnown">True when it is known to be about the peer, whichever address of it this is.</param>
    public bool Fits(in AccessEnds ends, RuleProtocol protocol, int port, bool isFarKnown)
    {
        if (_protocol != RuleProtocol.Any && _protocol != protocol)
            return false;
        if (_ports.Length > 0 && port >= 0 && !HasPort(port))
            return false;
        return HasOwn(ends) && HasFar(ends, isFarKnown);
    }

    private bool HasOwn(in AccessEnds ends) => ends.IsOwnBehind
        ? Rule.Behind == RuleBehind.All || (Rule.Behind == RuleBehind.Listed && _behind?.Contains(ends.Own) == true)
        : !Rule.OnlyBehind && (_own.Length == 0 || Array.IndexOf(_own, ends.Own) >= 0);

    /// <summary>
    /// What lies behind a peer is, when it begins, the peer itself as well, which could send it in its own name. When it is talked to it is
    /// its address alone.
    /// </summary>
    private bool HasFar(in AccessEnds ends, bool isFarKnown) => ends.PeerItself is not { } peer
        ? isFarKnown || HasFar(ends.Peer)
        : HasFar(ends.Peer) || (Rule.Direction == RuleDirection.Inbound && (isFarKnown || HasFar(peer)));

    /// <summary>True when the far side is about the address.</summary>
    public bool HasFar(TunnelAddress peer)
    {
        if (Far is null)
            return true;
        foreach (AddressSet set in Far)
        {
            if (set.Contains(peer))
                return true;
        }

        return false;
    }

    /// <summary>True when it tells connections apart by their ports.</summary>
    public bool HasPorts => _ports.Length > 0;

    private bool HasPort(int port)
    {
        foreach (PortRange range in _ports)
        {
            if (range.Contains(port))
                return true;
        }

        return false;
    }
}

/// <summary>Between whom a packet is, as rules see it.</summary>
/// <param name="Own">The address on this node's side.</param>
/// <param name="IsOwnBehind">True when it lies behind this node.</param>
/// <param name="Peer">The address on the peer's side.</param>
/// <param name="PeerItself">The peer's own address, when the other one lies behind it; null when it is the peer's own.</param>
internal readonly record struct AccessEnds(TunnelAddress Own, bool IsOwnBehind, TunnelAddress Peer, TunnelAddress? PeerItself);

/// <summary>A rule in a peer's list.</summary>
/// <param name="Rule">The rule.</param>
/// <param name="IsFarKnown">True when it is about each address of the peer.</param>
internal readonly record struct PeerRule(CompiledRule Rule, bool IsFarKnown);

/// <summary>
/// What may pass between this node and one peer: the rules that are about the two, in their order, and the flows that they have let pass.
/// Published with the peer's route; null stands for "everything", so that a peer whom no rule forbids anything costs one question. Never
/// changed after creation; any thread.
/// </summary>
/// <remarks>
/// A packet of a flow that is known passes, in either direction; but what begins one passes only in the direction in which the flow was
/// begun. A flow that was let pass by other rules is held against these first, in that direction; one that they forbid has ended, and is
/// remembered as such, so that its other side does not go on with it as if it had begun it. What is of no flow is held against the rules in
/// its own direction, and if it passes, makes one.
/// <para>
/// Who has begun what goes on already, a node does not know that has just begun to look, or has had to make room for other flows. Of TCP no
/// connection can be made without a segment that asks for it; so for any other segment of no flow the end with the higher port is taken
/// for who began. All else is seen that way for a second after the node began to look.
/// </para>
/// </remarks>
internal sealed class PeerAccess
{
    /// <summary>So long after a node began to look, packets may be of flows that were there before.</summary>
    private static readonly TimeSpan FlowsAreOld = TimeSpan.FromSeconds(1);

    private readonly PeerRule[] _inbound;
    private readonly PeerRule[] _outbound;
    private readonly FlowTable _flows;
    private readonly int _generation;
    private readonly Timestamp _since;
    private readonly IpPrefix[] _ownBehind;
    private readonly TunnelAddress[] _peerItself;
    private readonly IpPrefix[] _tunnel;

    /// <param name="inbound">Rules for what the peer begins.</param>
    /// <param name="outbound">Rules for what this node begins.</param>
    /// <param name="flows">What passes already.</param>
    /// <param name="generation">A number that other rules do not have.</param>
    /// <param name="since">Since when this node looks at the peer's packets.</param>
    /// <param name="ownBehind">The networks behind this node.</param>
    /// <param name="peerItself">The peer's own addresses: all else lies behind it. None when that is told with each packet.</param>
    /// <param name="tunnel">The tunnel's own network: no address of it lies behind this node, also where that is an exit node.</param>
    public PeerAccess(
        PeerRule[] inbound, PeerRule[] outbound, FlowTable flows, int generation, Timestamp since, IpPrefix[]? ownBehind = null,
        TunnelAddress[]? peerItself = null, IpPrefix[]? tunnel = null)
    {
        _tunnel = tunnel ?? [];
        _ownBehind = ownBehind ?? [];
        _peerItself = peerItself ?? [];
        _inbound = inbound;
        _outbound = outbound;
        _flows = flows;
        _generation = generation;
        _since = since;
    }

    /// <summary>Since when this node looks at the peer's packets.</summary>
    public Timestamp Since => _since;

    /// <summary>True when a packet passes; one that does not is counted.</summary>
    /// <param name="packet">The packet.</param>
    /// <param name="info">What its headers say.</param>
    /// <param name="isInbound">True when the peer sent it.</param>
    /// <param name="now">The present.</param>
    /// <param name="last">The last packet's flow, when that passed: neighbours are mostly of one flow.</param>
    /// <param name="peerItself">
    /// The own address of who is on the peer's side, when what is there lies behind him and this is about no single peer; null else.
    /// </param>
    public bool Admits(
        ReadOnlySpan<byte> packet, in IpPacketInfo info, bool isInbound, Timestamp now, ref FlowKey last, TunnelAddress? peerItself = null)
    {
        PacketFlow flow = PacketFlow.Read(packet, info, isInbound);
        bool isOrdinary = flow.Part is FlowPart.Any or FlowPart.Later;
        if (isOrdinary && !info.IsFragment && last.Equals(flow.Key))
            return true;
        if (!Admits(flow, info, isInbound, now, peerItself, out CompiledRule? decided))
        {
            decided?.Counter.NoteDropped();
            return false;
        }

        if (info.IsFragment && info.FragmentOffset == 0)
            _flows.Add(PacketFlow.FragmentsOf(info, isInbound), new FlowState(isInbound, _generation), now);
        last = isOrdinary ? flow.Key : default;
        return true;
    }

    /// <summary>The rule that decides about a new connection; null for none, so that it is allowed.</summary>
    /// <param name="isInbound">True when the peer begins it.</param>
    /// <param name="own">This node's address.</param>
    /// <param name="peer">The peer's address.</param>
    /// <param name="protocol">The protocol.</param>
    /// <param name="port">The port of who is talked to; -1 when it is not known.</param>
    public CompiledRule? Decide(bool isInbound, TunnelAddress own, TunnelAddress peer, RuleProtocol protocol, int port) =>
        Decide(isInbound, EndsOf(own, peer, null), protocol, port);

    private CompiledRule? Decide(bool isInbound, in AccessEnds ends, RuleProtocol protocol, int port)
    {
        foreach (PeerRule rule in isInbound ? _inbound : _outbound)
        {
            if (rule.Rule.Fits(ends, protocol, port, rule.IsFarKnown))
                return rule.Rule;
        }

        return null;
    }

    private AccessEnds EndsOf(TunnelAddress own, TunnelAddress peer, TunnelAddress? peerItself)
    {
        bool isOwnBehind = false;
        foreach (IpPrefix prefix in _ownBehind)
            isOwnBehind |= prefix.Contains(own);
        foreach (IpPrefix prefix in isOwnBehind ? _tunnel : [])
            isOwnBehind &= !prefix.Contains(own);
        if (peerItself is null && _peerItself.Length > 0 && Array.IndexOf(_peerItself, peer) < 0)
        {
            peerItself = _peerItself[0];
            foreach (TunnelAddress address in _peerItself)
                peerItself = address.IsIPv4 == peer.IsIPv4 ? address : peerItself;
        }

        return new AccessEnds(own, isOwnBehind, peer, peerItself);
    }

    private bool Admits(
        in PacketFlow flow, in IpPacketInfo info, bool isInbound, Timestamp now, TunnelAddress? peerItself, out CompiledRule? decided)
    {
        decided = null;
        if (flow.Part == FlowPart.Hidden)
            return false;
        AccessEnds ends = isInbound ? EndsOf(info.Destination, info.Source, peerItself) : EndsOf(info.Source, info.Destination, peerItself);
        bool isKnown = _flows.TryFind(flow.Key, isInbound, now, out FlowState known);
        if (isKnown)
        {
            if (flow.Part == FlowPart.LateFragment)
                return true;
            // Errors are about a packet of the other direction, by whose protocol and ports the flow is known.
            if (known.Generation != _generation && flow.Part != FlowPart.Error)
                known = Renew(flow, known, isInbound, ends, out decided);
            if (known.IsEnded && flow.Part == FlowPart.Later)
                return false;
            bool goesOn = flow.Part != FlowPart.Opening || known.IsInbound == isInbound;
            if (!known.IsEnded && known.Generation == _generation && goesOn)
                return true;
        }

        bool isGuessed = IsGuessed(flow, now);
        bool isBegunByPeer = isGuessed ? IsLikelyInbound(flow, isInbound) : isInbound;
        decided = Decide(isBegunByPeer, ends, flow.Protocol, isBegunByPeer == isInbound ? flow.Port : flow.ReplyPort);
        if (decided is { IsAllow: false })
        {
            if (isGuessed && !isKnown && flow.Protocol != RuleProtocol.Tcp)
                _flows.Add(flow.Key, new FlowState(isBegunByPeer, _generation, IsEnded: true), now);
            return false;
        }

        switch (flow.Part)
        {
            case FlowPart.LateFragment:
                // Whether a rule for some ports is about it nobody knows: it must be allowed at all of them.
                bool isForAll = decided is not { HasPorts: true };
                decided = null;
                return isForAll;
            case FlowPart.Error:
            case FlowPart.Any when isKnown && known.IsEnded && known.IsInbound != isBegunByPeer:
                return true; // It may be sent, but makes nothing that answers pass by.
            default:
                _flows.Add(flow.Key, new FlowState(isBegunByPeer, _generation), now);
                return true;
        }
    }

    /// <summary>Holds a flow that passed by other rules, or did not, against these.</summary>
    private FlowState Renew(in PacketFlow flow, FlowState known, bool isInbound, in AccessEnds ends, out CompiledRule? decided)
    {
        decided = Decide(known.IsInbound, ends, flow.Protocol, known.IsInbound == isInbound ? flow.Port : flow.ReplyPort);
        bool isEnded = decided is { IsAllow: false };
        _flows.Renew(flow.Key, _generation, isEnded);
        return new FlowState(known.IsInbound, _generation, isEnded);
    }

    /// <summary>True for what may go on with a flow that is not known.</summary>
    private bool IsGuessed(in PacketFlow flow, Timestamp now) => flow.Part switch
    {
        FlowPart.Later when flow.Protocol == RuleProtocol.Tcp => true,
        FlowPart.Later or FlowPart.Any => now - _since < FlowsAreOld,
        _ => false,
    };

    /// <summary>Services have lower ports than those who come to them, as a rule.</summary>
    private static bool IsLikelyInbound(in PacketFlow flow, bool isInbound) =>
        flow.Protocol == RuleProtocol.Icmp && flow.Part == FlowPart.Later ? !isInbound
        : flow.ReplyPort >= flow.Port ? isInbound
        : !isInbound;
}
