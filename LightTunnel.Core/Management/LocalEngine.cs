using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Engine;
using LightTunnel.Engine.Client;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Probing;
using LightTunnel.Engine.Server;
using LightTunnel.Membership;
using LightTunnel.Membership.Signing;
using LightTunnel.Membership.Store;
using LightTunnel.PortMapping;
using LightTunnel.Transport;
using LightTunnel.Tun;
using LightTunnel.WindowsNetwork;
using LightTunnel.WireGuard;

namespace LightTunnel.Management;

/// <summary>
/// Starts tunnels in this process: settings checked, state opened, socket and device made, node and threads started, in this order.
/// </summary>
internal sealed class LocalEngine(TunnelEnvironment environment) : ITunnelEngine
{
    /// <summary>How long other processes are asked whether they have joined the same network.</summary>
    private static readonly TimeSpan JoinedAlreadyPatience = TimeSpan.FromSeconds(3);

    /// <summary>A client that is started with another key than it has kept tries those for so long as well.</summary>
    private static readonly TimeSpan TryKeptKeys = TimeSpan.FromDays(30);

    /// <inheritdoc/>
    public async Task<ITunnelHandle> StartServerAsync(ServerSettings settings, Action? prepared, CancellationToken cancellationToken)
    {
        ServerOptions options = SettingsResolver.Resolve(settings);
        LocalTunnel server = await Task.Run(() => StartServer(settings, options), cancellationToken).ConfigureAwait(false);
        prepared?.Invoke();
        return server;
    }

    /// <inheritdoc/>
    public async Task<ITunnelHandle> ConnectAsync(ClientSettings settings, Action? prepared, CancellationToken cancellationToken)
    {
        ClientOptions options = SettingsResolver.Resolve(settings, environment.Time);
        (LocalTunnel handle, Tunnel tunnel, ClientRole client) = await StartClientAsync(
            settings, options, cancellationToken).ConfigureAwait(false);
        prepared?.Invoke();
        try
        {
            Task first = await Task.WhenAny(client.Connected, tunnel.Stopped).WaitAsync(cancellationToken).ConfigureAwait(false);
            if (first == tunnel.Stopped)
                throw Ended(tunnel);
            await client.Connected.ConfigureAwait(false);
            return handle;
        }
        catch (OperationCanceledException exception)
        {
            Task<LightTunnelException> answer = tunnel.Node.AskAsync(client.Unreachable);
            await Task.WhenAny(answer, tunnel.Stopped).ConfigureAwait(false);
            LightTunnelException reason = answer.IsCompletedSuccessfully ? await answer.ConfigureAwait(false) : Ended(tunnel);
            await handle.StopAsync(CancellationToken.None).ConfigureAwait(false);
            throw new OperationCanceledException(exception.Message, reason, cancellationToken);
        }
        catch
        {
            await handle.StopAsync(CancellationToken.None).ConfigureAwait(false);
            throw;
        }
    }

    /// <inheritdoc/>
    public ServerSettings ReadServerSettings(string path) => ConfigurationFile.LoadServer(path);

    /// <inheritdoc/>
    public ClientSettings ReadClientSettings(string path) => ConfigurationFile.LoadClient(path);

    /// <inheritdoc/>
    public IReadOnlyList<ConfigurationProblem> CheckConfiguration(string path) => ConfigurationFile.Check(path);

    private async Task<(LocalTunnel Handle, Tunnel Tunnel, ClientRole Role)> StartClientAsync(
        ClientSettings settings, ClientOptions options, CancellationToken cancellationToken)
    {
        try
        {
            return await Task.Run(() => StartClient(settings, options), cancellationToken).ConfigureAwait(false);
        }
        catch (LightTunnelException exception) when (exception.Error == LightTunnelError.StateInUse)
        {
            throw await JoinedAlreadyAsync(options.ServerKey.ToString(), cancellationToken).ConfigureAwait(false) ?? exception;
        }
    }

