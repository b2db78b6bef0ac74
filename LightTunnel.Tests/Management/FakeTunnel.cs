using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Threading.Channels;
using LightTunnel.Access;
using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Probing;
using LightTunnel.Engine.Server;
using LightTunnel.Management;
using LightTunnel.Membership;
using LightTunnel.Membership.Signing;
using LightTunnel.Routing;
using LightTunnel.WireGuard;

namespace LightTunnel.Tests.Management;

/// <summary>A tunnel that only says what tests want to hear.</summary>
internal sealed class FakeTunnel(string name, TunnelRole role, int processId = 0) : ITunnelHandle
{
    public const string WireGuardSecret = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    public const string InvitationSecret = "lt1-the-secret-line";

    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Journal<LogEntry> _log = new(100);
    private readonly Journal<AuditEntry> _audit = new(100);
    private readonly TaskCompletionSource _logFollowed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Journal<TunnelChange> _changes = new(100);
    private readonly Channel<bool> _watched = Channel.CreateUnbounded<bool>();
    private readonly Channel<bool> _unwatched = Channel.CreateUnbounded<bool>();

    public string Name => name;

    public TunnelRole Role => role;

    public bool IsLocal => true;

    public int ProcessId => processId == 0 ? Environment.ProcessId : processId;

    public IReadOnlyList<PeerStatus> Peers { get; set; } = [];

    /// <summary>Members that only <see cref="FindPeersAsync"/> tells of.</summary>
    public IReadOnlyList<PeerStatus> Strangers { get; init; } = [];

    public IReadOnlyList<RouteStatus> Routes { get; init; } = [];

    /// <summary>A server's members.</summary>
    public IReadOnlyList<MemberStatus> Members { get; set; } = [];

    /// <summary>A machine that asks to become a member of the server's network.</summary>
    public static MemberStatus Applicant(string name, MemberState state, string key) => new()
    {
        Tunnel = "office", Name = name, Addresses = [], PublicKey = KeyOf(key), State = state, FirstSeen = DateTimeOffset.UnixEpoch,
        Endpoint = IPEndPoint.Parse("198.51.100.7:4711"), Version = "0.1.0", System = "Linux X64",
    };

    /// <summary>Changes of members that were made.</summary>
    public List<MemberChange> MemberChanges { get; } = [];

    /// <summary>Thrown instead of any answer.</summary>
    public Exception? Failure { get; init; }

    /// <summary>Where it says that it stands while it runs.</summary>
    public TunnelState State { get; set; } = TunnelState.Up;

    /// <summary>What it says went wrong.</summary>
    public string? LastError { get; init; }

    public bool IsStopped => _stopped.Task.IsCompleted;

    public InvitationRequest? AskedForInvitation { get; private set; }

    /// <summary>What the last test of a peer was asked for.</summary>
    public PeerTestRequest? AskedForTest { get; private set; }

