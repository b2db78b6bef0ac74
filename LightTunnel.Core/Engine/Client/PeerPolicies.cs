using LightTunnel.Routing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Client;

/// <summary>The path policies that a person has set for single members, by public key. Owned by the control loop.</summary>
/// <param name="known">Those that were kept.</param>
/// <param name="save">Keeps them; called when one has changed, must not block.</param>
internal sealed class PeerPolicies(
    IReadOnlyDictionary<PublicKey, PathPolicy> known, Action<IReadOnlyDictionary<PublicKey, PathPolicy>> save)
{
    private Dictionary<PublicKey, PathPolicy> _policies = new(known);

    /// <summary>None yet, and kept by nobody.</summary>
    public static PeerPolicies Forgotten() => new(new Dictionary<PublicKey, PathPolicy>(), _ => { });

    /// <summary>The member's own policy, null when it has none.</summary>
    public PathPolicy? Of(in PublicKey member) => _policies.TryGetValue(member, out PathPolicy policy) ? policy : null;

    /// <summary>Gives a member its own policy, or takes it back.</summary>
    public void Set(in PublicKey member, PathPolicy? policy)
    {
        if (policy == Of(member))
            return;

        // A copy, as the one that is being saved is read by another thread.
        var changed = new Dictionary<PublicKey, PathPolicy>(_policies);
        if (policy is { } own)
            changed[member] = own;
        else
            changed.Remove(member);
        _policies = changed;
        save(changed);
    }
}
