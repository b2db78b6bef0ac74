using LightTunnel.Diagnostics;
using LightTunnel.Membership;

namespace LightTunnel.Engine.Server;

/// <summary>
/// An owner's change of the invitations that waits until it is in the store. It is made anew for each commit that is tried, as what it
/// builds on may be another by then. Owned by the control loop.
/// </summary>
/// <param name="change">Makes it; may throw what its owner is told.</param>
internal sealed class InvitationChange(Action<Invitations> change)
{
    private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes when it is in the store, fails when it is not to be.</summary>
    public Task Done => _done.Task;

    /// <summary>Makes the change, to be committed; false when it cannot be made, which its owner is told.</summary>
    public bool TryMake(Invitations invitations)
    {
        try
        {
            change(invitations);
            return true;
        }
        catch (LightTunnelException reason)
        {
            _done.TrySetException(reason);
            return false;
        }
    }

    /// <summary>It is in the store.</summary>
    public void Complete() => _done.TrySetResult();

    /// <summary>It is not in the store, or nobody knows.</summary>
    public void Fail(string reason) => _done.TrySetException(new LightTunnelException(
        LightTunnelError.FileAccess, $"The server cannot save the change of its invitations. {reason}",
        "See that the server can write its state, then try again; Get-LtInvitation shows what it has."));
}
