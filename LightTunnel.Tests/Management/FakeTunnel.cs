using System.Net;
using LightTunnel.Diagnostics;
using LightTunnel.Engine;
using LightTunnel.Management;
using LightTunnel.Membership;
using LightTunnel.Routing;

namespace LightTunnel.Tests.Management;

/// <summary>A tunnel that only says what tests want to hear.</summary>
internal sealed class FakeTunnel(string name, TunnelRole role, int processId = 0) : ITunnelHandle
{
    public const string InvitationSecret = "lt1-the-secret-line";

    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _gate = new();
    private readonly List<LogEntry> _log = [];
    private TaskCompletionSource _logged = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string Name => name;

    public TunnelRole Role => role;

    public bool IsLocal => true;

    public int ProcessId => processId == 0 ? Environment.ProcessId : processId;

    public IReadOnlyList<PeerStatus> Peers { get; init; } = [];

    public IReadOnlyList<RouteStatus> Routes { get; init; } = [];

    /// <summary>Thrown instead of any answer.</summary>
    public Exception? Failure { get; init; }

    public bool IsStopped => _stopped.Task.IsCompleted;

    public (IReadOnlyList<string> Endpoints, DateTimeOffset? Expires)? AskedForInvitation { get; private set; }

    /// <summary>Called when the tunnel is stopped.</summary>
    public Action<FakeTunnel>? OnStop { get; init; }

    /// <summary>A server and its peers and routes as views show them; times are far enough away to read the same for minutes.</summary>
    public static FakeTunnel SampleServer(string name = "office") => new(name, TunnelRole.Server)
    {
        Peers =
        [
            Peer(name, "nas", "10.0.0.20", PathType.Server, 31.4, 2_000_000_000, 15_100_000, TimeSpan.FromMinutes(5.5)),
            Peer(name, "laptop", "10.0.0.21", PathType.Direct, 1.24, 1_234_567, 999, TimeSpan.FromHours(2.5)),
            Peer(name, "phone", "10.0.0.22", PathType.Offline, null, 0, 0, null),
        ],
        Routes =
        [
            Route(name, "10.0.0.20/32", RouteType.Server, "10.0.0.1", "nas", 31.4, 55, RouteState.Up),
            Route(name, "10.0.0.21/32", RouteType.Direct, "10.0.0.21", "laptop", 1.24, 120, RouteState.Up),
            Route(name, "192.168.7.0/24", RouteType.Relay, "10.0.0.21", "nas", null, 0, RouteState.Unproven),
        ],
    };

    public static FakeTunnel SampleClient(string name = "home") => new(name, TunnelRole.Client);

    public void Log(LogLevel level, string message)
    {
        lock (_gate)
        {
            _log.Add(new LogEntry(_log.Count + 1, new DateTimeOffset(2026, 5, 1, 10, 0, 0, 120, TimeSpan.Zero).AddSeconds(_log.Count), level, name, message, null));
            _logged.TrySetResult();
            _logged = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    public Task<TunnelStatus> GetStatusAsync(CancellationToken cancellationToken) => Answer(() => new TunnelStatus
    {
        Name = name,
        Role = role,
        State = IsStopped ? TunnelState.Stopped : TunnelState.Up,
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
    });

    public Task<IReadOnlyList<PeerStatus>> GetPeersAsync(CancellationToken cancellationToken) => Answer(() => Peers);

    public Task<IReadOnlyList<RouteStatus>> GetRoutesAsync(CancellationToken cancellationToken) => Answer(() => Routes);

    public Task<IReadOnlyList<LogEntry>> ReadLogAsync(long afterSequence, LogLevel minimumLevel, int tail, CancellationToken cancellationToken) =>
        Answer<IReadOnlyList<LogEntry>>(() => Entries(afterSequence, minimumLevel, tail));

    public async Task<IReadOnlyList<LogEntry>> WaitForLogAsync(long afterSequence, LogLevel minimumLevel, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task logged;
            lock (_gate)
                logged = _logged.Task;
            LogEntry[] entries = Entries(afterSequence, minimumLevel, int.MaxValue);
            if (entries.Length > 0 || IsStopped)
                return entries;
            await Task.WhenAny(logged, _stopped.Task).WaitAsync(cancellationToken);
        }
    }

    public Task<InvitationText> CreateInvitationAsync(IReadOnlyList<string> endpoints, DateTimeOffset? expires, CancellationToken cancellationToken) => Answer(() =>
    {
        AskedForInvitation = (endpoints, expires);
        return new InvitationText(InvitationSecret, "office", ["10.0.0.0/24"], endpoints.Count > 0 ? endpoints : ["vpn.example.org:9000"], "key", expires);
    });

    public Task StopAsync(CancellationToken cancellationToken)
    {
        OnStop?.Invoke(this);
        _stopped.TrySetResult();
        return Task.CompletedTask;
    }

    public Task WaitForStopAsync(CancellationToken cancellationToken) => _stopped.Task.WaitAsync(cancellationToken);

    private static PeerStatus Peer(string tunnel, string name, string address, PathType path, double? milliseconds, long rx, long tx, TimeSpan? seen) => new()
    {
        Tunnel = tunnel,
        Name = name,
        Addresses = [IPAddress.Parse(address)],
        PublicKey = "mKOqHxc0ggLcS6w1oAwLhvk2mHbNJQx0hJl5SPhKZjg=",
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

    private static RouteStatus Route(
        string tunnel, string destination, RouteType type, string nextHop, string peer, double? milliseconds, int quality, RouteState state) => new()
    {
        Tunnel = tunnel,
        Destination = destination,
        Type = type,
        NextHop = IPAddress.Parse(nextHop),
        Peer = peer,
        RoundTrip = milliseconds is null ? null : TimeSpan.FromMilliseconds(milliseconds.Value),
        Quality = quality,
        State = state,
        Hops = type == RouteType.Direct ? 0 : 1,
        InterfaceName = "lt0",
        InterfaceIndex = 7,
        Updated = new DateTimeOffset(2026, 5, 1, 10, 0, 0, TimeSpan.Zero),
    };

    private LogEntry[] Entries(long afterSequence, LogLevel minimumLevel, int tail)
    {
        lock (_gate)
            return [.. _log.Where(entry => entry.Sequence > afterSequence && entry.Level >= minimumLevel).TakeLast(tail)];
    }

    private Task<T> Answer<T>(Func<T> answer) => Failure is null ? Task.FromResult(answer()) : Task.FromException<T>(Failure);
}
