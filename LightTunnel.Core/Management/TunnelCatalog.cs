using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Engine;
using LightTunnel.Membership;

namespace LightTunnel.Management;

/// <summary>
/// The tunnels of this machine (more exactly: of this network namespace): starts them in this process, and finds those of every
/// process. All members may be called from any thread.
/// </summary>
public static class TunnelCatalog
{
    private static readonly Lock Gate = new();
    private static readonly RunningTunnels Running = new(ControlTransport.ForThisMachine);
    private static EndSignals? _signals;

    /// <summary>Time that tunnels get to say goodbye when the process ends; whatever is left then goes with the process anyway.</summary>
    private static readonly TimeSpan ExitGrace = TimeSpan.FromSeconds(2);

    static TunnelCatalog() => AppDomain.CurrentDomain.ProcessExit += (_, _) => StopAll();

    /// <summary>Tunnels that run in this process, in the order of their start. A snapshot.</summary>
    public static IReadOnlyList<ITunnelHandle> Local => Running.All;

    /// <summary>What starts tunnels and reads configuration files. Replaced by tests.</summary>
    internal static ITunnelEngine Engine { get; set; } = new LocalEngine(TunnelEnvironment.System);

    /// <summary>True once a signal has come that ends this process; its tunnels are stopped, and nothing else should begin.</summary>
    public static bool IsProcessEnding => Volatile.Read(ref _signals) is { HasCome: true };

    /// <summary>Starts a server in this process; returns when it listens.</summary>
    /// <exception cref="LightTunnelException">It cannot be started.</exception>
    /// <exception cref="OperationCanceledException">
    /// Cancelled before it was up; nothing is left behind. The inner exception, if any, says what it was waiting for.
    /// </exception>
    /// <param name="settings">What it is to be.</param>
    /// <param name="prepared">Called on any thread when the system has made the interface: what follows is this program's own.</param>
    /// <param name="cancellationToken">Gives it up.</param>
    public static Task<ITunnelHandle> StartServerAsync(ServerSettings settings, Action? prepared, CancellationToken cancellationToken) =>
        Engine.StartServerAsync(settings, prepared, cancellationToken);

    /// <summary>Joins a network in this process; returns when the server has admitted this node.</summary>
    /// <exception cref="LightTunnelException">It cannot be joined.</exception>
    /// <exception cref="OperationCanceledException">
    /// Cancelled before it was up; nothing is left behind. The inner exception, if any, is the <see cref="LightTunnelException"/>
    /// that says what stood in the way so far.
    /// </exception>
    /// <param name="settings">What it is to be, and which network.</param>
    /// <param name="prepared">Called on any thread when the system has made the interface: what follows is up to the server.</param>
    /// <param name="cancellationToken">Gives it up.</param>
    public static Task<ITunnelHandle> ConnectAsync(ClientSettings settings, Action? prepared, CancellationToken cancellationToken) =>
        Engine.ConnectAsync(settings, prepared, cancellationToken);

    /// <summary>What a configuration file says about a server, with the parameters over it.</summary>
    /// <exception cref="LightTunnelException">The file cannot be read, or has an unknown or ill-typed key.</exception>
    public static ServerSettings ReadServerSettings(string path, ServerSettings parameters, Action<string> warn)
    {
        ServerSettings file = Engine.ReadServerSettings(path);
        if (file.NetworkKey is not null)
            SecretFile.CheckMode(path, warn);
        return SettingsResolver.Overlay(file, parameters);
    }

    /// <summary>What a configuration file says about joining a network, with the parameters over it.</summary>
    /// <exception cref="LightTunnelException">The file cannot be read, or has an unknown or ill-typed key.</exception>
    public static ClientSettings ReadClientSettings(string path, ClientSettings parameters, Action<string> warn)
    {
        ClientSettings file = Engine.ReadClientSettings(path);
        if (file.NetworkKey is not null || file.Invitation is not null || file.InvitationSecret is not null)
            SecretFile.CheckMode(path, warn);
        return SettingsResolver.Overlay(file, parameters);
    }

