using LightTunnel.Access;
using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Engine;
using LightTunnel.Engine.Client;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Data;
using LightTunnel.Engine.Probing;
using LightTunnel.Engine.Server;
using LightTunnel.Membership;
using LightTunnel.Membership.Signing;
using LightTunnel.Routing;
using LightTunnel.WireGuard;

namespace LightTunnel.Management;

/// <summary>A tunnel of this process, as commands see it: asks the control loop, and gives records.</summary>
internal sealed class LocalTunnel : ITunnelHandle
{
    /// <summary>How long members that are here are waited for, to take another network key.</summary>
    private static readonly TimeSpan FollowPatience = TimeSpan.FromSeconds(5);

    /// <summary>How long the system is waited for to go out another way.</summary>
    private static readonly TimeSpan ExitPatience = TimeSpan.FromSeconds(5);

    private readonly Tunnel _tunnel;
    private readonly PeerReport _report;
    private readonly PublicKey _publicKey;
    private readonly WindowsProblems? _windows;
    private readonly GatewayForwarding _forwarding;
    private readonly ExitTaking _exit;
    private volatile TunnelSettings _settings;

    /// <param name="tunnel">The running tunnel.</param>
    /// <param name="settings">What it was started with, as it may be started again.</param>
    /// <param name="windows">Finds what Windows does to the tunnel; null elsewhere.</param>
    /// <param name="forwarding">What forwards to the networks behind this machine.</param>
    /// <param name="exit">What has this machine go out by an exit node.</param>
    public LocalTunnel(
        Tunnel tunnel, TunnelSettings settings, WindowsProblems? windows, GatewayForwarding forwarding, ExitTaking exit)
    {
        _exit = exit;
        _forwarding = forwarding;
        _settings = settings;
        _windows = windows;
        _tunnel = tunnel;
        _publicKey = tunnel.Node.Links.PublicKey;
        _report = new PeerReport(tunnel.Options.Name, tunnel.Services.Tun, tunnel.Services.Time);
    }

    /// <inheritdoc/>
    public string Name => _tunnel.Options.Name;

    /// <inheritdoc/>
    public TunnelRole Role => _tunnel.Options is ServerOptions ? TunnelRole.Server : TunnelRole.Client;

    /// <inheritdoc/>
    public bool IsLocal => true;

    /// <inheritdoc/>
    public Task<TunnelStatus> GetStatusAsync(CancellationToken cancellationToken) => AskAsync(Status, cancellationToken);

    /// <inheritdoc/>
    public async Task<SettingsText> GetSettingsAsync(CancellationToken cancellationToken)
    {
        // Its clients know a server's port, also one that the system chose.
        TunnelSettings settings = _settings is ServerSettings { ListenPort: 0 } server
            ? server with { ListenPort = _tunnel.Services.Transport.LocalPort }
            : _settings;
        if (settings.NetworkKey is not null)
        {
            // It may be another by now than the one that the tunnel was started with.
            using PresharedKey key = await AskAsync(NetworkKey, cancellationToken).ConfigureAwait(false);
            var now = new Secret(key.Reveal());
            settings = settings with { NetworkKey = now };
        }

        return new SettingsText(ConfigurationWriter.Write(settings).Reveal());
    }

    /// <inheritdoc/>
    public Task<IReadOnlyList<PeerStatus>> GetPeersAsync(CancellationToken cancellationToken) =>
        AskAsync(() => _report.Peers(_tunnel.Node), cancellationToken);

