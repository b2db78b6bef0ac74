using LightTunnel.Engine.Control;
using LightTunnel.Membership;
using LightTunnel.Timing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Server;

/// <summary>
/// Tells members the network's key when it is another than the one that they have, and keeps who has it: a member is answered by the newest
/// that it has kept, and others are told which that is. Owned by the control loop.
/// </summary>
internal sealed class NetworkKeyTeller(Node node, Leases leases, ClientRoster roster)
{
    /// <summary>Members that are told in one turn.</summary>
    private const int MembersOfTurn = 256;

    private readonly HashSet<ServedClient> _behind = [];

    /// <summary>Those that were told, and have not said yet that they have it.</summary>
    private readonly HashSet<ServedClient> _asked = [];
    private TaskCompletionSource? _followed;

    private PresharedKeyRing Keys => node.NetworkKeys;

    /// <summary>A member registers: which of the network's keys it has, as it says and as its handshake shows.</summary>
    public void Look(ServedClient peer, RegisterMessage register)
    {
        peer.TakesKeys = register.TakesKeys;
        int shown = peer.Link!.AgreedKeyNumber;
        int said = Keys.All.Any(key => key.Number == register.KeyNumber) ? register.KeyNumber : 0;
        peer.KeyNumber = Math.Max(shown, said);
        leases.NoteKey(peer.Key, peer.KeyNumber);
        peer.Link.Keys = Keys; // As a stranger it was known by the newest only.
    }

    /// <summary>A member is admitted, and told the network's key if it is another than the one that it has kept.</summary>
    public void Begin(ServedClient peer, RegisterMessage register)
    {
        if (register.TakesKeys && register.KeyNumber != Keys.Number)
            Tell(peer);
    }

    /// <summary>A member has kept a key.</summary>
    public void OnTaken(ServedClient peer, NetworkKeyTakenMessage taken)
    {
        if (taken.Number != Keys.Number)
            return;
        _asked.Remove(peer);
        if (peer.KeyNumber != taken.Number)
            roster.NoteKey(peer, taken.Number);
    }

    /// <summary>The network has another key: everybody who is here is told.</summary>
    public void TellAll()
    {
        _asked.Clear();
        _behind.UnionWith(roster.All.Where(peer => peer.TakesKeys && IsHere(peer)));
        node.Wake();
    }

    /// <summary>Completes when each member that is here and was told has it.</summary>
    public Task FollowedAsync() =>
        (_followed ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

    /// <summary>Tells some of those that are to be told; returns when to call again.</summary>
    public Timestamp Run(Timestamp now)
    {
        foreach (ServedClient peer in _behind.Take(MembersOfTurn).ToArray())
        {
            _behind.Remove(peer);
            if (IsHere(peer))
                Tell(peer);
        }

        if (_followed is not null)
        {
            _asked.RemoveWhere(peer => !IsHere(peer));
            if (_behind.Count == 0 && _asked.Count == 0)
            {
                _followed.TrySetResult();
                _followed = null;
            }
        }

        return _behind.Count > 0 ? now : Timestamp.Never;
    }

    private static bool IsHere(ServedClient peer) => peer is { Online: true, Session: { Registered: true, IsBroken: false } };

    private void Tell(ServedClient peer)
    {
        NetworkKeySet keys = Keys.Set;
        TimeSpan left = keys.Former.Count == 0 ? TimeSpan.Zero : keys.Former.Max(key => key.Until) - node.Time.GetUtcNow();
        using var key = new PresharedKey(Keys.Newest.Key.Bytes);
        peer.Session!.Send(new NetworkKeyMessage
        {
            Number = keys.Number,
            Key = key,
            FormerSeconds = (int)Math.Clamp(left.TotalSeconds, 0, NetworkKeyMessage.LongestGrace.TotalSeconds),
        });
        _asked.Add(peer);
    }
}
