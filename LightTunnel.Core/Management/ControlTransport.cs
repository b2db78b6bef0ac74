using LightTunnel.Diagnostics;

namespace LightTunnel.Management;

/// <summary>How the processes of one machine with tunnels find and reach each other: one listener per process, named by its id.</summary>
internal abstract class ControlTransport
{
    /// <summary>Connections that one process serves at a time; more wait to be accepted.</summary>
    public const int MaximumConnections = 64;

    /// <summary>Unix sockets on Linux, named pipes on Windows.</summary>
    /// <exception cref="PlatformNotSupportedException">Another system.</exception>
    public static ControlTransport ForThisMachine() =>
        OperatingSystem.IsWindows() ? new ControlPipeTransport()
        : OperatingSystem.IsLinux() ? UnixControlTransport.ForThisNamespace()
        : throw new PlatformNotSupportedException("LightTunnel runs on Linux and Windows.");

    /// <summary>Ids of the other processes that seem to listen; some may be dead already.</summary>
    /// <param name="warnings">Takes one sentence for each place that could not be looked into.</param>
    public abstract IReadOnlyList<int> FindProcesses(ICollection<string> warnings);

    /// <summary>Connects to a process.</summary>
    /// <returns>The connection, or null when nobody listens there any more.</returns>
    /// <exception cref="LightTunnelException">This user may not, or the listener is not to be trusted.</exception>
    public abstract Task<Stream?> ConnectAsync(int processId, CancellationToken cancellationToken);

    /// <summary>Listens for this process.</summary>
    /// <exception cref="LightTunnelException">The place for the socket cannot be made.</exception>
    public abstract ControlListener Listen();
}

/// <summary>Takes connections; disposing it gives the address back.</summary>
internal abstract class ControlListener : IDisposable
{
    /// <summary>The next connection of somebody who is allowed, or null when one was turned away.</summary>
    public abstract Task<Stream?> AcceptAsync(CancellationToken cancellationToken);

    /// <inheritdoc/>
    public abstract void Dispose();
}
