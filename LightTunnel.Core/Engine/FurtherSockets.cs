using LightTunnel.Transport;
using LightTunnel.Traversal;

namespace LightTunnel.Engine;

/// <summary>
/// A client's sockets beside its own, for attempts through NATs that give each socket another port. Each attempt gets fresh ones, as a socket that has
/// sent to a peer before has its mapping already. Owned by the control loop.
/// </summary>
internal sealed class FurtherSockets(IDatagramTransport transport, TimeProvider time)
{
    /// <summary>The highest ones look at the NAT.</summary>
    private const int LastSocket = OwnReachability.FirstBurstSocket - 1;

    /// <summary>How often it is looked which sockets nobody needs any more.</summary>
    private static readonly TimeSpan SweepInterval = TimeSpan.FromSeconds(5);

    private readonly HashSet<int> _open = [];
    private long _nextSweep = long.MaxValue;

    /// <summary>How many are open.</summary>
    public int Count => _open.Count;

    /// <summary>True when so many can be opened with numbers in a row.</summary>
    public bool HasRoomFor(int count) => Free(count) >= 0;

    /// <summary>Opens so many with numbers in a row; those that the system refuses are attempts less.</summary>
    /// <returns>The number before the first; -1 when there are not so many numbers.</returns>
    public int Open(int count, long now)
    {
        int before = Free(count);
        for (int socket = before + 1; before >= 0 && socket <= before + count; socket++)
        {
            if (transport.TryOpenSocket(socket))
                _open.Add(socket);
        }

        if (_nextSweep == long.MaxValue)
            _nextSweep = now + time.Ticks(SweepInterval);
        return before;
    }

    /// <summary>Closes the sockets of an attempt but for those that a path leads through; nothing when it got none.</summary>
    public void Close(PeerTraversal traversal, int before, int count)
    {
        if (before < 0)
            return;
        for (int socket = before + 1; socket <= before + count; socket++)
        {
            if (!traversal.Paths.Any(path => path.Key.Socket == socket))
                Close(socket);
        }
    }

    /// <summary>Closes what no attempt waits for and no path leads through; returns when to call again.</summary>
    public long RunTimers(long now, IReadOnlyCollection<Peer> members)
    {
        if (now < _nextSweep)
            return _nextSweep;
        var needed = new HashSet<int>();
        foreach (Peer peer in members)
        {
            if (peer.Traversal is not { } traversal)
                continue;
            if (traversal.SocketBase >= 0)
                needed.UnionWith(Enumerable.Range(traversal.SocketBase + 1, traversal.SocketsWanted));
            foreach (ProbedPath path in traversal.Paths)
                needed.Add(path.Key.Socket);
        }

        foreach (int socket in _open.Where(socket => !needed.Contains(socket)).ToArray())
            Close(socket);
        _nextSweep = _open.Count > 0 ? now + time.Ticks(SweepInterval) : long.MaxValue;
        return _nextSweep;
    }

    /// <summary>The number before so many free ones in a row, -1 when there are none.</summary>
    private int Free(int count)
    {
        int before = 0;
        for (int socket = 1; socket <= before + count; socket++)
        {
            if (_open.Contains(socket))
                before = socket;
        }

        return before + count > LastSocket ? -1 : before;
    }

    private void Close(int socket)
    {
        if (_open.Remove(socket))
            transport.CloseSocket(socket);
    }
}