    /// <summary>Completes when nobody wants a test's report any more.</summary>
    public TaskCompletionSource TestCancelled { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes when the first test begins.</summary>
    public TaskCompletionSource TestStarted { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>True for tests that never end by themselves.</summary>
    public bool TestsHang { get; set; }

    /// <summary>What tests end with instead of a report.</summary>
    public Exception? TestFailure { get; set; }

    /// <summary>What a test of the network finds.</summary>
    public NetworkTestReport NetworkTest { get; init; } = new() { Pings = PingResult.None };

    /// <summary>Policies that were set, by name of the peer, in their order.</summary>
    public List<(string Peer, PathPolicy? Policy)> Policies { get; } = [];

    /// <summary>What it was started with.</summary>
    public TunnelSettings Settings { get; set; } = new ServerSettings();

    /// <summary>Called when the tunnel is stopped.</summary>
    public Action<FakeTunnel>? OnStop { get; init; }

    /// <summary>A server and its peers and routes as views show them; times are far enough away to read the same for minutes.</summary>
    public static FakeTunnel SampleServer(string name = "office") => new(name, TunnelRole.Server)
    {
        Peers =
        [
            Peer(name, "nas", "10.0.0.20", PathType.Server, 31.4, 2_000_000_000, 15_100_000, TimeSpan.FromHours(5.5)),
            Peer(name, "laptop", "10.0.0.21", PathType.Direct, 1.24, 1_234_567, 999, TimeSpan.FromHours(2.5)) with
            {
                NatType = "Full Cone",
                RelaysForOthers = true,
                Cipher = CipherSuite.Aegis256,
            },
            Peer(name, "phone", "10.0.0.22", PathType.Offline, null, 0, 0, null),
        ],
        Members =
        [
            Member(name, "nas", "10.0.0.20", MemberState.Online) with
            {
                Endpoint = IPEndPoint.Parse("[2001:db8::7]:9000"),
                Groups = ["office", "servers"],
                Invitation = "5a6b7c8d",
            },
            Member(name, "laptop", "10.0.0.21", MemberState.Offline) with
            {
                System = "Windows X64",
                Expires = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero),
            },
            Member(name, "phone", "10.0.0.22", MemberState.Blocked) with
            {
                IsPlain = true,
                Version = null,
                System = null,
                BlockedSince = DateTimeOffset.UnixEpoch.AddYears(40),
                BlockedBy = "root",
            },
        ],
        Routes =
        [
            Route(name, "10.0.0.20/32", RouteType.Server, "10.0.0.1", "nas", 31.4, 55, RouteState.Up) with { Reason = PathReason.NoAnswer },
            Route(name, "10.0.0.21/32", RouteType.Direct, "10.0.0.21", "laptop", 1.24, 120, RouteState.Up),
            Route(name, "10.0.0.22/32", RouteType.Offline, null, "phone", null, 0, RouteState.Offline) with
            {
                Reason = PathReason.PeerOffline,
            },
            Route(name, "192.168.7.0/24", RouteType.Relay, "10.0.0.21", "nas", null, 0, RouteState.Unproven),
        ],
    };

    /// <summary>A server with one member.</summary>
    public static FakeTunnel Sample(string name, string peer, string address) => new(name, TunnelRole.Server)
    {
        Peers = [Peer(name, peer, address, PathType.Direct, 12, 0, 0, TimeSpan.FromHours(2.5))],
        Routes = [Route(
            name, new IPNetwork(IPAddress.Parse(address), IPAddress.Parse(address).GetAddressBytes().Length * 8).ToString(),
            RouteType.Direct, address, peer, 12, 115, RouteState.Up)],
    };

    public static FakeTunnel SampleClient(string name = "home") => new(name, TunnelRole.Client);

    /// <summary>A member of a large network, which has dealt with one other so far.</summary>
    public static FakeTunnel SampleMemberOfMany(string name = "plant") => new(name, TunnelRole.Client)
    {
        Peers = [Peer(name, "known", "10.0.0.30", PathType.Direct, 1, 0, 0, TimeSpan.Zero)],
        Strangers =
        [
            Peer(name, "stranger1", "10.0.0.31", PathType.Server, 0, 0, 0, TimeSpan.Zero),
            Peer(name, "stranger2", "10.0.0.32", PathType.Offline, 0, 0, 0, TimeSpan.Zero),
        ],
    };

    /// <summary>A client of <see cref="SampleServer"/>'s network.</summary>
    public static FakeTunnel SampleMember(string name = "home") => new(name, TunnelRole.Client)
    {
        Peers =
        [
            Peer(name, "office", "10.0.0.1", PathType.Direct, 12, 0, 0, TimeSpan.FromHours(2.5)) with { IsServer = true },
            Peer(name, "nas", "10.0.0.20", PathType.Server, 31.4, 0, 0, TimeSpan.FromHours(2.5)),
            Peer(name, "laptop", "10.0.0.21", PathType.Direct, 1.24, 0, 0, TimeSpan.FromHours(2.5)),
        ],
        NetworkTest = SampleNetworkTest,
    };

    /// <summary>A network with something wrong.</summary>
    public static NetworkTestReport SampleNetworkTest { get; } = new()
    {
        Server = IPEndPoint.Parse("203.0.113.7:9000"),
        Pings = new PingResult(10, 10, TimeSpan.FromMilliseconds(12), TimeSpan.FromMilliseconds(12.4), TimeSpan.FromMilliseconds(15)),
        Nat = "Port-Restricted Cone",
        Mapping = EndpointDependence.EndpointIndependent,
        Filtering = EndpointDependence.AddressAndPortDependent,
        PortAssignment = PortAssignment.Preserving,
        PublicEndpoint = IPEndPoint.Parse("198.51.100.4:40000"),
        PortMappingFailure = "No router here forwards ports on request.",
        Mtu = 1400,
        LargestPacket = 1352,
        ClockOffset = TimeSpan.FromSeconds(-0.31),
        Problems = [new NetworkProblem(
            "Packets longer than 1352 bytes are lost, while the tunnel's MTU is 1400.", "Join with Connect-LtNetwork -Mtu 1352.")],
    };

    public void Audit(AuditAction action, string? by, string subject, string message) => _audit.Add(
        sequence => new AuditEntry(sequence, TimeOf(sequence), name, action, by, subject, null, message));

    public void Log(LogLevel level, string message) =>
        _log.Add(sequence => new LogEntry(sequence, TimeOf(sequence), level, name, message, null));

    /// <summary>A peer is reached another way.</summary>
    public void Change(string peer, string destination, RoutePath? old, RoutePath? now) => Change(new RouteChange
    {
        Peer = peer,
        Destinations = [destination],
        Old = old,
        New = now,
        RoundTrip = now is null ? null : TimeSpan.FromMilliseconds(31.4),
        Quality = 55,
    });

    /// <summary>A peer is reached another way, and says so when it is asked for.</summary>
    public void Reach(string peer, PathType path)
    {
        Peers = [.. Peers.Select(each => each.Name == peer ? each with { Path = path } : each)];
        Change(peer, "10.0.0.20/32", null, new RoutePath(path, null, PathReason.DirectUp));
    }

    public void Change(RouteChange change) =>
        _changes.Add(sequence => new TunnelChange { Sequence = sequence, Time = TimeOf(sequence), Tunnel = name, Route = change });

    public void Change(TunnelState old, TunnelState now, string? reason = null) =>
        _changes.Add(sequence =>
            new TunnelChange { Sequence = sequence, Time = TimeOf(sequence), Tunnel = name, State = new StateChange(old, now, reason) });

    /// <summary>What is different in the status.</summary>
    public Func<TunnelStatus, TunnelStatus> StatusOf { get; set; } = status => status;

    public Task<TunnelStatus> GetStatusAsync(CancellationToken cancellationToken) => Answer(() => StatusOf(new TunnelStatus
    {
        Name = name,
        NetworkName = role == TunnelRole.Server ? name : "office",
        Role = role,
        State = IsStopped ? TunnelState.Stopped : State,
        LastError = LastError,
        Addresses = role == TunnelRole.Server ? ["10.0.0.1/24"] : ["10.0.0.2/24"],
        PublicKey = "mKOqHxc0ggLcS6w1oAwLhvk2mHbNJQx0hJl5SPhKZjg=",
        InterfaceName = "lt0",
        InterfaceIndex = 7,
        Mtu = 1400,
        ListenPort = 9000,
        ProcessId = ProcessId,
        Started = DateTimeOffset.UtcNow - TimeSpan.FromHours(2.5),
        Endpoints = ["vpn.example.org:9000"],
        Server = role == TunnelRole.Client ? "203.0.113.7:9000" : null,
        PublicEndpoint = role == TunnelRole.Client ? IPEndPoint.Parse("198.51.100.4:40000") : null,
        NatType = role == TunnelRole.Client ? "Port-Restricted Cone" : "Unknown",
        PortMapping = role == TunnelRole.Client ? "198.51.100.4:9000" : null,
        Peers = 3,
        PeersOnline = 2,
        PeersDirect = 1,
        MaxClients = 100,
        Counters = new TunnelCounters
        {
            ReceivedBytes = 5_000_000,
            SentBytes = 1_200,
            RelayedBytes = 1_234_567,
            Dropped = new Dictionary<string, long> { ["NoRoute"] = 3, ["WrongSource"] = 0 },
        },
    }));

    public Task<SettingsText> GetSettingsAsync(CancellationToken cancellationToken) =>
        Answer(() => new SettingsText(ConfigurationWriter.Write(Settings).Reveal()));

    public Task<IReadOnlyList<PeerStatus>> GetPeersAsync(CancellationToken cancellationToken) => Answer(() => Peers);

    public Task<IReadOnlyList<PeerStatus>> FindPeersAsync(string text, CancellationToken cancellationToken) =>
        Answer<IReadOnlyList<PeerStatus>>(
            () => [.. Peers, .. Strangers.Where(peer => NamePattern.IsMatch(text, peer.Name) || peer.Addresses[0].ToString() == text)]);

    public Task<IReadOnlyList<RouteStatus>> GetRoutesAsync(CancellationToken cancellationToken) => Answer(() => Routes);

    /// <summary>What was asked for of networks behind nodes.</summary>
    public List<RouteSettingsChange> RouteChanges { get; } = [];

    public Task SetRoutesAsync(RouteSettingsChange change, CancellationToken cancellationToken) => Answer(() =>
    {
        RouteChanges.Add(change);
        return true;
    });

    public Task<IReadOnlyList<LogEntry>> ReadLogAsync(
        long afterSequence, LogLevel minimumLevel, int tail, CancellationToken cancellationToken) =>
        Answer(() => _log.Read(afterSequence, entry => entry.Level >= minimumLevel, tail));

    public Task<IReadOnlyList<LogEntry>> ReadSecurityLogAsync(int tail, CancellationToken cancellationToken) =>
        Task.FromResult(_log.Read(0, entry => entry.Message.StartsWith("Flood:", StringComparison.Ordinal), tail));

    public Task<IReadOnlyList<LogEntry>> WaitForLogAsync(long afterSequence, LogLevel minimumLevel, CancellationToken cancellationToken)
    {
        _logFollowed.TrySetResult();
        return _log.WaitAsync(afterSequence, entry => entry.Level >= minimumLevel, cancellationToken);
    }

    public Task<IReadOnlyList<AuditEntry>> ReadAuditAsync(long afterSequence, int tail, CancellationToken cancellationToken) =>
        Answer(() => _audit.Read(afterSequence, tail: tail));

    public Task<IReadOnlyList<AuditEntry>> WaitForAuditAsync(long afterSequence, CancellationToken cancellationToken)
    {
        _logFollowed.TrySetResult();
        return _audit.WaitAsync(afterSequence, wanted: null, cancellationToken);
    }

    /// <summary>Completes when somebody has begun to wait for log entries.</summary>
    public Task WaitUntilLogIsFollowedAsync() => _logFollowed.Task;

    public Task<IReadOnlyList<TunnelChange>> ReadChangesAsync(long afterSequence, int tail, CancellationToken cancellationToken) =>
        Answer(() => _changes.Read(afterSequence, tail: tail));

    public async Task<IReadOnlyList<TunnelChange>> WaitForChangesAsync(long afterSequence, CancellationToken cancellationToken)
    {
        Task<IReadOnlyList<TunnelChange>> waiting = _changes.WaitAsync(afterSequence, wanted: null, cancellationToken);
        _watched.Writer.TryWrite(true);
        try
        {
            return await waiting;
        }
        finally
        {
            _unwatched.Writer.TryWrite(true);
        }
    }

    /// <summary>Completes when somebody has begun to wait for changes.</summary>
    public Task WatchedAsync(CancellationToken cancellationToken) =>
        _watched.Reader.ReadAsync(cancellationToken).AsTask().WaitAsync(TimeSpan.FromMinutes(2), cancellationToken);

    /// <summary>Completes when somebody has ceased to wait for changes.</summary>
    public Task UnwatchedAsync(CancellationToken cancellationToken) =>
        _unwatched.Reader.ReadAsync(cancellationToken).AsTask().WaitAsync(TimeSpan.FromMinutes(2), cancellationToken);

    /// <summary>One that is used up, one that is open to everybody, one that was taken back.</summary>
    public static IReadOnlyList<InvitationStatus> SampleInvitations { get; } =
    [
        new()
        {
            Network = "office", Id = "1f2e3d4c", Name = "laptop of Ann", State = InvitationState.UsedUp,
            Created = new(2026, 5, 1, 10, 0, 0, TimeSpan.Zero), Expires = new(2026, 5, 8, 10, 0, 0, TimeSpan.Zero), Uses = 1, MaxUses = 1,
            LastUsed = new(2026, 5, 1, 11, 0, 0, TimeSpan.Zero), MadeBy = "root", Members = ["laptop"],
        },
        new()
        {
            Network = "office", Id = "5a6b7c8d", Name = string.Empty, State = InvitationState.Active,
            Created = new(2026, 5, 2, 10, 0, 0, TimeSpan.Zero), Uses = 3, MadeBy = "root", Members = ["nas", "phone"],
            Groups = ["build"], Addresses = [IPAddress.Parse("10.0.0.50")], IsEphemeral = true,
        },
        new()
        {
            Network = "office", Id = "9e8f7a6b", Name = "sent to the wrong one", State = InvitationState.Removed,
            Created = new(2026, 5, 3, 10, 0, 0, TimeSpan.Zero), MaxUses = 10, Removed = new(2026, 5, 3, 10, 5, 0, TimeSpan.Zero),
            MadeBy = "root",
        },
    ];

    /// <summary>What the server says of its invitations.</summary>
    public IReadOnlyList<InvitationStatus> Invitations { get; set; } = [];

    /// <summary>Ids of invitations that were taken back.</summary>
    public List<string> RemovedInvitations { get; } = [];

    public Task<InvitationText> CreateInvitationAsync(InvitationRequest request, CancellationToken cancellationToken) => Answer(() =>
    {
        AskedForInvitation = request;
        return new InvitationText(
            "1f2e3d4c", InvitationSecret, "office", ["10.0.0.0/24"],
            request.Endpoints.Count > 0 ? request.Endpoints : ["vpn.example.org:9000"], "key", request.Expires, request.MaxUses,
            request.Name);
    });

    public Task<IReadOnlyList<InvitationStatus>> GetInvitationsAsync(CancellationToken cancellationToken) => Answer(() => Invitations);

    public Task RemoveInvitationAsync(string id, string by, CancellationToken cancellationToken) => Answer(() =>
    {
        RemovedInvitations.Add(id);
        return true;
    });

    public async Task<PeerTestReport> TestPeerAsync(
        PeerTestRequest request, IProgress<TestProgress>? progress, CancellationToken cancellationToken)
    {
        AskedForTest = request;
        progress?.Report(new TestProgress("Trying to reach it directly", 30));
        await TestAsync(cancellationToken);
        progress?.Report(new TestProgress("Measuring the path", 80));
        PeerStatus peer = Peers.First(peer => peer.PublicKey == request.PublicKey);
        return await Answer(() => SampleTest(peer));
    }

    public async Task<NetworkTestReport> TestNetworkAsync(
        TimeSpan timeout, IProgress<TestProgress>? progress, CancellationToken cancellationToken)
    {
        await TestAsync(cancellationToken);
        return await Answer(() => NetworkTest);
    }

    public Task SetPeerPolicyAsync(string publicKey, PathPolicy? policy, CancellationToken cancellationToken) => Answer(() =>
    {
        Policies.Add((Peers.First(peer => peer.PublicKey == publicKey).Name, policy));
        Peers = [.. Peers.Select(peer => peer.PublicKey == publicKey ? peer with { PathPolicy = policy ?? PathPolicy.Auto } : peer)];
        return true;
    });

    /// <summary>A peer's key is another than the one that is known.</summary>
    public void ChangeKey(string peer) =>
        Peers = [.. Peers.Select(one => one.Name == peer ? one with { PathReason = PathReason.KeyChanged, Path = PathType.Offline } : one)];

    public Task ConfirmMemberAsync(string publicKey, CancellationToken cancellationToken) => Answer(() =>
    {
        Peers = [.. Peers.Select(peer => peer.PublicKey == publicKey ? peer with { PathReason = PathReason.Unknown } : peer)];
        return true;
    });

    /// <summary>Signatures that were brought: whose, and which.</summary>
    public List<(string PublicKey, string Signature)> Signatures { get; } = [];

    public Task SignMemberAsync(string publicKey, string signature, string by, CancellationToken cancellationToken) => Answer(() =>
    {
        Signatures.Add((publicKey, signature));
        Peers = [.. Peers.Select(peer => peer.PublicKey == publicKey ? peer with { Signature = SignatureState.Valid } : peer)];
        Members = [.. Members.Select(member => member.PublicKey == publicKey ? member with { Signature = SignatureState.Valid } : member)];
        return true;
    });

    public Task<IReadOnlyList<MemberStatus>> GetMembersAsync(CancellationToken cancellationToken) => Answer(() => Members);

    /// <summary>What the server was asked for.</summary>
    public WireGuardClientRequest? AskedForWireGuardClient { get; private set; }

    public Task<WireGuardClientText> CreateWireGuardClientAsync(WireGuardClientRequest request, CancellationToken cancellationToken) =>
        Answer(() =>
        {
            AskedForWireGuardClient = request;
            return new WireGuardClientText(
                request.Name, "office", request.Addresses.Count > 0 ? request.Addresses : ["10.0.0.50"], KeyOf(request.Name),
                request.Endpoint ?? "vpn.example.org:9000", $"# {request.Name}\n[Interface]\nPrivateKey = {WireGuardSecret}\n");
        });

    public static IReadOnlyList<RuleStatus> SampleRules { get; } =
    [
        new RuleStatus
        {
            Tunnel = "office", Number = 10, Name = "ssh of the office", From = ["group:office"], To = ["group:servers", "10.0.0.5"],
            Protocol = RuleProtocol.Tcp, Ports = ["22", "443", "8000-8099"], Action = RuleAction.Allow,
        },
        new RuleStatus
        {
            Tunnel = "office", Number = 15, From = ["clients"], To = ["*"], Protocol = RuleProtocol.Icmp, Action = RuleAction.Allow,
            Enabled = false,
        },
        new RuleStatus { Tunnel = "office", Number = 20, From = ["*"], To = ["group:servers"], Action = RuleAction.Deny, Dropped = 1234 },
    ];

    /// <summary>The access rules.</summary>
    public IReadOnlyList<RuleStatus> Rules { get; set; } = [];

    /// <summary>Changes of rules that were asked for.</summary>
    public List<RuleChange> RuleChanges { get; } = [];

    /// <summary>How the network's key was to be changed.</summary>
    public List<NetworkKeyRequest> KeyChanges { get; } = [];

    /// <summary>What came of it.</summary>
    public NetworkKeyReport KeyReport { get; set; } = SampleKeyReport;

    public static NetworkKeyReport SampleKeyReport { get; } = new()
    {
        Tunnel = "office", Changed = new(2026, 5, 8, 10, 0, 0, TimeSpan.Zero), GraceEnds = new(2026, 6, 7, 10, 0, 0, TimeSpan.Zero),
        MembersFollowed = ["laptop", "nas"], MembersWaiting = ["old-box", "tablet"], MembersOutdated = ["old-box"],
        InvitationsEnded = ["5a6b7c8d"], WireGuardClients = ["phone"],
    };

    public Task<NetworkKeyReport> UpdateNetworkKeyAsync(NetworkKeyRequest request, CancellationToken cancellationToken) => Answer(() =>
    {
        KeyChanges.Add(request);
        return KeyReport;
    });

    public Task<IReadOnlyList<RuleStatus>> GetRulesAsync(CancellationToken cancellationToken) => Answer(() => Rules);

    public Task<IReadOnlyList<int>> ChangeRulesAsync(RuleChange change, CancellationToken cancellationToken) =>
        Answer<IReadOnlyList<int>>(() =>
        {
            RuleChanges.Add(change);
            Rules =
            [
                .. Rules.Where(rule => change.Kind != RuleChangeKind.Replace && !change.Numbers.Contains(rule.Number)
                    && !change.Rules.Any(spec => spec.Number == rule.Number)),
                .. change.Rules.Select(spec => new RuleStatus
                {
                    Tunnel = Name, Number = spec.NewNumber != 0 ? spec.NewNumber : spec.Number == 0 ? 10 : spec.Number, Name = spec.Name,
                    From = spec.From, To = spec.To, Protocol = spec.Protocol, Ports = spec.Ports, Action = spec.Action,
                    Enabled = spec.Enabled,
                }),
            ];
            return [.. change.Rules.Select(spec => spec.NewNumber != 0 ? spec.NewNumber : spec.Number == 0 ? 10 : spec.Number)];
        });

    public Task<IReadOnlyList<RuleVerdict>> TestRuleAsync(RuleQuestion question, CancellationToken cancellationToken) =>
        Answer<IReadOnlyList<RuleVerdict>>(() =>
        [
            new RuleVerdict(
                Name, IPAddress.Parse("10.0.0.21"), IPAddress.Parse("10.0.0.1"), Rules.Count > 0 ? Rules[0].Action : RuleAction.Allow,
                Rules.Count > 0 ? Rules[0] : null),
        ]);

    public Task ChangeMemberAsync(MemberChange change, CancellationToken cancellationToken) => Answer(() =>
    {
        MemberChanges.Add(change);
        Members = change.Kind == MemberChangeKind.Remove
            ? [.. Members.Where(member => member.PublicKey != change.PublicKey)]
            : [.. Members.Select(member => member.PublicKey != change.PublicKey ? member : Apply(change, member))];
        return true;
    });

    public Task StopAsync(CancellationToken cancellationToken)
    {
        OnStop?.Invoke(this);
        _stopped.TrySetResult();
        _log.Complete();
        _audit.Complete();
        _changes.Complete();
        return Task.CompletedTask;
    }

    public Task WaitForStopAsync(CancellationToken cancellationToken) => _stopped.Task.WaitAsync(cancellationToken);

    private static MemberStatus Apply(MemberChange change, MemberStatus member) => change.Kind switch
    {
        MemberChangeKind.Set => member with
        {
            Name = change.Name ?? member.Name,
            Addresses = change.Addresses is null ? member.Addresses : [.. change.Addresses.Select(IPAddress.Parse)],
            Groups = change.Groups ?? member.Groups,
        },
        MemberChangeKind.Block => member with { State = MemberState.Blocked },
        MemberChangeKind.Deny => member with { State = MemberState.Denied },
        _ => member with { State = MemberState.Offline },
    };

    private static MemberStatus Member(string tunnel, string name, string address, MemberState state) => new()
    {
        Tunnel = tunnel,
        Name = name,
        Addresses = [IPAddress.Parse(address)],
        PublicKey = KeyOf(name),
        State = state,
        FirstSeen = DateTimeOffset.UnixEpoch.AddYears(30),
        LastSeen = DateTimeOffset.UtcNow - TimeSpan.FromHours(2.5),
        Version = "0.1.0",
        System = "Linux X64",
    };

    private static string KeyOf(string name) => Convert.ToBase64String(SHA256.HashData(Encoding.ASCII.GetBytes(name)));

    private static PeerStatus Peer(
        string tunnel, string name, string address, PathType path, double? milliseconds, long rx, long tx, TimeSpan? seen) => new()
    {
        Tunnel = tunnel,
        Name = name,
        Addresses = [IPAddress.Parse(address)],
        PublicKey = KeyOf(name),
        Path = path,
        Endpoint = path == PathType.Offline ? null : IPEndPoint.Parse("[2001:db8::7]:9000"),
        RoundTrip = milliseconds is null ? null : TimeSpan.FromMilliseconds(milliseconds.Value),
        Loss = milliseconds is null ? null : 0.025,
        Quality = 55,
        ReceivedBytes = rx,
        SentBytes = tx,
        LastSeen = DateTimeOffset.UtcNow - seen,
        Mtu = 1400,
        Routes = [address + "/32"],
    };

    /// <summary>A peer that is not reached directly is so because of both NATs.</summary>
    private static PeerTestReport SampleTest(PeerStatus peer) => new()
    {
        Peer = peer.Name,
        Address = peer.Addresses[0],
        PublicKey = peer.PublicKey,
        Path = peer.Path,
        Endpoint = peer.Endpoint,
        Pings = peer.RoundTrip is { } roundTrip ? new PingResult(10, 9, roundTrip / 2, roundTrip, roundTrip * 2) : PingResult.None,
        ServerRoundTrip = peer.RoundTrip * 3,
        LocalNat = "Symmetric",
        PeerNat = "Symmetric",
        Candidates =
        [
            new CandidateReport
            {
                Kind = CandidateKind.Host,
                Endpoint = IPEndPoint.Parse("192.168.7.20:9000"),
                LocalPort = 9000,
                Result = ProbeResult.NoAnswer,
                Sent = 7,
            },
            new CandidateReport
            {
                Kind = CandidateKind.ServerReflexive,
                Endpoint = IPEndPoint.Parse("198.51.100.4:40000"),
                LocalPort = 9000,
                Result = ProbeResult.OneWay,
                Sent = 1,
            },
            new CandidateReport
            {
                Kind = CandidateKind.PeerReflexive, Endpoint = IPEndPoint.Parse("[2001:db8::7]:9000"), LocalPort = 9000,
                Result = ProbeResult.Answered, Sent = 9, Answered = 8, RoundTrip = TimeSpan.FromMilliseconds(1.24),
                InUse = peer.Path == PathType.Direct,
            },
        ],
        Reason = peer.Path switch
        {
            PathType.Direct => PathReason.DirectUp,
            PathType.Offline => PathReason.PeerOffline,
            _ => PathReason.BothNatsRandom,
        },
        Duration = TimeSpan.FromSeconds(3),
    };

    private async Task TestAsync(CancellationToken cancellationToken)
    {
        TestStarted.TrySetResult();
        if (TestFailure is not null)
            throw TestFailure;
        if (!TestsHang)
            return;
        using CancellationTokenRegistration registration = cancellationToken.Register(TestCancelled.SetResult);
        await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
    }

    private static RouteStatus Route(
        string tunnel, string destination, RouteType type, string? nextHop, string peer, double? milliseconds, int quality,
        RouteState state) => new()
    {
        Tunnel = tunnel,
        Destination = destination,
        Type = type,
        NextHop = nextHop is null ? null : IPAddress.Parse(nextHop),
        Peer = peer,
        RoundTrip = milliseconds is null ? null : TimeSpan.FromMilliseconds(milliseconds.Value),
        Quality = quality,
        State = state,
        Hops = type switch { RouteType.Offline => null, RouteType.Direct => 0, _ => 1 },
        InterfaceName = "lt0",
        InterfaceIndex = 7,
        Updated = new DateTimeOffset(2026, 5, 1, 10, 0, 0, TimeSpan.Zero),
    };

    private static DateTimeOffset TimeOf(long sequence) =>
        new DateTimeOffset(2026, 5, 1, 10, 0, 0, 120, TimeSpan.Zero).AddSeconds(sequence - 1);

    private Task<T> Answer<T>(Func<T> answer) => Failure is null ? Task.FromResult(answer()) : Task.FromException<T>(Failure);
}
