using System.Management.Automation;
using LightTunnel.Engine.Control;
using LightTunnel.Management;
using LightTunnel.Membership;

namespace LightTunnel;

/// <summary>Finds tunnels, asks, and takes them down: what the commands that stop a tunnel have in common.</summary>
public abstract class StopCommand : LtCommand
{
    /// <summary>Returns what was stopped, as it was then.</summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter PassThru { get; set; }

    /// <summary>Stops each tunnel that is found and that the person at the prompt agrees to.</summary>
    private protected void Stop(TunnelRole role, string[]? names, LtTunnel? tunnel, string action)
    {
        IReadOnlyList<ITunnelHandle> found = [];
        Run(async (output, cancellationToken) =>
            found = await TunnelFinder.FindAsync(output, role, names, tunnel, cancellationToken).ConfigureAwait(false));
        bool passThru = PassThru;
        foreach (ITunnelHandle handle in found)
        {
            if (!ShouldProcess(handle.Name, action))
                continue;
            Run(
                async (output, cancellationToken) =>
                {
                    // Asked before: a tunnel of another process is out of reach once it is stopped.
                    TunnelStatus? before = passThru ? await handle.GetStatusAsync(cancellationToken).ConfigureAwait(false) : null;
                    await handle.StopAsync(cancellationToken).ConfigureAwait(false);
                    KnownNames.Forget(handle);
                    if (before is not null)
                        output.WriteObject(new FoundTunnel(handle, before with { State = TunnelState.Stopped }).ToObject());
                },
                handle.Name);
        }
    }
}
