using LightTunnel.Transport;
using LightTunnel.Traversal;

namespace LightTunnel.Engine;

/// <summary>
/// A client's sockets beside its own, for attempts through NATs that give each socket another port. All members share them: a NAT that
/// makes them necessary gives each remote endpoint another mapping of the same socket. Owned by the control loop.
/// </summary>
internal sealed class FurtherSockets(IDatagramTransport transport, TimeProvider time)
{
    /// <summary>How often it is looked which sockets nobody needs any more.</summary>
    private static readonly TimeSpan SweepInterval = TimeSpan.FromSeconds(5);

    private readonly HashSet<int> _open = [];
    private long _nextSweep = long.MaxValue;

    /// <summary>How many are open.</summary>
    public int Count => _open.Count;

    /// <summary>Opens sockets 1 to <paramref name="count"/>; those that the system refuses are attempts less.</summary>
    public void Ensure(int count, long now)
    {
        for (int socket = 1; socket <= count; socket++)
        {
            if (!_open.Contains(socket) && transport.TryOpenSocket(socket))
                _open.Add(socket);
        }

        if (_open.Count > 0 && _nextSweep == long.MaxValue)
            _nextSweep = now + time.Ticks(SweepInterval);
    }

    /// <summary>Closes what no attempt waits for and no path leads through; returns when to call again.</summary>
    public long RunTimers(long now, IReadOnlyCollection<Peer> members)
    {
        if (now < _nextSweep)
            return _nextSweep;
        int wanted = 0;
        var used = new HashSet<int>();
        foreach (Peer peer in members)
        {
            if (peer.Traversal is not { } traversal)
                continue;
            wanted = Math.Max(wanted, traversal.SocketsWanted);
            foreach (ProbedPath path in traversal.Paths)
                used.Add(path.Key.Socket);
        }

        foreach (int socket in _open.Where(socket => socket > wanted && !used.Contains(socket)).ToArray())
        {
            transport.CloseSocket(socket);
            _open.Remove(socket);
        }

        _nextSweep = _open.Count > 0 ? now + time.Ticks(SweepInterval) : long.MaxValue;
        return _nextSweep;
    }
}