    /// <summary>
    /// What is most often behind a state that is in use: the network is joined already, in this process or another. Null when it is not.
    /// </summary>
    private static async Task<LightTunnelException?> JoinedAlreadyAsync(string serverKey, CancellationToken cancellationToken)
    {
        TunnelSearch search = await TunnelCatalog.FindAsync(
            TunnelRole.Client, JoinedAlreadyPatience, cancellationToken).ConfigureAwait(false);
        foreach (ITunnelHandle tunnel in search.Tunnels)
        {
            try
            {
                TunnelStatus status = await tunnel.GetStatusAsync(cancellationToken)
                    .WaitAsync(JoinedAlreadyPatience, cancellationToken).ConfigureAwait(false);
                if (status.ServerKey != serverKey)
                    continue;
                return new LightTunnelException(
                    LightTunnelError.AlreadyJoined,
                    $"This machine has joined the network already, as '{status.Name}' ({status.State}, process {status.ProcessId}).",
                    $"Get-LtNetwork {status.Name} shows it, Disconnect-LtNetwork {status.Name} leaves it.")
                { Target = status.Name };
            }
            catch (Exception exception) when (exception is LightTunnelException or TimeoutException)
            {
                // It has stopped, or does not answer: then the state that is in use is all there is to say.
            }
        }

        return null;
    }

    private static LightTunnelException Ended(Tunnel tunnel) => new(
        LightTunnelError.Stopped,
        $"The tunnel '{tunnel.Options.Name}' ended while it was being set up{(tunnel.Failure is { } failure ? $": {failure}" : ".")}",
        "Try again; the log tells more.",
        tunnel.Stopped.Exception?.InnerException) { Target = tunnel.Options.Name };

    private LocalTunnel StartServer(ServerSettings settings, ServerOptions options)
    {
        options = options with { Routes = CheckRoutes(options) };
        using var undo = new Undo();
        StateStore store = undo.Add(OpenState(options));
        NodeState state = OpenServerState(store, options, out bool isOtherKey);
        PrivateKey identity = undo.Add(new PrivateKey(state.PrivateKey));
        PresharedKeyRing networkKeys = undo.Add(new PresharedKeyRing(state.NetworkKeys!));

        NodeServices services = OpenServices(options, store, identity.PublicKey, undo);
        int mtu = options.Mtu ?? TunnelOptions.DefaultMtu;
        LightTunnelException? unset = services.Tun.Configure(options.Addresses, mtu);
        var facts = undo.Add(new FileStore(store, state, services.Log));
        var leases = new Leases(options.Addresses, serverName: options.Name) { MemberExpiry = options.MemberExpiry };
        facts.Read(INetworkStore.Everything, changes => leases.TakeOver(changes));
        var addresses = new RememberedAddresses(environment.Addresses, services.Log, environment.Time);
        var node = undo.Add(new Node(
            identity, networkKeys, options.Cipher, services,
            made => new ServerRole(made, options, identity, leases, facts, addresses, facts)));
        if (unset is not null)
            node.Notice(unset);
        if (options.NetworkKey is { } given && !state.NetworkKeys!.Has(given.Bytes))
            node.Notice(FormerKey(state.NetworkKeys));
        if (isOtherKey)
        {
            services.Log.Warning(
                "This server was started with another network key than it had: members need new invitations. Update-LtNetworkKey changes "
                    + "the key so that they follow");
        }

        return Publish(SettingsResolver.Lasting(settings, options), options, node, services, undo).Handle;
    }

