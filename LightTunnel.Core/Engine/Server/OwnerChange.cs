using LightTunnel.Diagnostics;
using LightTunnel.Membership;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Server;

/// <summary>
/// An owner's change of members or invitations that waits until it is in the store. It is made anew for each commit that is tried, as what
/// it builds on may be another by then. Owned by the control loop.
/// </summary>
/// <param name="what">What of the server's it is: "its members".</param>
/// <param name="change">Makes it; may throw what its owner is told.</param>
/// <param name="member">The member that it is about; null when it is about none.</param>
/// <param name="done">Called when it is in the store, and what follows from it is done.</param>
/// <param name="failed">Called when it is not to be, with the reason.</param>
internal sealed class OwnerChange(
    string what, Action<Leases> change, PublicKey? member = null, Action? done = null, Action<LightTunnelException>? failed = null)
{
    private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes when it is in the store and acted upon, fails when it is not to be.</summary>
    public Task Done => _done.Task;

    /// <summary>The member that it is about; null when it is about none.</summary>
    public PublicKey? Member => member;

    /// <summary>Makes the change, to be committed; false when it cannot be made, which its owner is told.</summary>
    public bool TryMake(Leases leases)
    {
        try
        {
            change(leases);
            return true;
        }
        catch (LightTunnelException reason)
        {
            Fail(reason);
            return false;
        }
    }

    /// <summary>It is in the store, and what follows from it is done.</summary>
    public void Complete()
    {
        done?.Invoke();
        _done.TrySetResult();
    }

    /// <summary>It is not in the store, or nobody knows.</summary>
    public void Fail(string reason) => Fail(new LightTunnelException(
        LightTunnelError.FileAccess, $"The server cannot save the change of {what}. {reason}",
        "See that the server can write its state, then try again; Get-LtMember and Get-LtInvitation show what it has."));

    private void Fail(LightTunnelException reason)
    {
        failed?.Invoke(reason);
        _done.TrySetException(reason);
    }
}