    /// <summary>Everything that is wrong with a configuration file, in the order of its lines; empty when nothing is.</summary>
    /// <exception cref="LightTunnelException">The file cannot be read at all.</exception>
    public static IReadOnlyList<ConfigurationProblem> CheckConfiguration(string path) => Engine.CheckConfiguration(path);

    /// <summary>
    /// The tunnels of this process, then those of every other process that this user may ask. A process that does not answer is
    /// left out and named.
    /// </summary>
    /// <param name="role">Only servers or only clients; null for both.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public static Task<TunnelSearch> FindAsync(TunnelRole? role, CancellationToken cancellationToken) =>
        FindAsync(role, ControlSocketClient.CallTimeout, cancellationToken);

    /// <summary>As <see cref="FindAsync(TunnelRole?, CancellationToken)"/>, with another limit of time for each process.</summary>
    public static async Task<TunnelSearch> FindAsync(TunnelRole? role, TimeSpan limit, CancellationToken cancellationToken)
    {
        IReadOnlyList<ITunnelHandle> local = Local;
        TunnelSearch remote = await new ControlSocketClient(ControlTransport.ForThisMachine(), TimeProvider.System)
            .FindAsync(limit, cancellationToken).ConfigureAwait(false);
        return remote with { Tunnels = [.. local.Concat(remote.Tunnels).Where(tunnel => role is null || tunnel.Role == role)] };
    }

    /// <summary>Makes a tunnel of this process visible to every session of this machine.</summary>
    /// <returns>Null, or why other processes cannot see it: to be logged, for the tunnel itself works.</returns>
    /// <exception cref="LightTunnelException">A tunnel of that name runs in this process already.</exception>
    internal static LightTunnelException? Register(ITunnelHandle tunnel)
    {
        lock (Gate)
        {
            if (_signals is null)
                Volatile.Write(ref _signals, EndSignals.Watch(StopAll));
        }

        return Running.Add(tunnel);
    }

    /// <summary>
    /// A session that is closed, or a service that gets SIGTERM, leaves its networks in order: the others need not wait to notice.
    /// </summary>
    private static void StopAll()
    {
        try
        {
            Task.WhenAll(Local.Select(tunnel => tunnel.StopAsync(CancellationToken.None))).Wait(ExitGrace);
        }
        catch (AggregateException)
        {
            // One that failed has logged it, and nobody is there any more to be told.
        }
    }

    /// <summary>Takes a stopped tunnel from the catalog; with the last one the control socket goes too.</summary>
    internal static void Unregister(ITunnelHandle tunnel) => Running.Remove(tunnel);
}

/// <summary>What a search for tunnels found.</summary>
/// <param name="Tunnels">The tunnels.</param>
/// <param name="Warnings">One sentence for each process that could not be asked.</param>
public sealed record TunnelSearch(IReadOnlyList<ITunnelHandle> Tunnels, IReadOnlyList<string> Warnings)
{
    /// <summary>One error for each process that was asked and did not answer in time: what is missing may be there.</summary>
    public IReadOnlyList<LightTunnelException> NotAnswering { get; init; } = [];
}

/// <summary>What the catalog needs of the engine.</summary>
internal interface ITunnelEngine
{
    /// <inheritdoc cref="TunnelCatalog.StartServerAsync"/>
    Task<ITunnelHandle> StartServerAsync(ServerSettings settings, Action? prepared, CancellationToken cancellationToken);

    /// <inheritdoc cref="TunnelCatalog.ConnectAsync"/>
    Task<ITunnelHandle> ConnectAsync(ClientSettings settings, Action? prepared, CancellationToken cancellationToken);

    /// <summary>What a configuration file says about a server.</summary>
    ServerSettings ReadServerSettings(string path);

    /// <summary>What a configuration file says about joining a network.</summary>
    ClientSettings ReadClientSettings(string path);

    /// <inheritdoc cref="TunnelCatalog.CheckConfiguration"/>
    IReadOnlyList<ConfigurationProblem> CheckConfiguration(string path);
}
