using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Routing;

namespace LightTunnel.Engine.Control;

/// <summary>
/// What changed in a tunnel, for whoever watches it. The control loop notes peers that something happened to; at the end of its turn
/// each is compared with what was recorded of it last, so that a path that is lost and found within one turn is no change. Readable
/// from any thread.
/// </summary>
/// <param name="tunnel">Name of the tunnel.</param>
/// <param name="time">Gives each change its time.</param>
/// <param name="viaOf">The member that passes on what is for a peer, or null.</param>
internal sealed class RouteJournal(string tunnel, TimeProvider time, Func<Peer, Peer?> viaOf)
{
    /// <summary>Changes that are kept.</summary>
    public const int Capacity = 1000;

    private readonly Dictionary<Peer, Known> _known = [];
    private readonly HashSet<Peer> _noted = [];
    private TunnelState _state = TunnelState.Starting;
    private string? _reason;

    /// <summary>The changes.</summary>
    public Journal<TunnelChange> Changes { get; } = new(Capacity);

    /// <summary>A peer that was there before this tunnel was started: that is no change.</summary>
    public void Remember(Peer peer) => _known[peer] = Look(peer);

    /// <summary>Something happened to a peer; a new one is known from now on.</summary>
    public void Note(Peer peer)
    {
        if (peer.Addresses.Length > 0)
            _noted.Add(peer);
    }

    /// <summary>Something may have happened to a peer; one that is not known, or not any more, stays so.</summary>
    public void NoteIfKnown(Peer peer)
    {
        if (_known.ContainsKey(peer))
            _noted.Add(peer);
    }

    /// <summary>A peer is no member any more.</summary>
    public void NoteGone(Peer peer)
    {
        _noted.Remove(peer);
        if (_known.Remove(peer, out Known known))
            Record(peer, known, now: null);
    }

    /// <summary>The end of a turn of the control loop.</summary>
    public void FinishTurn(TunnelState state, string? lastError)
    {
        NoteState(state, lastError);
        foreach (Peer peer in _noted)
            Compare(peer);
        _noted.Clear();
    }

    /// <summary>
    /// Records where the tunnel stands, if that is new, or if a client that is not in the network is kept out by something else now.
    /// </summary>
    public void NoteState(TunnelState state, string? lastError)
    {
        string? reason = state == TunnelState.Up ? null : lastError;
        if (state == _state && (state is not (TunnelState.Reconnecting or TunnelState.AwaitingApproval) || reason == _reason))
            return;
        var change = new StateChange(_state, state, reason);
        _state = state;
        _reason = reason;
        Changes.Add(sequence => new TunnelChange { Sequence = sequence, Time = time.GetUtcNow(), Tunnel = tunnel, State = change });
    }

    private void Compare(Peer peer)
    {
        Known now = Look(peer);
        if (!_known.TryGetValue(peer, out Known known))
        {
            Record(peer, before: null, now);
        }
        else if (!known.Addresses.AsSpan().SequenceEqual(now.Addresses))
        {
            Record(peer, known, now: null);
            Record(peer, before: null, now);
        }
        else if (now.DiffersFrom(known))
        {
            // Another attempt begins at once; what somebody wants to know is why it had to.
            if (now.Reason == PathReason.Punching && known.Type is PathType.Lan or PathType.Direct)
                now = now with { Reason = PathReason.PathLost };
            Record(peer, known, now);
        }
        else
        {
            return;
        }

        _known[peer] = now;
    }

    private void Record(Peer peer, Known? before, Known? now)
    {
        TunnelAddress[] addresses = (now ?? before)!.Value.Addresses;
        var change = new RouteChange
        {
            Peer = peer.Name,
            IsServer = peer.IsServer,
            Destinations = [.. addresses.Select(address => IpPrefix.Host(address).ToString())],
            Old = before?.ToPath(),
            New = now?.ToPath(),
            RoundTrip = peer.Online ? peer.RoundTrip : null,
            Loss = peer.Online ? peer.Loss : null,
            Quality = peer.Quality,
        };
        Changes.Add(sequence => new TunnelChange { Sequence = sequence, Time = time.GetUtcNow(), Tunnel = tunnel, Route = change });
    }

    private Known Look(Peer peer) => new(peer.Addresses, peer.PathType, peer.Endpoint, peer.Reason, viaOf(peer)?.Name);

    /// <summary>What was recorded of a peer last.</summary>
    private readonly record struct Known(TunnelAddress[] Addresses, PathType Type, UdpEndpoint Endpoint, PathReason Reason, string? Via)
    {
        /// <summary>
        /// An attempt that goes on is no change, only what comes of it: attempts are made for ever. Nor is another endpoint of the server,
        /// which everything relayed would tell.
        /// </summary>
        public bool DiffersFrom(in Known before) =>
            Type != before.Type
            || (Endpoint != before.Endpoint && Type is PathType.Lan or PathType.Direct or PathType.Relay)
            || (Reason != before.Reason && Reason != PathReason.Punching);

        public RoutePath ToPath() =>
            new(Type, Type != PathType.Offline && Endpoint.IsSpecified ? Endpoint.ToIPEndPoint() : null, Reason) { Via = Via };
    }
}