    private (LocalTunnel Handle, Tunnel Tunnel, ClientRole Role) StartClient(ClientSettings settings, ClientOptions options)
    {
        options = options with { Routes = CheckRoutes(options) };
        using var undo = new Undo();
        StateStore store = undo.Add(OpenState(options));
        NodeState? loaded = store.Load(TunnelRole.Client);
        NodeState state = loaded ?? new NodeState { Role = TunnelRole.Client, PrivateKey = GenerateIdentity() };
        if (loaded is null)
            store.Save(state);
        PrivateKey identity = undo.Add(new PrivateKey(state.PrivateKey));
        SigningMemory kept = state.Signing.GetValueOrDefault(options.ServerKey) ?? SigningMemory.None;
        SigningMemory signing = SigningPins.Resolve(options, kept);

        NodeServices services = OpenServices(options, store, identity.PublicKey, undo);
        var saver = undo.Add(new StateSaver(store, state, services.Log));
        NetworkKeySet keys = NetworkKeySet.Merge(
            state.ToldKeys.GetValueOrDefault(options.ServerKey), options.NetworkKey.Bytes, environment.Time.GetUtcNow(), TryKeptKeys);
        if (state.ToldKeys.TryGetValue(options.ServerKey, out NetworkKeySet? before) && before != keys && before.Key == keys.Key)
            saver.Save(current => WithKeys(current, options.ServerKey, keys)); // Some of them are over.
        var networkKeys = undo.Add(new PresharedKeyRing(keys));
        IReadOnlyList<InterfaceAddress> last = state.LastAddresses.GetValueOrDefault(options.ServerKey) ?? [];
        var addresses = new RememberedAddresses(environment.Addresses, services.Log, environment.Time);
        if (!SigningPublicKey.AreSame(kept.Keys, signing.Keys))
            saver.Save(current => SigningPins.With(current, options.ServerKey, signing));
        var node = undo.Add(new Node(identity, networkKeys, options.Cipher, services, made => new ClientRole(
            made, options, identity, last, leased => saver.Save(current => WithLastAddresses(current, options.ServerKey, leased)),
            environment.Resolver, addresses,
            new PeerPolicies(state.PeerPolicies, policies => saver.Save(current => current with { PeerPolicies = policies })),
            new PinnedKeys(
                state.Pins.GetValueOrDefault(options.ServerKey) ?? [], options.KeyChange, environment.Time,
                pins => saver.Save(current => WithPins(current, options.ServerKey, pins))),
            new SignedMembers(
                new SigningTrust(options.ServerKey, signing.Keys), signing, environment.Time,
                seen => saver.Save(current => SigningPins.With(current, options.ServerKey, signing with { Seen = seen }))),
            (told, done) => saver.Save(current => WithKeys(current, options.ServerKey, told), () => made.Post(done)))));
        var client = (ClientRole)node.Role;
        if (keys.IsReplaced(options.NetworkKey.Bytes))
            TellFormerKey(services.Log, keys, isWritten: settings is { NetworkKey: not null, InvitationSecret: null });
        (LocalTunnel handle, Tunnel tunnel) = Publish(SettingsResolver.Lasting(settings, options), options, node, services, undo);
        node.Post(client.Connect);
        return (handle, tunnel, client);
    }

    /// <summary>What can be offered of what is to be, on a machine that can do all that is asked of it.</summary>
    private IReadOnlyList<OfferedRoute> CheckRoutes(TunnelOptions options)
    {
        GatewayForwarding.Check(environment.Forwarding, options.Routes);
        ExitTaking.Check(environment.Exits, options.Routes, options.Exit);
        return ExitTaking.Offered(environment.Exits, options.Routes);
    }

    private NodeState OpenServerState(StateStore store, ServerOptions options, out bool isOtherKey)
    {
        NodeState? loaded = store.Load(TunnelRole.Server);
        NodeState state = loaded ?? new NodeState { Role = TunnelRole.Server, PrivateKey = GenerateIdentity() };
        NetworkKeySet keys = KeysOf(state.NetworkKeys, options.NetworkKey, environment.Time.GetUtcNow());
        isOtherKey = state.NetworkKeys is { } before && before.Number != keys.Number;
        if (loaded is not null && keys == state.NetworkKeys)
            return state;
        state.NetworkKeys?.ZeroOthersThan(keys);
        state = state with { NetworkKeys = keys };
        store.Save(state);
        return state;
    }

    /// <summary>
    /// A server's keys at its start: those of its state, but for what is over. Another key that a person gives is the network's from now
    /// on, and no other is good; one that was the network's before is not meant to come back, as somebody has it who should not.
    /// </summary>
    private static NetworkKeySet KeysOf(NetworkKeySet? kept, PresharedKey? given, DateTimeOffset now)
    {
        if (kept is null)
        {
            using PresharedKey key = given is null ? PresharedKey.Generate() : new PresharedKey(given.Bytes);
            return new NetworkKeySet { Key = key.Bytes.ToArray() };
        }

        return given is null || kept.Has(given.Bytes) || kept.IsReplaced(given.Bytes)
            ? kept.At(now)
            : kept.Follow(given.Bytes, NetworkKeySet.NumberOf(kept.Number, now), now, TimeSpan.Zero);
    }

    /// <summary>A server finds its key in its state, where it is best kept.</summary>
    private static LightTunnelException FormerKey(NetworkKeySet keys) => new(
        LightTunnelError.InvalidKey,
        $"This server was started with a network key that was changed since ({keys.Changed:u}): the key of now, which its state has, is "
            + "used.",
        "Take networkKey out of its configuration file, or -NetworkKey out of the command that starts it.");

