using LightTunnel.Diagnostics;

namespace LightTunnel.Management;

/// <summary>The tunnels of one process, and the control socket at which others ask for them as long as there is one. Any thread.</summary>
/// <param name="transport">Where the socket is.</param>
internal sealed class RunningTunnels(Func<ControlTransport> transport)
{
    private readonly Lock _gate = new();
    private ITunnelHandle[] _all = [];
    private ControlSocketServer? _controlSocket;

    /// <summary>All of them, in the order of their start. A snapshot.</summary>
    public IReadOnlyList<ITunnelHandle> All => Volatile.Read(ref _all);

    /// <summary>Adds one.</summary>
    /// <returns>Null, or why other processes cannot see it.</returns>
    /// <exception cref="LightTunnelException">NameInUse.</exception>
    public LightTunnelException? Add(ITunnelHandle tunnel)
    {
        lock (_gate)
        {
            if (_all.Any(other => string.Equals(other.Name, tunnel.Name, StringComparison.OrdinalIgnoreCase)))
            {
                throw new LightTunnelException(
                    LightTunnelError.NameInUse,
                    $"A tunnel named '{tunnel.Name}' runs in this process already.",
                    "Stop it first, or give the new one another -Name.")
                { Target = tunnel.Name };
            }

            Volatile.Write(ref _all, [.. _all, tunnel]);
            if (_controlSocket is not null)
                return null;
            try
            {
                _controlSocket = ControlSocketServer.Start(transport(), () => All);
                return null;
            }
            catch (LightTunnelException exception)
            {
                return exception;
            }
        }
    }

    /// <summary>Removes one, if it is there; with the last one the control socket goes too.</summary>
    public void Remove(ITunnelHandle tunnel)
    {
        lock (_gate)
        {
            Volatile.Write(ref _all, [.. _all.Where(other => !ReferenceEquals(other, tunnel))]);
            if (_all.Length > 0 || _controlSocket is null)
                return;

            // Inside the gate: the next tunnel's socket has the same name, and would be deleted.
            _controlSocket.Dispose();
            _controlSocket = null;
        }
    }
}