    /// <inheritdoc/>
    public async Task<IReadOnlyList<PeerStatus>> FindPeersAsync(string text, CancellationToken cancellationToken)
    {
        if (_tunnel.Node.Role is not ClientRole client || !await AskAsync(() => client.KnowsFew, cancellationToken).ConfigureAwait(false))
            return await GetPeersAsync(cancellationToken).ConfigureAwait(false);
        if (TunnelAddress.TryParse(text, out TunnelAddress address))
        {
            await MeetAsync(MemberSubject.Of(address), cancellationToken).ConfigureAwait(false);
            return await GetPeersAsync(cancellationToken).ConfigureAwait(false);
        }

        Task<IReadOnlyList<DirectoryEntry>> listing = await AskAsync(() => client.ListAsync(text), cancellationToken).ConfigureAwait(false);
        IReadOnlyList<DirectoryEntry> listed = await UnlessStoppedAsync(listing, cancellationToken).ConfigureAwait(false);

        // Of thousands, which would keep the control loop for a second.
        DateTimeOffset now = _tunnel.Services.Time.GetUtcNow();
        (DirectoryEntry, SignatureState)[] others =
        [
            .. listed.Where(entry => entry.PublicKey != _publicKey).Select(entry => (entry, client.Signed.Trust.Check(entry, now))),
        ];
        return await AskAsync(() => _report.Peers(_tunnel.Node, others), cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public Task<IReadOnlyList<RouteStatus>> GetRoutesAsync(CancellationToken cancellationToken) =>
        AskAsync(() => _report.Routes(_tunnel.Node), cancellationToken);

    /// <inheritdoc/>
    public async Task SetRoutesAsync(RouteSettingsChange change, CancellationToken cancellationToken)
    {
        OfferedRoute[] left = await Task.Run(
            () =>
            {
                (IReadOnlyList<OfferedRoute> wanted, _, ExitOptions way) = Read(With(change));
                _forwarding.Check(wanted);
                _exit.Check(wanted, way);
                return wanted.Except(_exit.Offered(wanted)).ToArray();
            },
            cancellationToken).ConfigureAwait(false);
        (IReadOnlyList<OfferedRoute> offered, ExitOptions exit) =
            await AskAsync(() => TakeRoutes(change, left), cancellationToken).ConfigureAwait(false);
        if (change.Route is not null || change.As is not null || change.NoSnat is not null || change.OfferExitNode is not null)
            await Task.Run(() => _forwarding.Change(offered), cancellationToken).ConfigureAwait(false);
        await Task.Run(() => _exit.Change(exit), cancellationToken).ConfigureAwait(false);
        await Task.WhenAny(_exit.Settled, _tunnel.Stopped, Task.Delay(ExitPatience, _tunnel.Services.Time, cancellationToken))
            .ConfigureAwait(false);
    }

    private TunnelSettings With(RouteSettingsChange change)
    {
        TunnelSettings settings = _settings;
        bool isNone = ExitOptions.Nobody.Equals(change.ExitNode?.Trim(), StringComparison.OrdinalIgnoreCase);
        return settings with
        {
            Route = change.Route ?? settings.Route,
            As = change.As ?? (change.Route is null ? settings.As : null),
            NoSnat = change.NoSnat ?? settings.NoSnat,
            AcceptRoute = change.AcceptRoute ?? settings.AcceptRoute,
            ForceRoute = change.ForceRoute ?? settings.ForceRoute,
            OfferExitNode = change.OfferExitNode ?? settings.OfferExitNode,
            ExitNode = isNone ? null : change.ExitNode ?? settings.ExitNode,
            // What is said of no exit node goes with it.
            AllowLan = change.AllowLan ?? (isNone ? null : settings.AllowLan),
            KillSwitch = change.KillSwitch ?? (isNone ? null : settings.KillSwitch),
        };
    }

    /// <summary>What settings say of networks behind nodes; any thread.</summary>
    /// <exception cref="LightTunnelException">Something in them is wrong.</exception>
    private (IReadOnlyList<OfferedRoute> Offered, AcceptedRoutes Accepted, ExitOptions Exit) Read(TunnelSettings settings)
    {
        var check = new SettingsCheck(complete: true);
        IReadOnlyList<OfferedRoute> offered = RouteSettings.Offered(
            settings, [.. _tunnel.Node.Forwarding.OwnAddresses.Select(own => own.Prefix)], check);
        AcceptedRoutes accepted = RouteSettings.Accepted(settings, check);
        ExitOptions exit = RouteSettings.Exit(settings, check);
        check.ThrowFirst();
        return (offered, accepted, exit);
    }

    /// <summary>On the control loop: nothing is changed when something is wrong.</summary>
    /// <param name="change">What is to become another.</param>
    /// <param name="left">What cannot be offered here, and is left out.</param>
    private (IReadOnlyList<OfferedRoute> Offered, ExitOptions Exit) TakeRoutes(RouteSettingsChange change, OfferedRoute[] left)
    {
        TunnelSettings settings = With(change);
        (IReadOnlyList<OfferedRoute> all, AcceptedRoutes accepted, ExitOptions exit) = Read(settings);
        OfferedRoute[] offered = [.. all.Except(left)];
        Node node = _tunnel.Node;
        // A name that is wrong is said at once, and changes nothing.
        if (change.ExitNode is not null && exit.Node is { } name && new ExitChoice(name).Find(node.Subnets.Exits) is null)
            throw NoExit(name, node.Subnets.Exits);
        _settings = settings;
        node.Subnets.ChooseExit(exit.Node);
        node.Subnets.Accept(accepted);
        node.MapNetworks([.. offered.Where(route => !route.IsExit).Select(route => route.Pair)]);
        if (node.Role is ServerRole server)
            server.Routes.Offer(offered);
        else if (node.Role is ClientRole client)
            client.Routes.Offer(offered);
        return (offered, exit);
    }

    private static LightTunnelException NoExit(string name, IReadOnlyList<Peer> exits) => new(
        LightTunnelError.NotFound, $"No member '{name}' offers itself as an exit node and is approved.",
        exits.Count == 0
            ? "Have one offer itself (Set-LtNetwork -OfferExitNode there), and approve it on the server (Approve-LtRoute 0.0.0.0/0)."
            : $"These do: {string.Join(", ", exits.Take(16).Select(exit => exit.Name))}.") { Target = name };

    /// <inheritdoc/>
    public Task<IReadOnlyList<LogEntry>> ReadLogAsync(
        long afterSequence, LogLevel minimumLevel, int tail, CancellationToken cancellationToken) =>
        Task.FromResult(_tunnel.Services.Log.Read(afterSequence, minimumLevel, tail));

    /// <inheritdoc/>
    public Task<IReadOnlyList<LogEntry>> ReadSecurityLogAsync(int tail, CancellationToken cancellationToken) =>
        Task.FromResult(_tunnel.Services.Log.ReadSecurity(tail: tail));

    /// <inheritdoc/>
    public Task<IReadOnlyList<AuditEntry>> ReadAuditAsync(long afterSequence, int tail, CancellationToken cancellationToken) =>
        Task.FromResult(_tunnel.Services.Log.Audited.Read(afterSequence, tail: tail));

    /// <inheritdoc/>
    public Task<IReadOnlyList<AuditEntry>> WaitForAuditAsync(long afterSequence, CancellationToken cancellationToken) =>
        _tunnel.Services.Log.Audited.WaitAsync(afterSequence, wanted: null, cancellationToken);

    /// <inheritdoc/>
    public Task<IReadOnlyList<LogEntry>> WaitForLogAsync(long afterSequence, LogLevel minimumLevel, CancellationToken cancellationToken) =>
        _tunnel.Services.Log.WaitAsync(afterSequence, minimumLevel, cancellationToken);

    /// <inheritdoc/>
    public Task<IReadOnlyList<TunnelChange>> ReadChangesAsync(long afterSequence, int tail, CancellationToken cancellationToken) =>
        Task.FromResult(_tunnel.Node.Journal.Changes.Read(afterSequence, tail: tail));

    /// <inheritdoc/>
    public Task<IReadOnlyList<TunnelChange>> WaitForChangesAsync(long afterSequence, CancellationToken cancellationToken) =>
        _tunnel.Node.Journal.Changes.WaitAsync(afterSequence, wanted: null, cancellationToken);

    /// <inheritdoc/>
    public async Task<InvitationText> CreateInvitationAsync(InvitationRequest request, CancellationToken cancellationToken)
    {
        (ServerOptions server, InvitationDesk desk) = Invitations();
        IReadOnlyList<ServerEndpoint> reachedAt = ReachedAt(server, request.Endpoints);
        var wanted = new InvitationRecord
        {
            Id = 0, Digest = [], Created = default, Name = request.Name, MadeBy = request.MadeBy, Expires = request.Expires,
            MaxUses = request.MaxUses, Groups = GroupName.Read(request.Groups), IsEphemeral = request.IsEphemeral,
            Addresses = [.. request.Addresses.Select(SettingValues.ClientAddress)],
        };
        (Task<InvitationToken> making, PresharedKey key) = await AskAsync(
            () => (desk.CreateAsync(wanted), NetworkKey()), cancellationToken).ConfigureAwait(false);
        using PresharedKey networkKey = key;
        InvitationToken token = await UnlessStoppedAsync(making, cancellationToken).ConfigureAwait(false);
        var invitation = new Invitation
        {
            Endpoints = reachedAt,
            ServerKey = _publicKey,
            NetworkKey = networkKey,
            NetworkName = Name,
            Prefixes = [.. server.Addresses.Select(address => address.Prefix)],
            Expires = request.Expires,
            Token = token,
            SigningKeys = server.SigningKeys,
        };
        return new InvitationText(
            InvitationRecord.TextOf(token.Id), invitation.Reveal(), Name, [.. invitation.Prefixes.Select(prefix => prefix.ToString())],
            [.. reachedAt.Select(endpoint => endpoint.ToString())], _publicKey.ToString(), request.Expires,
            wanted.Addresses.Count > 0 ? 1 : request.MaxUses, request.Name);
    }

    /// <inheritdoc/>
    public Task<IReadOnlyList<InvitationStatus>> GetInvitationsAsync(CancellationToken cancellationToken)
    {
        InvitationDesk desk = Invitations().Desk;
        return AskAsync<IReadOnlyList<InvitationStatus>>(
            () =>
            {
                ILookup<uint, Lease> members = desk.Members;
                DateTimeOffset now = _tunnel.Services.Time.GetUtcNow();
                return [.. desk.All.Select(record => InvitationReport.Of(Name, record, members[record.Id], now))];
            },
            cancellationToken);
    }

    /// <inheritdoc/>
    public async Task RemoveInvitationAsync(string id, string by, CancellationToken cancellationToken)
    {
        InvitationDesk desk = Invitations().Desk;
        uint number = InvitationReport.ReadId(id);
        Task removing = await AskAsync(() => desk.RemoveAsync(number, by), cancellationToken).ConfigureAwait(false);
        await UnlessStoppedAsync(DoneAsync(removing), cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task<PeerTestReport> TestPeerAsync(
        PeerTestRequest request, IProgress<TestProgress>? progress, CancellationToken cancellationToken)
    {
        await MeetAsync(request.PublicKey, cancellationToken).ConfigureAwait(false);
        return await TestAsync(
            () => new PeerTest(_tunnel.Node, Find(request.PublicKey), request, _tunnel.Services.Time, progress),
            cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task<NetworkTestReport> TestNetworkAsync(
        TimeSpan timeout, IProgress<TestProgress>? progress, CancellationToken cancellationToken)
    {
        NetworkTestReport report = await TestAsync(
            () => new NetworkTest(
                _tunnel.Node,
                Client("it has no server whose network could be tested", "Test the network on a client."), timeout,
                _tunnel.Services.Time, progress),
            cancellationToken).ConfigureAwait(false);
        if (_windows is null)
            return report;
        IReadOnlyList<NetworkProblem> found = await Task.Run(
            () => _windows.Find(_tunnel.Node.Forwarding.OwnAddresses, report), cancellationToken)
            .WaitAsync(cancellationToken).ConfigureAwait(false);
        return report with { Problems = [.. report.Problems, .. found] };
    }

    /// <inheritdoc/>
    public async Task SetPeerPolicyAsync(string publicKey, PathPolicy? policy, CancellationToken cancellationToken)
    {
        await MeetAsync(publicKey, cancellationToken).ConfigureAwait(false);
        await AskAsync(
            () =>
            {
                ClientRole client = Client("it cannot choose its paths to clients", "Set the policy on a client.");
                Peer peer = Find(publicKey);
                if (peer is not Member member)
                {
                    throw new LightTunnelException(
                        LightTunnelError.InvalidOption, $"'{peer.Name}' is the server, which is always reached directly.",
                        "Set the policy for another member.") { Target = peer.Name };
                }

                client.SetPolicy(member, policy);
                return true;
            },
            cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public Task ConfirmMemberAsync(string publicKey, CancellationToken cancellationToken) => AskAsync(
        () =>
        {
            ClientRole client = Client("it knows its clients' keys by itself", "Confirm the member on a client.");
            if (PublicKey.TryParse(publicKey, out PublicKey key) && client.Confirm(key))
                return true;
            throw new LightTunnelException(
                LightTunnelError.NotFound, $"No member with the key {publicKey} waits to be confirmed on this machine.",
                "Get-LtPeer | Where-Object PathReason -eq KeyChanged shows those that do.") { Target = publicKey };
        },
        cancellationToken);

    /// <inheritdoc/>
    public async Task<IReadOnlyList<MemberStatus>> GetMembersAsync(CancellationToken cancellationToken)
    {
        SigningTrust trust = Server().Signatures.Trust;
        IReadOnlyList<MemberStatus> members = await AskAsync(
            () => Server().Administration.List(), cancellationToken).ConfigureAwait(false);

        // Not on the control loop, as each signature costs some 100 µs.
        DateTimeOffset now = _tunnel.Services.Time.GetUtcNow();
        return trust.IsRequired ? [.. members.Select(member => member with { Signature = StateOf(member, trust, now) })] : members;
    }

    private static SignatureState StateOf(MemberStatus member, SigningTrust trust, DateTimeOffset now) =>
        PublicKey.TryParse(member.PublicKey, out PublicKey key)
            ? trust.Check(
                key, member.Name, [.. member.Addresses.Select(TunnelAddress.FromIPAddress)], member.IsPlain,
                MemberSignature.TryParse(member.SignatureText, out MemberSignature? signature) ? signature : null, now)
            : SignatureState.Missing;

    /// <inheritdoc/>
    public async Task SignMemberAsync(string publicKey, string signature, string by, CancellationToken cancellationToken)
    {
        if (!PublicKey.TryParse(publicKey, out PublicKey key) || !MemberSignature.TryParse(signature, out MemberSignature? read))
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidSignature, "The text is no signature of a member.",
                "Sign it with Confirm-LtMember -SigningKeyPath.")
            {
                Target = publicKey,
            };
        }

        Task signing = await AskAsync(
            () => _tunnel.Node.Role is ClientRole client
                ? client.Signing.SignAsync(key, read)
                : Server().Signatures.SignAsync(key, read, by),
            cancellationToken).ConfigureAwait(false);
        await UnlessStoppedAsync(DoneAsync(signing), cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task<WireGuardClientText> CreateWireGuardClientAsync(
        WireGuardClientRequest request, CancellationToken cancellationToken)
    {
        MemberAdministration administration = Server().Administration;
        var options = (ServerOptions)_tunnel.Options;
        PlainClientTerms terms = PlainClientTerms.Check(request, options.Mtu ?? TunnelOptions.DefaultMtu);
        ServerEndpoint endpoint = ReachedAt(options, request.Endpoint is { } named ? [named] : [])[0];
        using PrivateKey? made = terms.PublicKey is null ? PrivateKey.Generate() : null;
        PublicKey key = terms.PublicKey ?? made!.PublicKey;
        Task<Lease> making = await AskAsync(
            () => administration.MakePlainAsync(key, request.Name, terms.Addresses, request.MadeBy), cancellationToken)
            .ConfigureAwait(false);
        Lease lease = await UnlessStoppedAsync(making, cancellationToken).ConfigureAwait(false);
        using PresharedKey networkKey = await AskAsync(NetworkKey, cancellationToken).ConfigureAwait(false);
        using var shared = ClientPresharedKey.Derive(networkKey, _publicKey, key);
        return new WireGuardClientText(
            lease.Name, Name, [.. lease.Addresses.Select(address => address.ToString())], key.ToString(), endpoint.ToString(),
            WireGuardConfiguration.Write(
                lease.Name, Name, made, lease.Addresses, terms.Mtu, _publicKey, shared, endpoint,
                options.Addresses.Select(own => own.Prefix)));
    }

    /// <inheritdoc/>
    public async Task ChangeMemberAsync(MemberChange change, CancellationToken cancellationToken)
    {
        Task changed = await AskAsync(() => Server().Administration.ChangeAsync(change), cancellationToken).ConfigureAwait(false);
        await UnlessStoppedAsync(DoneAsync(changed), cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public Task<IReadOnlyList<RuleStatus>> GetRulesAsync(CancellationToken cancellationToken) => AskAsync(
        () => _tunnel.Node.Role is ServerRole server
            ? server.Rules.List()
            : RuleReport.Of(Name, _tunnel.Node.Rules, [.. _tunnel.Node.Forwarding.OwnAddresses.Select(own => own.Address)]),
        cancellationToken);

    /// <inheritdoc/>
    public async Task<IReadOnlyList<int>> ChangeRulesAsync(RuleChange change, CancellationToken cancellationToken)
    {
        Task<IReadOnlyList<int>> changing = await AskAsync(
            () => Server().Rules.ChangeAsync(change), cancellationToken).ConfigureAwait(false);
        return await UnlessStoppedAsync(changing, cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public Task<IReadOnlyList<RuleVerdict>> TestRuleAsync(RuleQuestion question, CancellationToken cancellationToken) =>
        AskAsync(() => Server().Rules.Test(question), cancellationToken);

    /// <inheritdoc/>
    public async Task<NetworkKeyReport> UpdateNetworkKeyAsync(NetworkKeyRequest request, CancellationToken cancellationToken)
    {
        ServerRole server = Server();
        Task<NetworkKeyReport> changing = await AskAsync(
            () => server.NetworkKey.ChangeAsync(request), cancellationToken).ConfigureAwait(false);
        NetworkKeyReport report = await UnlessStoppedAsync(changing, cancellationToken).ConfigureAwait(false);
        // Members that are here take it within a round trip; who does not, the report says so.
        Task followed = await AskAsync(server.KeyFollowedAsync, cancellationToken).ConfigureAwait(false);
        await Task.WhenAny(followed, _tunnel.Stopped, Task.Delay(FollowPatience, _tunnel.Services.Time, cancellationToken))
            .ConfigureAwait(false);
        return await AskAsync(() => server.NetworkKey.Complete(report), cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _tunnel.StopAsync().WaitAsync(cancellationToken).ConfigureAwait(false);
        TunnelCatalog.Unregister(this);
    }

    /// <inheritdoc/>
    public async Task WaitForStopAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _tunnel.Stopped.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            // It is told of a stop by itself as well, but who waits for it here may use the name again at once.
            if (_tunnel.Stopped.IsCompleted)
                TunnelCatalog.Unregister(this);
        }
    }

    /// <summary>A copy of the network's key of now; control loop.</summary>
    private PresharedKey NetworkKey() => new(_tunnel.Node.NetworkKeys.Newest.Key.Bytes);

    /// <summary>The server's invitations.</summary>
    /// <exception cref="LightTunnelException">It is a client.</exception>
    private (ServerOptions Options, InvitationDesk Desk) Invitations() =>
        _tunnel is { Options: ServerOptions options, Node.Role: ServerRole role }
            ? (options, role.Invitations)
            : throw new LightTunnelException(
                LightTunnelError.InvalidOption, $"'{Name}' is a client; only a server invites.",
                "Make, show and remove invitations on the server.") { Target = Name };

    /// <summary>Where clients reach the server: as named, else as it was started with.</summary>
    private IReadOnlyList<ServerEndpoint> ReachedAt(ServerOptions server, IReadOnlyList<string> named)
    {
        IReadOnlyList<ServerEndpoint> reachedAt =
            named.Count == 0 ? server.Endpoints : [.. named.Select(text => ParseEndpoint(text, _tunnel.Services.Transport.LocalPort))];
        return reachedAt.Count > 0
            ? reachedAt
            : throw new LightTunnelException(
                LightTunnelError.InvalidEndpoint, $"The server '{Name}' does not know at which address clients reach it.",
                "Give -Endpoint host:port, here or to Start-LtServer.") { Target = Name };
    }

    private static ServerEndpoint ParseEndpoint(string text, int defaultPort) =>
        ServerEndpoint.TryParse(text, defaultPort, out ServerEndpoint endpoint)
            ? endpoint
            : throw new LightTunnelException(
                LightTunnelError.InvalidEndpoint, $"'{text}' is no endpoint.",
                "Write host:port, for example vpn.example.org:9000 or [2001:db8::1]:9000.") { Target = text };

    /// <summary>The peer with a key; control loop.</summary>
    private Peer Find(string publicKey) => _tunnel.Node.Peers.FirstOrDefault(peer => peer.Key.ToString() == publicKey)
        ?? throw new LightTunnelException(
            LightTunnelError.NotFound, $"No peer of '{Name}' has the key {publicKey} any more.",
            "Get-LtPeer shows the peers that there are.") { Target = publicKey };

    /// <summary>A member that a client of a large network has not dealt with yet is asked for first.</summary>
    private Task MeetAsync(string publicKey, CancellationToken cancellationToken) =>
        PublicKey.TryParse(publicKey, out PublicKey key) ? MeetAsync(MemberSubject.Of(key), cancellationToken) : Task.CompletedTask;

    private async Task MeetAsync(MemberSubject subject, CancellationToken cancellationToken)
    {
        if (_tunnel.Node.Role is not ClientRole client)
            return;
        Task met = await AskAsync(() => client.MeetAsync(subject), cancellationToken).ConfigureAwait(false);
        await Task.WhenAny(met, _tunnel.Stopped).WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    private static async Task<bool> DoneAsync(Task task)
    {
        await task.ConfigureAwait(false);
        return true;
    }

    private ServerRole Server() => _tunnel.Node.Role as ServerRole ?? throw new LightTunnelException(
        LightTunnelError.InvalidOption, $"'{Name}' is a client; only a server knows all members and changes them.",
        "Run the command on the server.") { Target = Name };

    private ClientRole Client(string why, string remedy) => _tunnel.Node.Role as ClientRole
        ?? throw new LightTunnelException(LightTunnelError.InvalidOption, $"'{Name}' is a server: {why}.", remedy) { Target = Name };

    private async Task<T> TestAsync<T>(Func<NodeTest<T>> begin, CancellationToken cancellationToken)
    {
        NodeTest<T> test = await AskAsync(
            () =>
            {
                NodeTest<T> begun = begin();
                _tunnel.Node.Begin(begun);
                return begun;
            },
            cancellationToken).ConfigureAwait(false);
        CancellationTokenRegistration cancel = cancellationToken.Register(() => _tunnel.Node.Post(test.Cancel));
        await using (cancel.ConfigureAwait(false))
            return await UnlessStoppedAsync(test.Report, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Asks the control loop.</summary>
    private Task<T> AskAsync<T>(Func<T> question, CancellationToken cancellationToken) =>
        UnlessStoppedAsync(_tunnel.Node.AskAsync(question), cancellationToken);

    /// <summary>Waits for the control loop; a tunnel that stops meanwhile answers with an error instead of never.</summary>
    private async Task<T> UnlessStoppedAsync<T>(Task<T> answer, CancellationToken cancellationToken)
    {
        if (await Task.WhenAny(answer, _tunnel.Stopped).WaitAsync(cancellationToken).ConfigureAwait(false) == answer)
            return await answer.ConfigureAwait(false);
        throw new LightTunnelException(LightTunnelError.Stopped, $"The tunnel '{Name}' has stopped.", "Start it again.") { Target = Name };
    }

    private TunnelStatus Status()
    {
        TunnelOptions options = _tunnel.Options;
        var server = options as ServerOptions;
        var client = _tunnel.Node.Role as ClientRole;
        List<Peer> others = [.. _tunnel.Node.Peers.Where(peer => !peer.IsServer)];
        UdpEndpoint serverEndpoint = client?.Server.Path.Endpoint ?? default;
        return new TunnelStatus
        {
            Name = Name,
            NetworkName = client is null ? Name : client.NetworkName,
            Role = Role,
            State = _tunnel.IsStopping ? TunnelState.Stopping : _tunnel.Node.ShownState,
            Addresses = [.. _tunnel.Node.Forwarding.OwnAddresses.Select(address => address.ToString())],
            PublicKey = _publicKey.ToString(),
            InterfaceName = _tunnel.Services.Tun.Name,
            InterfaceIndex = _tunnel.Services.Tun.InterfaceIndex,
            Mtu = _tunnel.Services.Tun.Mtu,
            ListenPort = _tunnel.Services.Transport.LocalPort,
            ProcessId = Environment.ProcessId,
            Started = _tunnel.Started,
            Endpoints = [.. server?.Endpoints.Select(endpoint => endpoint.ToString()) ?? []],
            Server = client is null
                ? null
                : serverEndpoint.IsSpecified ? serverEndpoint.ToString() : ((ClientOptions)options).Servers[0].ToString(),
            ServerKey = (options as ClientOptions)?.ServerKey.ToString(),
            PublicEndpoint = client is { PublicEndpoint.IsSpecified: true } ? client.PublicEndpoint.ToIPEndPoint() : null,
            NatType = (client?.Nat ?? default).ClassicName,
            PortMapping = client is { PortMapping.IsSpecified: true } ? client.PortMapping.ToString() : null,
            Connected = client?.Registered,
            Reconnects = client?.Reconnects ?? 0,
            LastError = _tunnel.Failure ?? _tunnel.Node.ShownError ?? _forwarding.Problem ?? _exit.Problem,
            ExitNode = _tunnel.Node.Subnets.ExitName,
            MemberName = client?.MemberName,
            SigningKeys = [.. (client?.Signed.Trust.Keys ?? server?.SigningKeys ?? []).Select(key => key.ToString())],
            Signature = client?.Signing.State ?? SignatureState.NotRequired,
            SignedUntil = client?.Signing.Expires,
            Peers = others.Count,
            PeersOnline = others.Count(peer => peer.Online),
            PeersDirect = others.Count(peer => peer.PathType is PathType.Lan or PathType.Direct),
            MaxClients = server?.MaxClients ?? 0,
            ClientIsolation = server?.ClientIsolation ?? false,
            Counters = Counters(),
        };
    }

    private TunnelCounters Counters()
    {
        PacketCounters received = _tunnel.Inbound;
        PacketCounters sent = _tunnel.Outbound;
        return new TunnelCounters
        {
            ReceivedBytes = received.Bytes,
            ReceivedPackets = received.Packets,
            SentBytes = sent.Bytes,
            SentPackets = sent.Packets,
            RelayedBytes = received.RelayedBytes,
            RelayedPackets = received.RelayedPackets,
            Dropped = Enum.GetValues<DropReason>()
                .Select(reason => (Name: reason.ToString(), Count: received.Dropped(reason) + sent.Dropped(reason)))
                .Where(entry => entry.Count > 0)
                .ToDictionary(entry => entry.Name, entry => entry.Count),
        };
    }
}