    /// <summary>An invitation, or what a service was made of, has the key of its day; one that a person wrote down can change.</summary>
    private static void TellFormerKey(TunnelLog log, NetworkKeySet keys, bool isWritten)
    {
        if (isWritten)
        {
            log.Warning(
                "This tunnel was started with a network key that was changed since ({Changed:u}): the key of now, which its state has, is "
                    + "used. Put that in its place in the configuration file or command (networkKey, -NetworkKey), or join by a new "
                    + "invitation: without the state the former one is worth nothing",
                keys.Changed);
        }
        else
        {
            log.Information(
                "The network's key was changed since this tunnel was set up ({Changed:u}): the key of now, which its state has, is used",
                keys.Changed);
        }
    }

    private static NodeState WithKeys(NodeState state, PublicKey server, NetworkKeySet keys) => state with
    {
        ToldKeys = new Dictionary<PublicKey, NetworkKeySet>(state.ToldKeys) { [server] = keys },
    };

    private static NodeState WithLastAddresses(NodeState state, PublicKey server, IReadOnlyList<InterfaceAddress> addresses) => state with
    {
        LastAddresses = new Dictionary<PublicKey, IReadOnlyList<InterfaceAddress>>(state.LastAddresses) { [server] = addresses },
    };

    private static NodeState WithPins(NodeState state, PublicKey server, IReadOnlyList<MemberPin> pins) => state with
    {
        Pins = new Dictionary<PublicKey, IReadOnlyList<MemberPin>>(state.Pins) { [server] = pins },
    };

    private static byte[] GenerateIdentity()
    {
        using PrivateKey key = PrivateKey.Generate();
        return Convert.FromBase64String(key.Reveal());
    }

    /// <summary>Beside the log, or in the state folder when there is none.</summary>
    private static string SecurityPathOf(TunnelOptions options) => PathOf(options, "security");

    /// <summary>What was done to members is a server's to tell.</summary>
    private static string? AuditPathOf(TunnelOptions options) => options is ServerOptions ? PathOf(options, "audit") : null;

    private static string PathOf(TunnelOptions options, string kind) =>
        options.LogPath is { } log ? Path.ChangeExtension(log, $".{kind}.log") : Path.Combine(options.StatePath, $"{kind}.log");

    /// <summary>The state. A folder that is refused is told in the security log as well, if that is not in the folder itself.</summary>
    private StateStore OpenState(TunnelOptions options)
    {
        try
        {
            return StateStore.Open(options.StatePath);
        }
        catch (LightTunnelException refusal) when (refusal.IsSuspicious && options.LogPath is not null)
        {
            try
            {
                using var security = new SecurityLog(options.Name, environment.Time, SecurityPathOf(options));
                security.Write(SecurityEvent.FolderRefused, options.StatePath, refusal.Message);
            }
            catch (LightTunnelException)
            {
                // The log's folder is refused as well; one of the two is enough of an error.
            }

            throw;
        }
    }

    private NodeServices OpenServices(TunnelOptions options, StateStore store, PublicKey identity, Undo undo)
    {
        TunnelLog log = undo.Add(new TunnelLog(
            options.Name, environment.Time, options.LogLevel, options.LogPath, securityPath: SecurityPathOf(options),
            auditPath: AuditPathOf(options)));
        if (environment.DriverLogs is { } listen)
            undo.Add(listen(log));
        IDatagramTransport transport = undo.Add(environment.Transports.Open(options.ListenPort, options.DataPath));
        // A queue more than the socket has would bring nothing.
        ITunDevice tun = undo.Add(environment.TunDevices.Create(
            options.InterfaceName, options.DataPath with { Queues = transport.Queues }, AdapterId.Of(identity.Bytes)));
        bool mapsPort = options is ClientOptions { PortMapping: true };
        var services = new NodeServices(environment.Time, tun, transport, log)
        {
            LastUsed = store.LastUsed,
            PortMapper = undo.Add(mapsPort && environment.PortMappers is { } make ? make(log) : new NoPortMapper()),
        };
        if (services.IsClockBehind)
        {
            log.Warning(
                "This machine's clock says {Now:u}, but this tunnel ran at {Used:u} already: it was set back. Handshakes go on from the "
                    + "later time, so that others take them",
                environment.Time.GetUtcNow(), services.LastUsed);
        }

        return services;
    }

