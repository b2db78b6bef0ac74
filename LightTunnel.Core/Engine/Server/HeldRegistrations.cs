using LightTunnel.Engine.Control;
using LightTunnel.Membership;

namespace LightTunnel.Engine.Server;

/// <summary>A registration that waits until its lease is on the disk.</summary>
/// <param name="Peer">Who registers.</param>
/// <param name="Session">The conversation in which it does.</param>
/// <param name="Register">What it asked for.</param>
/// <param name="Lease">What it is given.</param>
/// <param name="Before">What it had before, as it is on the disk; null for nothing.</param>
internal sealed record HeldRegistration(Peer Peer, ControlSession Session, RegisterMessage Register, Lease Lease, Lease? Before);

/// <summary>
/// Clients that are told of their addresses when these are on the server's disk, not before: after a crash an address that somebody uses would be given to
/// another. One save is for all that came in a turn of the control loop. Owned by the control loop.
/// </summary>
internal sealed class HeldRegistrations
{
    private readonly List<(long Number, HeldRegistration Held)> _waiting = [];
    private readonly List<HeldRegistration> _new = [];

    /// <summary>True when some wait for a save that has not begun.</summary>
    public bool IsSaveNeeded => _new.Count > 0;

    /// <summary>Holds a registration back until the next save. One member waits once: what it had before is what it had before the first time.</summary>
    public void Add(HeldRegistration held)
    {
        Lease? before = TryTake(held.Peer, out HeldRegistration? earlier) ? earlier!.Before : held.Before;
        _new.Add(held with { Before = before });
    }

    /// <summary>True when the member's lease is not on the disk yet.</summary>
    public bool Contains(Peer peer) => _new.Exists(held => held.Peer == peer) || _waiting.Exists(each => each.Held.Peer == peer);

    /// <summary>A save with everything that is new has begun.</summary>
    public void OnSaving(long number)
    {
        foreach (HeldRegistration held in _new)
            _waiting.Add((number, held));
        _new.Clear();
    }

    /// <summary>Takes the registrations of which a save, or one after it, has come to an end.</summary>
    public IReadOnlyList<HeldRegistration> Take(long number)
    {
        HeldRegistration[] done = [.. _waiting.Where(each => each.Number <= number).Select(each => each.Held)];
        _waiting.RemoveAll(each => each.Number <= number);
        return done;
    }

    private bool TryTake(Peer peer, out HeldRegistration? held)
    {
        held = _new.Find(each => each.Peer == peer) ?? _waiting.Find(each => each.Held.Peer == peer).Held;
        _new.RemoveAll(each => each.Peer == peer);
        _waiting.RemoveAll(each => each.Held.Peer == peer);
        return held is not null;
    }
}
