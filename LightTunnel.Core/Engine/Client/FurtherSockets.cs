using LightTunnel.Addressing;
using LightTunnel.Engine.Control;
using LightTunnel.Timing;
using LightTunnel.Traversal;

namespace LightTunnel.Engine.Client;

/// <summary>
/// A client's sockets beside its own, for attempts through NATs that give each socket another port. Each attempt gets fresh ones, as a
/// socket that has sent to a member before has its mapping already. Owned by the control loop.
/// </summary>
internal sealed class FurtherSockets(TurnOutputs outputs)
{
    /// <summary>The others look at the NAT.</summary>
    private const int Maximum = LocalEnd.MaximumFurther - OwnReachability.BurstSockets;

    /// <summary>How often it is looked which sockets nobody needs any more.</summary>
    private static readonly TimeSpan SweepInterval = TimeSpan.FromSeconds(5);

    private readonly HashSet<LocalEnd> _open = [];
    private int _opening;
    private Timestamp _nextSweep = Timestamp.Never;

    /// <summary>How many are open.</summary>
    public int Count => _open.Count;

    /// <summary>True when so many can be opened.</summary>
    public bool HasRoomFor(int count) => Maximum - _open.Count - _opening >= count;

    /// <summary>
    /// Opens so many for an attempt, which has them in the next turn; those that the system refuses are guesses less. None when there is no
    /// room for all.
    /// </summary>
    /// <param name="attempt">Takes them.</param>
    /// <param name="now">The present.</param>
    /// <param name="opened">Called when the attempt has them.</param>
    public void Open(AttemptSockets attempt, Timestamp now, Action opened)
    {
        int wanted = attempt.Wanted;
        if (wanted == 0 || !HasRoomFor(wanted))
            return;
        _opening += wanted;
        attempt.Await();
        outputs.Open(wanted, sockets =>
        {
            _opening -= wanted;
            _open.UnionWith(sockets);
            // What an attempt that has ended meanwhile does not take is closed when it is looked which are needed.
            if (!attempt.IsOpening || attempt.Wanted != wanted)
                return;
            attempt.Assign(sockets);
            opened();
        });
        if (_nextSweep == Timestamp.Never)
            _nextSweep = now + SweepInterval;
    }

    /// <summary>Closes the sockets of an attempt but for those that a path leads through.</summary>
    public void Close(PeerTraversal traversal, IReadOnlyList<LocalEnd> sockets)
    {
        foreach (LocalEnd socket in sockets)
        {
            if (!traversal.Paths.Any(path => path.Key.Local == socket))
                Close(socket);
        }
    }

    /// <summary>Closes what no attempt waits for and no path leads through; returns when to call again.</summary>
    public Timestamp RunTimers(Timestamp now, IReadOnlyCollection<Member> members)
    {
        if (now < _nextSweep)
            return _nextSweep;
        var needed = new HashSet<LocalEnd>();
        foreach (Member member in members)
        {
            if (member.Traversal is not { } traversal)
                continue;
            needed.UnionWith(traversal.Sockets.Opened);
            foreach (ProbedPath path in traversal.Paths)
                needed.Add(path.Key.Local);
        }

        foreach (LocalEnd socket in _open.Where(socket => !needed.Contains(socket)).ToArray())
            Close(socket);
        _nextSweep = _open.Count + _opening > 0 ? now + SweepInterval : Timestamp.Never;
        return _nextSweep;
    }

    private void Close(LocalEnd socket)
    {
        if (_open.Remove(socket))
            outputs.Close(socket);
    }
}
