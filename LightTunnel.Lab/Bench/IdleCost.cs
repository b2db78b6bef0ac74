using System.Globalization;
using System.Net;
using System.Net.Sockets;
using LightTunnel.Configuration;
using LightTunnel.Engine;
using LightTunnel.Internet.Fakes;
using LightTunnel.Management;
using LightTunnel.Routing;

namespace LightTunnel.Lab.Bench;

/// <summary>What a tunnel costs that nobody uses.</summary>
/// <param name="Peers">Members that it reaches directly.</param>
/// <param name="ProcessorShare">Share of one core that its threads take, 0..1.</param>
/// <param name="WakeUps">How often one of its threads was woken, per second.</param>
internal sealed record IdleCostReport(int Peers, double ProcessorShare, double WakeUps);

/// <summary>
/// Measures an idle tunnel with a real interface and real sockets, whose peers run in this process too, on interfaces in memory: counted is
/// what the kernel says of the tunnel's own threads. Needs root.
/// </summary>
internal static class IdleCost
{
    private const string Prefix = "10.78";

    /// <summary>In larger networks members are told of on demand.</summary>
    private const int MaximumPeers = 120;

    /// <summary>
    /// Members that are introduced all at once are introduced a few at a time here, as they join; until all are direct, this is the limit.
    /// </summary>
    private static readonly TimeSpan UntilDirect = TimeSpan.FromSeconds(60);

    /// <summary>Until what joining and the first packets caused is over: links are asleep after a minute without traffic.</summary>
    private static readonly TimeSpan UntilIdle = TimeSpan.FromSeconds(75);

    /// <summary>The "idle" command.</summary>
    /// <returns>0 when it was measured.</returns>
    public static async Task<int> RunAsync(int peers, TimeSpan duration, TextWriter output, CancellationToken cancellationToken)
    {
        if (peers is < 1 or > MaximumPeers || duration < TimeSpan.FromSeconds(1))
            throw new LabException($"--peers must be 1 to {MaximumPeers}, --seconds at least 1.", "Give other numbers.");
        SetupCheck.Provide(SetupCheck.Essentials(), output);
        output.WriteLine($"Starting a server and {peers + 1} members, and waiting until nothing happens any more ...");
        IdleCostReport report = await MeasureAsync(peers, duration, cancellationToken).ConfigureAwait(false);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{report.Peers} direct peers: {report.ProcessorShare:P3} of a core, {report.WakeUps:F1} wake-ups of the tunnel's "
                + $"threads per second."));
        return 0;
    }

    /// <summary>Starts a network, lets it come to rest, and measures one of its members.</summary>
    /// <param name="peers">How many other members there are, at most <see cref="MaximumPeers"/>.</param>
    /// <param name="duration">How long to measure.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async Task<IdleCostReport> MeasureAsync(int peers, TimeSpan duration, CancellationToken cancellationToken)
    {
        string state = Directory.CreateTempSubdirectory("lighttunnel-idle-").FullName;
        var tunnels = new List<ITunnelHandle>();
        try
        {
            var others = new LocalEngine(TunnelEnvironment.System with { TunDevices = new InMemoryTunDeviceFactory(), PortMappers = null });
            ITunnelHandle server = await others.StartServerAsync(
                new ServerSettings
                {
                    Name = "idle-server",
                    Address = [$"{Prefix}.0.1/16"],
                    ListenPort = 0,
                    StatePath = Path.Combine(state, "server"),
                }, prepared: null, cancellationToken)
                .ConfigureAwait(false);
            tunnels.Add(server);
            int port = (await server.GetStatusAsync(cancellationToken).ConfigureAwait(false)).ListenPort;
            InvitationText invitation = await server.CreateInvitationAsync(
                new InvitationRequest([$"{OwnAddress()}:{port}"]), cancellationToken).ConfigureAwait(false);
            for (int i = 0; i < peers; i++)
            {
                tunnels.Add(await others.ConnectAsync(
                    Member($"idle-peer{i}", state, invitation), prepared: null, cancellationToken).ConfigureAwait(false));
            }

            HashSet<string> before = [.. Threads()];
            var engine = new LocalEngine(TunnelEnvironment.System with { PortMappers = null });
            ITunnelHandle node = await engine.ConnectAsync(
                Member("idle-node", state, invitation), prepared: null, cancellationToken).ConfigureAwait(false);
            tunnels.Add(node);
            string[] own = [.. Threads().Where(thread => !before.Contains(thread)
                && NameOf(thread).StartsWith("LightTunnel", StringComparison.Ordinal))];
            int direct = await TalkAsync(node, peers, cancellationToken).ConfigureAwait(false);
            await Task.Delay(UntilIdle, TimeProvider.System, cancellationToken).ConfigureAwait(false);
            (long ran, long woken) = Read(own);
            await Task.Delay(duration, TimeProvider.System, cancellationToken).ConfigureAwait(false);
            (long ranAfter, long wokenAfter) = Read(own);
            return new IdleCostReport(direct, (ranAfter - ran) / 1e9 / duration.TotalSeconds, (wokenAfter - woken) / duration.TotalSeconds);
        }
        finally
        {
            foreach (ITunnelHandle tunnel in Enumerable.Reverse(tunnels))
                await tunnel.StopAsync(CancellationToken.None).ConfigureAwait(false);
            Directory.Delete(state, recursive: true);
        }
    }

    /// <summary>The system sends each peer a packet through the tunnel; returns how many are reached directly.</summary>
    private static async Task<int> TalkAsync(ITunnelHandle node, int peers, CancellationToken cancellationToken)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        DateTimeOffset end = DateTimeOffset.UtcNow + UntilDirect;
        int direct = 0;
        while (direct < peers && DateTimeOffset.UtcNow < end)
        {
            IReadOnlyList<PeerStatus> all = await node.GetPeersAsync(cancellationToken).ConfigureAwait(false);
            direct = all.Count(peer => !peer.IsServer && peer.Path is PathType.Direct or PathType.Lan);
            foreach (PeerStatus peer in all.Where(peer => peer.Path == PathType.Server))
                await socket.SendToAsync(new byte[1], new IPEndPoint(peer.Addresses[0], 9), cancellationToken).ConfigureAwait(false);
            await Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System, cancellationToken).ConfigureAwait(false);
        }

        return direct;
    }

    private static ClientSettings Member(string name, string state, InvitationText invitation) =>
        new() { Name = name, Invitation = new Secret(invitation.Text), StatePath = Path.Combine(state, name), PortMapping = false };

    /// <summary>The address that this machine would send from; candidates on the loopback interface are none.</summary>
    private static IPAddress OwnAddress()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.Connect(IPAddress.Parse("192.0.2.1"), 9);
        return ((IPEndPoint)socket.LocalEndPoint!).Address;
    }

    private static IEnumerable<string> Threads() => Directory.EnumerateDirectories("/proc/self/task");

    private static string NameOf(string thread) => File.ReadAllText(Path.Combine(thread, "comm"));

    /// <summary>Nanoseconds on a processor, and how often the threads were put on one.</summary>
    private static (long Ran, long Woken) Read(string[] threads)
    {
        long ran = 0;
        long woken = 0;
        foreach (string thread in threads)
        {
            string[] fields = File.ReadAllText(Path.Combine(thread, "schedstat")).Split(' ');
            ran += long.Parse(fields[0], CultureInfo.InvariantCulture);
            woken += long.Parse(fields[2], CultureInfo.InvariantCulture);
        }

        return (ran, woken);
    }
}
