using LightTunnel.Engine.Control;
using LightTunnel.Timing;
using LightTunnel.Transport;
using LightTunnel.Traversal;

namespace LightTunnel.Engine.Client;

/// <summary>
/// A client's sockets beside its own, for attempts through NATs that give each socket another port. Each attempt gets fresh ones, as a socket that has
/// sent to a peer before has its mapping already. Owned by the control loop.
/// </summary>
internal sealed class FurtherSockets(IDatagramTransport transport)
{
    /// <summary>The highest ones look at the NAT.</summary>
    private const int LastSocket = OwnReachability.FirstBurstSocket - 1;

    /// <summary>How often it is looked which sockets nobody needs any more.</summary>
    private static readonly TimeSpan SweepInterval = TimeSpan.FromSeconds(5);

    private readonly HashSet<int> _open = [];
    private Timestamp _nextSweep = Timestamp.Never;

    /// <summary>How many are open.</summary>
    public int Count => _open.Count;

    /// <summary>True when so many can be opened.</summary>
    public bool HasRoomFor(int count) => LastSocket - _open.Count >= count;

    /// <summary>Opens so many for an attempt; those that the system refuses are guesses less. None when there is no room for all.</summary>
    public void Open(AttemptSockets attempt, Timestamp now)
    {
        if (attempt.Wanted == 0 || !HasRoomFor(attempt.Wanted))
            return;
        int[] free = [.. Enumerable.Range(1, LastSocket).Where(socket => !_open.Contains(socket)).Take(attempt.Wanted)];
        foreach (int socket in free)
        {
            if (transport.TryOpenSocket(socket))
                _open.Add(socket);
        }

        attempt.Assign(free);
        if (_nextSweep == Timestamp.Never)
            _nextSweep = now + SweepInterval;
    }

    /// <summary>Closes the sockets of an attempt but for those that a path leads through.</summary>
    public void Close(PeerTraversal traversal, IReadOnlyList<int> numbers)
    {
        foreach (int socket in numbers)
        {
            if (!traversal.Paths.Any(path => path.Key.Socket == socket))
                Close(socket);
        }
    }

    /// <summary>Closes what no attempt waits for and no path leads through; returns when to call again.</summary>
    public Timestamp RunTimers(Timestamp now, IReadOnlyCollection<Peer> members)
    {
        if (now < _nextSweep)
            return _nextSweep;
        var needed = new HashSet<int>();
        foreach (Peer peer in members)
        {
            if (peer.Traversal is not { } traversal)
                continue;
            needed.UnionWith(traversal.Sockets.Numbers);
            foreach (ProbedPath path in traversal.Paths)
                needed.Add(path.Key.Socket);
        }

        foreach (int socket in _open.Where(socket => !needed.Contains(socket)).ToArray())
            Close(socket);
        _nextSweep = _open.Count > 0 ? now + SweepInterval : Timestamp.Never;
        return _nextSweep;
    }

    private void Close(int socket)
    {
        if (_open.Remove(socket))
            transport.CloseSocket(socket);
    }
}
