using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Engine;
using LightTunnel.Engine.Client;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Probing;
using LightTunnel.Internet.Fakes;
using LightTunnel.Management;
using LightTunnel.Packets;
using LightTunnel.Routing;
using LightTunnel.Transport;
using LightTunnel.Tests.WindowsNetwork;
using LightTunnel.Tun;
using LightTunnel.WindowsNetwork;
using LightTunnel.WireGuard;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Engine;

/// <summary>Whole tunnels with their threads, state and sockets on loopback; only the interface is in memory.</summary>
public sealed class LocalEngineTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private readonly string _folder = Directory.CreateTempSubdirectory("lt-engine").FullName;
    private readonly DeviceFactory _devices = new();
    private readonly TunnelEnvironment _environment;
    private readonly LocalEngine _engine;
    private readonly string _networkKey = PresharedKey.Generate().Reveal();

    public LocalEngineTests()
    {
        _environment = new TunnelEnvironment(
            TimeProvider.System, _devices, new UdpTransportFactory(), new SystemNameResolver(), new SystemLocalAddresses());
        _engine = new LocalEngine(_environment);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task NetworkWithLargePackets_CarriesThem_ToAClientThatAskedForNothing()
    {
        ITunnelHandle server = await StartServerAsync("jumbo-hub", mtu: 9000);
        ITunnelHandle client = await ConnectAsync("jumbo-client", server);
        TunnelAddress serverAddress = Address("10.77.0.1");
        TunnelAddress clientAddress = Address((await client.GetStatusAsync(Cancellation)).Addresses[0].Split('/')[0]);
        InMemoryTunDevice atServer = _devices.Made[0];
        InMemoryTunDevice atClient = _devices.Made[1];
        Assert.Equal(9000, atClient.Mtu);

        byte[] large = TestPackets.Udp(serverAddress, clientAddress, new byte[8000]);
        Assert.Equal(large, await SendUntilItArrives(atServer, atClient, large));
        large = TestPackets.Udp(clientAddress, serverAddress, new byte[8000]);
        Assert.Equal(large, await SendUntilItArrives(atClient, atServer, large));

        await client.StopAsync(Cancellation);
        await server.StopAsync(Cancellation);
    }

    [Fact]
    public async Task StoppedTunnel_MakesRoomForItsNameAtOnce()
    {
        for (int i = 0; i < 20; i++)
        {
            ITunnelHandle server = await StartServerAsync("again");
            Assert.Contains(server, TunnelCatalog.Local);
            await server.StopAsync(Cancellation);
            Assert.DoesNotContain(server, TunnelCatalog.Local);
        }
    }

    [Fact]
    public async Task StateFolderThatOthersMayWrite_IsToldInTheSecurityLog_WhereItIsNotTheLogsOwn()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "On Windows folders have access lists.");
        string state = Path.Combine(_folder, "planted");
        Directory.CreateDirectory(state);
        File.WriteAllText(Path.Combine(state, "something"), "of somebody's");
        File.SetUnixFileMode(state, File.GetUnixFileMode(state) | UnixFileMode.OtherWrite);
        var settings = new ServerSettings
        {
            Name = "planted",
            Address = ["10.77.0.1/24"],
            ListenPort = 0,
            StatePath = state,
            NetworkKey = new Secret(_networkKey),
        };

        foreach (string? log in (string?[])[null, Path.Combine(state, "hub.log"), Path.Combine(_folder, "logs", "hub.log")])
        {
            LightTunnelException refusal = await Assert.ThrowsAsync<LightTunnelException>(() =>
                _engine.StartServerAsync(settings with { LogPath = log }, prepared: null, Cancellation));
            Assert.Equal(LightTunnelError.FileAccess, refusal.Error);
        }

        Assert.Equal([Path.Combine(state, "something")], Directory.EnumerateFileSystemEntries(state));
        string told = Assert.Single(Directory.EnumerateFiles(Path.Combine(_folder, "logs")));
        Assert.Contains($"FolderRefused: The state folder {state} is not safe", File.ReadAllText(told), StringComparison.Ordinal);
    }

    [Fact]
    public async Task ConnectAsync_WithoutAnAnswer_LeavesNothingBehind()
    {
        using var cancellation = new CancellationTokenSource(TimeSpan.FromMilliseconds(300));
        int? atPreparation = null;
        OperationCanceledException given = await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => _engine.ConnectAsync(
                Client("nobody-there", 9, PrivateKey.Generate().PublicKey.ToString()), prepared: () => atPreparation = _devices.Made.Count,
                cancellation.Token));
        Assert.Equal(1, atPreparation); // Once there is an interface, and before the server has answered.

        Assert.Equal(LightTunnelError.ServerUnreachable, Assert.IsType<LightTunnelException>(given.InnerException).Error);
        Assert.True(Assert.Single(_devices.Made).IsClosed);
        Assert.DoesNotContain(TunnelCatalog.Local, tunnel => tunnel.Name == "nobody-there");
        using StateStore free = StateStore.Open(Path.Combine(_folder, "nobody-there"));
    }

    [Fact]
    public async Task ConnectAsync_WhoseInterfaceFails_SaysSo_InsteadOfWaiting()
    {
        _devices.FailReading = true;
        using var cancellation = new CancellationTokenSource(Patience);
        LightTunnelException failure = await Assert.ThrowsAsync<LightTunnelException>(
            () => _engine.ConnectAsync(
                Client("broken", 9, PrivateKey.Generate().PublicKey.ToString()), prepared: null, cancellation.Token)
                .WaitAsync(Patience, Cancellation));

        Assert.Contains("unplugged", failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(TunnelCatalog.Local, tunnel => tunnel.Name == "broken");
    }

    [Fact]
    public async Task InterfaceThatSomebodyRemoves_EndsTheTunnel_WithTheReason()
    {
        ITunnelHandle server = await StartServerAsync("robbed");
        _devices.Made[0].Close();

        LightTunnelException failure =
            await Assert.ThrowsAsync<LightTunnelException>(() => server.WaitForStopAsync(Cancellation).WaitAsync(Patience, Cancellation));
        Assert.Equal(LightTunnelError.TunUnavailable, failure.Error);
        Assert.DoesNotContain(server, TunnelCatalog.Local);
        await server.StopAsync(Cancellation);
    }

    [Fact]
    public async Task Changes_TellOfMembers_AndEndWithTheTunnel()
    {
        ITunnelHandle server = await StartServerAsync("watched");
        ITunnelHandle client = await ConnectAsync("seen", server);
        RouteChange joined = await FindAsync(route => route.Peer == "seen");
        Assert.Equal((null, PathType.Lan), (joined.Old, joined.New!.Type));

        await client.StopAsync(Cancellation);
        RouteChange left = await FindAsync(route => route is { Peer: "seen", Old: not null });
        Assert.Equal((PathType.Lan, PathType.Offline, PathReason.PeerOffline), (left.Old!.Type, left.New!.Type, left.New.Reason));

        long newest = (await server.ReadChangesAsync(0, 1, Cancellation))[0].Sequence;
        await server.StopAsync(Cancellation);
        TunnelChange stopped = Assert.Single(await server.WaitForChangesAsync(newest, Cancellation));
        Assert.Equal(new StateChange(TunnelState.Up, TunnelState.Stopped, null), stopped.State);
        Assert.Empty(await server.WaitForChangesAsync(stopped.Sequence, Cancellation));

        async Task<RouteChange> FindAsync(Func<RouteChange, bool> wanted)
        {
            for (long after = 0; ;)
            {
                IReadOnlyList<TunnelChange> changes = await server.WaitForChangesAsync(after, Cancellation)
                    .WaitAsync(Patience, Cancellation);
                if (changes.Select(change => change.Route).OfType<RouteChange>().FirstOrDefault(wanted) is { } found)
                    return found;
                after = changes[^1].Sequence;
            }
        }
    }

    [Fact]
    public async Task AskingAStoppedTunnel_IsAnError_NeverAHang()
    {
        ITunnelHandle server = await StartServerAsync("asked");
        Task[] asking =
        [
            .. Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
            {
                while (true)
                {
                    try
                    {
                        await server.GetPeersAsync(Cancellation);
                    }
                    catch (LightTunnelException exception)
                    {
                        Assert.Equal(LightTunnelError.Stopped, exception.Error);
                        return;
                    }
                }
            })),
        ];
        await Task.WhenAll(server.StopAsync(Cancellation), server.StopAsync(Cancellation)).WaitAsync(Patience, Cancellation);
        await Task.WhenAll(asking).WaitAsync(Patience, Cancellation);
    }

    [Fact]
    public async Task Tests_OfPeersAndTheNetwork_GiveReports_OrSayWhyNot()
    {
        ITunnelHandle server = await StartServerAsync("tested-hub");
        ITunnelHandle alice = await ConnectAsync("tested-alice", server);
        string hub = (await server.GetStatusAsync(Cancellation)).PublicKey;
        string member = (await alice.GetStatusAsync(Cancellation)).PublicKey;

        PeerTestReport toServer = await alice.TestPeerAsync(Request(hub), null, Cancellation);
        Assert.Equal((true, true, 2), (toServer.IsDirect, toServer.IsServer, toServer.Pings.Answered));
        Assert.True((await server.TestPeerAsync(Request(member), null, Cancellation)).IsDirect);
        NetworkTestReport network = await alice.TestNetworkAsync(Patience, null, Cancellation);
        Assert.Equal((true, 1400, 1400), (network.IsServerReachable, network.Mtu, network.LargestPacket));
        // Half a round trip goes into it, whatever that is on a busy machine.
        Assert.InRange(network.ClockOffset!.Value.Duration(), TimeSpan.Zero, TimeSpan.FromSeconds(10));

        await FailsAsync(LightTunnelError.NotFound, () => alice.TestPeerAsync(Request(member), null, Cancellation));
        await FailsAsync(LightTunnelError.InvalidOption, () => server.TestNetworkAsync(TimeSpan.FromSeconds(1), null, Cancellation));
        await FailsAsync(LightTunnelError.InvalidOption, () => server.SetPeerPolicyAsync(member, PathPolicy.Auto, Cancellation));
        await FailsAsync(LightTunnelError.InvalidOption, () => alice.SetPeerPolicyAsync(hub, PathPolicy.Auto, Cancellation));
        using var cancelled = new CancellationTokenSource();
        Task<PeerTestReport> given = alice.TestPeerAsync(Request(hub) with { Count = 100 }, null, cancelled.Token);
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => given);
        Task<PeerTestReport> late = alice.TestPeerAsync(Request(hub) with { Count = 100 }, null, Cancellation);
        await alice.StopAsync(Cancellation);
        await FailsAsync(LightTunnelError.Stopped, () => late);
        await server.StopAsync(Cancellation);
    }

    /// <summary>What Windows knows of the network, its category and rules, is kept by it.</summary>
    [Fact]
    public async Task Interface_IsKnownAgain_AtTheNextStart_AndIsEachNodesOwn()
    {
        for (int start = 0; start < 2; start++)
        {
            ITunnelHandle server = await StartServerAsync("known");
            ITunnelHandle client = await ConnectAsync("known-client", server);
            await client.StopAsync(Cancellation);
            await server.StopAsync(Cancellation);
        }

        Assert.Equal(4, _devices.Ids.Count);
        Assert.DoesNotContain(null, _devices.Ids);
        Assert.Equal(_devices.Ids[..2], _devices.Ids[2..]);
        Assert.NotEqual(_devices.Ids[0], _devices.Ids[1]);
    }

    [Fact]
    public async Task WindowsIsToldOfTheTunnel_AndForgetsItBeforeTheInterfaceIsGone()
    {
        var firewall = new FakeFirewall();
        PresenceOptions? asked = null;
        var engine = new LocalEngine(_environment with
        {
            Windows = new WindowsEnvironment(
                (options, log) =>
                {
                    asked = options;
                    return new WindowsPresence(options, firewall, new FakeNetworkList(), log, TimeProvider.System);
                },
                () => new WindowsSurroundings([], [])),
        });
        ITunnelHandle server = await engine.StartServerAsync(
            new ServerSettings
            {
                Name = "placed", Address = ["10.77.0.1/24"], ListenPort = 0, NetworkKey = new Secret(_networkKey), AllowInbound = true,
                NetworkCategory = NetworkCategory.Private, StatePath = Path.Combine(_folder, "placed"),
            },
            prepared: null,
            Cancellation);
        await firewall.Told.Task.WaitAsync(Patience, Cancellation);
        InMemoryTunDevice device = Assert.Single(_devices.Made);
        Assert.Equal(
            ("server placed", device.Name, device.Id, Environment.ProcessPath, NetworkCategory.Private, true),
            (asked!.Tunnel, asked.Interface, asked.Adapter, asked.Program, asked.Category, asked.AllowInbound));
        int port = (await server.GetStatusAsync(Cancellation)).ListenPort;
        Assert.Equal((2, port), (asked.Ports.Count, asked.Ports[0]));
        Assert.DoesNotContain(0, asked.Ports);
        Assert.Equal(2, firewall.Rules.Count);
        bool? isThere = null;
        firewall.Removing = () => isThere = !device.IsDisposed;

        await server.StopAsync(Cancellation);

        Assert.Empty(firewall.Rules);
        Assert.True(isThere);
        Assert.True(device.IsDisposed);
    }

    [Theory]
    [InlineData(FirewallHindrance.None, false, null)]
    [InlineData(FirewallHindrance.GroupPolicy, false, "group policy")]
    [InlineData(FirewallHindrance.InboundBlocked, false, "blocks everything")]
    [InlineData(FirewallHindrance.InboundBlocked, true, null)]
    internal async Task NetworkTest_TellsWhatWindowsKeepsOut(FirewallHindrance hindrance, bool fails, string? told)
    {
        var firewall = new FakeFirewall { Hindrance = hindrance, Untold = fails };
        var engine = new LocalEngine(_environment with
        {
            Windows = new WindowsEnvironment(
                (options, log) => new WindowsPresence(options, firewall, new FakeNetworkList(), log, TimeProvider.System),
                () => throw new IOException("Windows does not tell.")),
        });
        ITunnelHandle server = await StartServerAsync("kept-hub");
        ITunnelHandle alice = await engine.ConnectAsync(await InvitedAsync("kept-alice", server), prepared: null, Cancellation);

        NetworkTestReport report = await alice.TestNetworkAsync(Patience, null, Cancellation);

        NetworkProblem[] found = [.. report.Problems.Where(problem => problem.Message.Contains("Firewall", StringComparison.Ordinal))];
        if (told is null)
            Assert.Empty(found);
        else
            Assert.Contains(told, Assert.Single(found).Message, StringComparison.Ordinal);
        Assert.All(found, problem => Assert.NotEmpty(problem.RecommendedAction));
        await alice.StopAsync(Cancellation);
        await server.StopAsync(Cancellation);
    }

    [Fact]
    public async Task NetworkTest_TellsWhatWindowsHasBesideTheTunnel()
    {
        var facts = new WindowsSurroundings([], []);
        var engine = new LocalEngine(_environment with
        {
            Windows = new WindowsEnvironment(
                (options, log) =>
                {
                    facts = new WindowsSurroundings(
                        [
                            new(1, options.Adapter, options.Interface, "LightTunnel", InterfaceKind.Tunnel, MetricIPv4: 100),
                            new(2, Guid.Empty, "Ethernet", "Card", InterfaceKind.Ordinary, MetricIPv4: 25),
                        ],
                        [new(1, Prefix("10.77.0.0/24")), new(2, Prefix("10.77.0.128/25"))]);
                    return new WindowsPresence(options, new FakeFirewall(), new FakeNetworkList(), log, TimeProvider.System);
                },
                () => facts),
        });
        ITunnelHandle server = await StartServerAsync("crossed-hub");
        ITunnelHandle alice = await engine.ConnectAsync(await InvitedAsync("crossed-alice", server), prepared: null, Cancellation);

        NetworkTestReport report = await alice.TestNetworkAsync(Patience, null, Cancellation);

        Assert.Contains(report.Problems, problem => problem.Message.Contains("10.77.0.128/25", StringComparison.Ordinal));
        await alice.StopAsync(Cancellation);
        await server.StopAsync(Cancellation);
    }

    [Fact]
    public async Task PolicyOfAPeer_OutlivesTheTunnel()
    {
        ITunnelHandle server = await StartServerAsync("policy-hub");
        ITunnelHandle alice = await ConnectAsync("policy-alice", server);
        ITunnelHandle bob = await ConnectAsync("policy-bob", server);
        string key = (await bob.GetStatusAsync(Cancellation)).PublicKey;
        await ListedAsync(alice, key);

        await alice.SetPeerPolicyAsync(key, PathPolicy.RelayOnly, Cancellation);
        Assert.Equal(PathPolicy.RelayOnly, (await ListedAsync(alice, key)).PathPolicy);
        await alice.StopAsync(Cancellation);
        alice = await ConnectAsync("policy-alice", server);
        Assert.Equal(PathPolicy.RelayOnly, (await ListedAsync(alice, key)).PathPolicy);
        await alice.SetPeerPolicyAsync(key, null, Cancellation);
        await alice.StopAsync(Cancellation);
        alice = await ConnectAsync("policy-alice", server);
        Assert.Equal(PathPolicy.Auto, (await ListedAsync(alice, key)).PathPolicy);

        await alice.StopAsync(Cancellation);
        await bob.StopAsync(Cancellation);
        await server.StopAsync(Cancellation);
    }

    /// <summary>As a service does with those of a tunnel that ran in a session: nobody of the network has to be told anything.</summary>
    [Fact]
    public async Task SettingsOfATunnel_MakeTheSameNodeAgain()
    {
        ITunnelHandle server = await StartServerAsync("moved-hub");
        InvitationText invitation = await server.CreateInvitationAsync(
            new InvitationRequest(
                [$"127.0.0.1:{(await server.GetStatusAsync(Cancellation)).ListenPort}"], DateTimeOffset.UtcNow.AddHours(1)), Cancellation);
        ITunnelHandle client = await _engine.ConnectAsync(
            new ClientSettings
            {
                Name = "moved", Invitation = new Secret(invitation.Text), StatePath = Path.Combine(_folder, "moved"),
                LogPath = Path.Combine(_folder, "moved.log"),
            },
            prepared: null, Cancellation);
        TunnelStatus[] before = [await server.GetStatusAsync(Cancellation), await client.GetStatusAsync(Cancellation)];
        TunnelSettings[] settings = [await SettingsAsync(server), await SettingsAsync(client)];
        await client.StopAsync(Cancellation);
        await server.StopAsync(Cancellation);

        Assert.Null(((ClientSettings)settings[1]).Invitation);
        Assert.Equal(Path.Combine(_folder, "moved.log"), settings[1].LogPath);
        server = await _engine.StartServerAsync((ServerSettings)settings[0], prepared: null, Cancellation);
        client = await _engine.ConnectAsync((ClientSettings)settings[1], prepared: null, Cancellation);

        TunnelStatus[] after = [await server.GetStatusAsync(Cancellation), await client.GetStatusAsync(Cancellation)];
        Assert.Equal(before.Select(Identity), after.Select(Identity));
        Assert.Equal(before[0].ListenPort, after[0].ListenPort);
        await client.StopAsync(Cancellation);
        await server.StopAsync(Cancellation);

        static (string, string, string) Identity(TunnelStatus status) =>
            (status.Name, status.PublicKey, string.Join(' ', status.Addresses));

        static async Task<TunnelSettings> SettingsAsync(ITunnelHandle tunnel) =>
            ConfigurationFile.Parse(new Secret((await tunnel.GetSettingsAsync(Cancellation)).Text), tunnel.Name);
    }

    private static PeerTestRequest Request(string key) => new(key, 2, Patience);

    private static async Task FailsAsync(LightTunnelError error, Func<Task> action)
    {
        LightTunnelException exception = await Assert.ThrowsAsync<LightTunnelException>(action);
        Assert.Equal(error, exception.Error);
        Assert.NotEmpty(exception.RecommendedAction);
    }

    /// <summary>The directory tells of members a moment after the registration.</summary>
    private static async Task<PeerStatus> ListedAsync(ITunnelHandle tunnel, string key)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        deadline.CancelAfter(Patience);
        while (true)
        {
            if ((await tunnel.GetPeersAsync(deadline.Token)).FirstOrDefault(peer => peer.PublicKey == key) is { } peer)
                return peer;
        }
    }

    private static async Task<byte[]?> SendUntilItArrives(InMemoryTunDevice from, InMemoryTunDevice to, byte[] packet)
    {
        byte[]? arrived = null;
        for (int i = 0; i < 60 && arrived is null; i++)
        {
            from.Inject(packet);
            arrived = await Task.Run(() => to.Collect(TimeSpan.FromSeconds(2)));
        }

        return arrived;
    }

    private static TunnelAddress Address(string text) => TunnelAddress.FromIPAddress(IPAddress.Parse(text));

    private Task<ITunnelHandle> StartServerAsync(string name, int? mtu = null) => _engine.StartServerAsync(
        new ServerSettings
        {
            Name = name, Address = ["10.77.0.1/24"], ListenPort = 0, Mtu = mtu, NetworkKey = new Secret(_networkKey),
            StatePath = Path.Combine(_folder, name),
        },
        prepared: null,
        Cancellation);

    private async Task<ITunnelHandle> ConnectAsync(string name, ITunnelHandle server)
    {
        using var cancellation = new CancellationTokenSource(Patience);
        return await _engine.ConnectAsync(await InvitedAsync(name, server), prepared: null, cancellation.Token);
    }

    /// <summary>As a person joins: by an invitation of the server's.</summary>
    private async Task<ClientSettings> InvitedAsync(string name, ITunnelHandle server)
    {
        int port = (await server.GetStatusAsync(Cancellation)).ListenPort;
        InvitationText invitation = await server.CreateInvitationAsync(new InvitationRequest([$"127.0.0.1:{port}"]), Cancellation);
        return new ClientSettings
        {
            Name = name, Invitation = new Secret(invitation.Text), StatePath = Path.Combine(_folder, name),
        };
    }

    private ClientSettings Client(string name, int port, string serverKey) => new()
    {
        Name = name, Server = [$"127.0.0.1:{port}"], ServerKey = serverKey, NetworkKey = new Secret(_networkKey),
        StatePath = Path.Combine(_folder, name),
    };

    private sealed class DeviceFactory : ITunDeviceFactory
    {
        private readonly InMemoryTunDeviceFactory _memory = new();

        public IReadOnlyList<InMemoryTunDevice> Made => _memory.Devices;

        public bool FailReading { get; set; }

        /// <summary>By what the system was to know each.</summary>
        public List<Guid?> Ids { get; } = [];

        public ITunDevice Create(string? name, DataPathOptions? options = null, Guid? id = null)
        {
            Ids.Add(id);
            InMemoryTunDevice device = _memory.Create(null, options);
            return FailReading ? new BrokenDevice(device) : device;
        }
    }

    private sealed class BrokenDevice(InMemoryTunDevice device) : ITunDevice
    {
        public string Name => device.Name;

        public int InterfaceIndex => device.InterfaceIndex;

        public int Mtu => device.Mtu;

        public long WriteErrors => device.WriteErrors;

        public int Queues => device.Queues;

        public bool ReadsSuperPackets => device.ReadsSuperPackets;

        public bool Read(PacketBatch batch, int queue = 0) => throw new IOException("The interface was unplugged.");

        public void Write(PacketBatch batch, int queue = 0) => device.Write(batch, queue);

        public void Write(ReadOnlySpan<byte> packet) => device.Write(packet);

        public LightTunnelException? Configure(IReadOnlyList<InterfaceAddress> addresses, int mtu) => device.Configure(addresses, mtu);

        public IReadOnlyDictionary<IpPrefix, string> SetRoutes(IReadOnlyList<IpPrefix> prefixes) => device.SetRoutes(prefixes);

        public void Close() => device.Close();

        public void Dispose() => device.Dispose();
    }
}
