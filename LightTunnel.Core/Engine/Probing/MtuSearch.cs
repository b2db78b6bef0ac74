using LightTunnel.Addressing;
using LightTunnel.Engine.Control;
using LightTunnel.Membership;
using LightTunnel.Routing;
using LightTunnel.Timing;

namespace LightTunnel.Engine.Probing;

/// <summary>
/// Looks, for a test, for the longest packet that goes to a peer and back, by the path that the link takes. Unlike what goes on all the
/// time, the answers are as long as the questions, as far as a control frame can be. Owned by the control loop.
/// </summary>
internal sealed class MtuSearch(Node node, Peer peer)
{
    private readonly PathMtu _search = new(Overheads.Of(peer.Path), peer.NetworkMtu);
    private readonly Dictionary<uint, int> _waiting = [];
    private readonly List<int> _sizes = [];

    /// <summary>Longest packet that passed, bytes; null when none did.</summary>
    public int? Longest => _search.Size;

    /// <summary>True when the search has ended.</summary>
    public bool IsDone { get; private set; }

    /// <summary>Sends what is due; returns when to call again.</summary>
    public Timestamp Run(Timestamp now)
    {
        _sizes.Clear();
        Timestamp next = IsDone ? Timestamp.Never : _search.Run(now, peer.RoundTrip, busy: true, answers: true, _sizes);
        foreach (int size in _sizes)
            _waiting[node.SendLongPing(peer, size)] = size;
        IsDone = !_search.IsSearching;
        return IsDone ? Timestamp.Never : next;
    }

    /// <summary>A ping was too long for this machine's own network, perhaps one of this search. Run afterwards.</summary>
    public void OnTooLong(uint transaction)
    {
        if (_waiting.Remove(transaction, out int size))
            _search.OnTooLong(size);
    }

    /// <summary>Takes a pong; false when it is not of this search.</summary>
    public bool TryTakePong(in ControlFrame pong)
    {
        if (!_waiting.Remove(pong.Number, out int size))
            return false;
        _search.OnAnswer(size);
        return true;
    }
}