    /// <summary>What tells Windows of the tunnel; null elsewhere. Taken down before the adapter is.</summary>
    private (WindowsPresence Presence, WindowsProblems Problems)? OpenPresence(
        TunnelOptions options, Node node, NodeServices services, Undo undo)
    {
        if (environment.Windows is not { } windows || services.Tun is not IWindowsAdapter adapter)
            return null;
        (string role, int second) = node.Role is ServerRole server ? ("server", server.ObserverPort) : ("client", 0);
        int[] ports = [.. new[] { services.Transport.LocalPort, second }.Where(port => port != 0)];
        var wanted = new PresenceOptions(
            $"{role} {options.Name}", services.Tun.Name, adapter.Id, ports, Environment.ProcessPath, options.NetworkCategory,
            options.AllowInbound);
        WindowsPresence presence = undo.Add(windows.Place(wanted, services.Log));
        return (presence, new WindowsProblems(presence, adapter.Id, windows.Read));
    }

    /// <summary>
    /// What forwards to the networks behind this machine. Taken down before the interface is. What a tunnel of this name that was killed
    /// has left is put back first, whether this one has such networks or not.
    /// </summary>
    private GatewayForwarding OpenForwarding(TunnelOptions options, NodeServices services, Undo undo)
    {
        var record = new ForwardingRecordFile(options.StatePath);
        environment.Forwarding?.Recover(record, services.Log);
        var forwarding = new GatewayForwarding(environment.Forwarding, services.Tun.Name, record, services.Log);
        undo.Add(forwarding).Prepare(options.Routes);
        return forwarding;
    }

    /// <summary>The same of what has the machine go out by an exit node.</summary>
    private ExitTaking OpenExit(TunnelOptions options, Node node, NodeServices services, Undo undo)
    {
        var record = new ForwardingRecordFile(options.StatePath, ForwardingRecordFile.ExitFileName);
        environment.Exits?.Recover(record, keepsKillSwitch: options.Exit is { Node: not null, KillSwitch: true }, services.Log);
        ExitTaking exit = undo.Add(new ExitTaking(environment.Exits, services.Tun.Name, record, services.Log));
        node.Subnets.ExitChanged = exit.OnState;
        return exit;
    }

    private (LocalTunnel Handle, Tunnel Tunnel) Publish(
        TunnelSettings settings, TunnelOptions options, Node node, NodeServices services, Undo undo)
    {
        (WindowsPresence Presence, WindowsProblems Problems)? windows = OpenPresence(options, node, services, undo);
        GatewayForwarding forwarding = OpenForwarding(options, services, undo);
        ExitTaking exit = OpenExit(options, node, services, undo);
        node.MapNetworks([.. options.Routes.Where(route => !route.IsExit).Select(route => route.Pair)]);
        var tunnel = new Tunnel(options, node, services, undo.Keep());
        var handle = new LocalTunnel(tunnel, settings, windows?.Problems, forwarding, exit);
        services.Log.Information(
            "The tunnel {Tunnel} has started: interface {Interface}, UDP port {Port}", options.Name, services.Tun.Name,
            services.Transport.LocalPort);
        try
        {
            if (TunnelCatalog.Register(handle) is { } hidden)
                TellHidden(services.Log, hidden);
        }
        catch (LightTunnelException)
        {
            tunnel.StopAsync().GetAwaiter().GetResult();
            throw;
        }

        // Not before it is known that no other tunnel has the name, from which those of the rules are made.
        windows?.Presence.Begin();
        forwarding.Begin();
        exit.Change(options.Exit);
        tunnel.Stopped.ContinueWith(_ => TunnelCatalog.Unregister(handle), TaskScheduler.Default);
        return (handle, tunnel);
    }

    private static void TellHidden(TunnelLog log, LightTunnelException reason)
    {
        if (reason.IsSuspicious)
        {
            log.Security(
                SecurityEvent.FolderRefused, $"{reason.Target}",
                $"Other sessions of this machine do not see this tunnel: {reason.Message}");
        }
        else
        {
            log.Warning("Other sessions of this machine do not see this tunnel: {Reason}", reason.Message);
        }
    }
}
