using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Client;
using LightTunnel.Forwarding;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Transport;
using LightTunnel.Tun;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Forwarding;

/// <summary>
/// A machine that goes out by an exit node, with a real kernel and the real nft: "lt0" is a cable that stands for the tunnel, with the exit
/// node at its other end; "wan" one to the local network, whose router is there.
/// </summary>
[SupportedOSPlatform("linux")]
public sealed class ExitRoutingTests : IDisposable
{
    private const string Somebody = "198.51.100.9", SomebodyV6 = "2001:db8:9::9", Printer = "192.168.1.9";
    private static int s_counter;

    private readonly string _machine = $"ltxe{Environment.ProcessId}x{Interlocked.Increment(ref s_counter)}";
    private readonly TunnelLog _log = GatewayNamespaces.Log();
    private readonly MemoryRecord _record = new();

    public ExitRoutingTests()
    {
        Prerequisites.SkipUnlessGateway();
        foreach (string name in (string[])[_machine, Exit, Router])
        {
            NetworkNamespace.Create(name);
            Write(name, "net/ipv6/conf/default/accept_dad", "0");
            NetworkNamespace.Ip("-n", name, "link", "set", "lo", "up");
        }

        Cable(Exit, "lt0", ["10.0.0.5/24", "fd00::5/64"], ["10.0.0.1/24", "fd00::1/64"]);
        Cable(Router, "wan", ["192.168.1.1/24", $"{Printer}/24"], ["192.168.1.20/24", "2001:db8:1::20/64"]);
        foreach (string far in (string[])[Exit, Router])
        {
            NetworkNamespace.Ip("-n", far, "address", "add", $"{Somebody}/32", "dev", "lo");
            NetworkNamespace.Ip("-n", far, "address", "add", $"{SomebodyV6}/128", "dev", "lo");
        }

        NetworkNamespace.Ip("-n", Router, "address", "add", "2001:db8:1::1/64", "dev", "port");
        NetworkNamespace.Ip("-n", _machine, "route", "add", "default", "via", "192.168.1.1");
        NetworkNamespace.Ip("-n", _machine, "-6", "route", "add", "default", "via", "2001:db8:1::1");
        GatewayNamespaces.Await(
            () => NetworkNamespace.Ip("-n", _machine, "-6", "address", "show", "scope", "link", "-tentative").Split("fe80").Length == 3,
            "There are no link-local addresses.");
    }

    private string Exit => _machine + "e";

    private string Router => _machine + "r";

    public void Dispose()
    {
        _log.Dispose();
        foreach (string name in (string[])[_machine, Exit, Router])
            NetworkNamespace.Delete(name);
    }

    [Fact]
    public void Everything_GoesByTheExitNode_ButTheTunnelsOwnDatagrams_AndAllIsPutBack()
    {
        Write(_machine, "net/ipv4/conf/wan/rp_filter", "1");
        NetworkNamespace.Execute(_machine, "nft", "add", "table", "inet", "admins");
        string before = GatewayNamespaces.Snapshot(_machine);
        LinuxExit exit = Begin(Plan());
        Assert.Equal("lt0", WayTo(Somebody));
        Assert.Equal("lt0", WayTo(SomebodyV6));
        Assert.Equal("lt0", WayTo(Printer)); // Which the exit node does not lead to.
        Assert.Equal("wan", WayTo(Somebody, marked: true));
        Assert.Equal("wan", WayTo(SomebodyV6, marked: true));
        Assert.Equal("2", Read("net/ipv4/conf/wan/rp_filter"));
        Assert.NotNull(_record.Content);

        // Another default route, and a route that who gave the address may have given too.
        NetworkNamespace.Ip("-n", _machine, "route", "replace", "default", "via", "192.168.1.9");
        NetworkNamespace.Ip("-n", _machine, "route", "add", "198.51.100.0/24", "via", "192.168.1.1");
        Assert.Equal("lt0", WayTo(Somebody));
        NetworkNamespace.Ip("-n", _machine, "route", "del", "198.51.100.0/24");
        NetworkNamespace.Ip("-n", _machine, "route", "replace", "default", "via", "192.168.1.1");

        // The kernel's table of rules is somebody's to tidy up.
        NetworkNamespace.Ip("-n", _machine, "rule", "del", "pref", "5182");
        NetworkNamespace.Execute(_machine, "nft", "delete", "table", "inet", "lighttunnel-exit");
        GatewayNamespaces.Await(() => WayTo(Somebody) == "lt0", "The rule does not come back.");
        Assert.Contains("lighttunnel-exit", NetworkNamespace.Execute(_machine, "nft", "list", "ruleset"), StringComparison.Ordinal);
        Assert.Contains(_log.Read(), entry => entry.Message.Contains("rules of routing", StringComparison.Ordinal));
        exit.Dispose();
        Assert.Equal(before, GatewayNamespaces.Snapshot(_machine));
        Assert.Null(_record.Content);
    }

    [Fact]
    public void TunnelWithoutIPv6_KeepsTheMachinesIn()
    {
        Write(_machine, "net/ipv6/conf/lt0/disable_ipv6", "1");
        string before = GatewayNamespaces.Snapshot(_machine);
        using (LinuxExit exit = Begin(Plan()))
        {
            Assert.Equal("lt0", WayTo(Somebody));
            Assert.Contains(
                "No route to host", Assert.Throws<InvalidOperationException>(() => WayTo(SomebodyV6)).Message, StringComparison.Ordinal);
            Assert.Equal("wan", WayTo(SomebodyV6, marked: true));
        }

        Assert.Equal(before, GatewayNamespaces.Snapshot(_machine));
    }

    [Fact]
    public void LocalNetwork_IsReachedOnRequest_AndContainersAlways()
    {
        NetworkNamespace.Ip("-n", _machine, "link", "add", "pods", "type", "veth", "peer", "name", "pod");
        NetworkNamespace.Ip("-n", _machine, "address", "add", "172.17.0.1/16", "dev", "pods");
        NetworkNamespace.Ip("-n", _machine, "link", "set", "pods", "up");
        NetworkNamespace.Ip("-n", _machine, "link", "set", "pod", "up");
        NetworkNamespace.Ip("-n", _machine, "route", "add", "203.0.113.0/24", "via", "192.168.1.1");
        using LinuxExit exit = Begin(Plan());
        Assert.Equal(("lt0", "pods", "lt0"), (WayTo(Printer), WayTo("172.17.0.9"), WayTo("203.0.113.9")));
        In(() => Set(exit, Plan() with { AllowLan = true }));
        Assert.Equal(("wan", "pods", "lt0"), (WayTo(Printer), WayTo("172.17.0.9"), WayTo("203.0.113.9")));
        Assert.Equal("lt0", WayTo("10.0.0.5"));
        In(() => Set(exit, Plan()));
        Assert.Equal("lt0", WayTo(Printer));
    }

    /// <summary>Who is killed leaves rules and no way into a tunnel: the machine has its own network at once.</summary>
    [Fact]
    public void Killed_TheMachineHasItsNetwork_AndTheNextStartPutsBackWhatIsLeft()
    {
        string before = GatewayNamespaces.Snapshot(_machine);
        _ = Begin(Plan());
        NetworkNamespace.Ip("-n", Exit, "link", "del", "port"); // The interface goes with its process.
        Assert.Equal("wan", WayTo(Somebody));
        Assert.Equal("wan", WayTo(SomebodyV6));
        Assert.True(Connects(Somebody));
        Assert.NotEqual(before, GatewayNamespaces.Snapshot(_machine));
        In(() =>
        {
            ExitSetup.Recover(new KernelSettings(), new NftProgram(), _record, keepsKillSwitch: false, _log);
            return true;
        });
        Assert.Null(_record.Content);
        Cable(Exit, "lt0", ["10.0.0.5/24", "fd00::5/64"], ["10.0.0.1/24", "fd00::1/64"]);
        Assert.DoesNotContain("5182", NetworkNamespace.Ip("-n", _machine, "rule"), StringComparison.Ordinal);
        Assert.DoesNotContain("lighttunnel", NetworkNamespace.Execute(_machine, "nft", "list", "ruleset"), StringComparison.Ordinal);
        Assert.DoesNotContain("8308", NetworkNamespace.Ip("-n", _machine, "route", "show", "table", "all"), StringComparison.Ordinal);
    }

    [Fact]
    public void KillSwitch_LetsNothingOutBesideTheTunnel_AlsoWithoutIt_AndIsKeptByTheNextStart()
    {
        Assert.True(Connects(Somebody));
        LinuxExit exit = Begin(Plan() with { KillSwitch = true });
        Assert.True(Connects(Somebody));
        Assert.True(Connects(Somebody, marked: true));
        NetworkNamespace.Ip("-n", Exit, "link", "del", "port");
        Assert.False(Connects(Somebody));
        Assert.False(Connects(SomebodyV6));
        Assert.True(Connects(Somebody, marked: true)); // The tunnel comes back by itself.
        Assert.True(Connects("127.0.0.1"));
        Assert.False(Connects("192.168.1.20", from: Router)); // What comes is not answered either.

        In(() =>
        {
            ExitSetup.Recover(new KernelSettings(), new NftProgram(), _record, keepsKillSwitch: true, _log);
            return true;
        });
        Assert.Contains("chain kill-last", NetworkNamespace.Execute(_machine, "nft", "list", "ruleset"), StringComparison.Ordinal);
        In(() => Set(exit, Plan() with { KillSwitch = true, AllowLan = true }));
        Assert.True(Connects(Printer));
        Assert.False(Connects(Somebody));
        exit.Dispose();
        Assert.True(Connects(Somebody));
        Assert.DoesNotContain("lighttunnel", NetworkNamespace.Execute(_machine, "nft", "list", "ruleset"), StringComparison.Ordinal);
    }

    /// <summary>Or the tunnel would not find its server any more.</summary>
    [Fact]
    public async Task NameOfTheServer_IsFoundBesideTheKillSwitch_AndNoOther()
    {
        using LinuxExit exit = Begin(Plan() with { KillSwitch = true });
        using UdpClient resolver = NetworkNamespace.Run(Router, () => new UdpClient(new IPEndPoint(IPAddress.Any, 53)));
        CancellationToken token = TestContext.Current.CancellationToken;
        Task serving = Task.Run(async () =>
        {
            for (int i = 0; i < 2; i++)
            {
                UdpReceiveResult asked = await resolver.ReceiveAsync(token);
                byte[] question = asked.Buffer;
                bool isIPv4 = question[^3] == 1;
                byte[] header = [question[0], question[1], 0x81, 0x80, 0, 1, 0, (byte)(isIPv4 ? 1 : 0), 0, 0, 0, 0];
                byte[] record = isIPv4 ? [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203, 0, 113, 1] : [];
                await resolver.SendAsync((byte[])[.. header, .. question[12..], .. record], asked.RemoteEndPoint, token);
            }
        }, token);
        IReadOnlyList<IPAddress> found = await In(() =>
            DirectNameLookup.AskAsync("vpn.example.org", [Address("192.168.1.1")], token));
        await serving;
        Assert.Equal(["203.0.113.1"], found.Select(address => address.ToString()));
    }

    [Fact]
    public void WhoTalksFromOutside_IsAnsweredTheWayThatItCame()
    {
        using LinuxExit exit = Begin(Plan());
        // This address leads to the exit node from here; the one that talks is in the local network's router.
        Assert.True(Connects("192.168.1.20", from: Router, source: Somebody));
        Assert.True(Connects("192.168.1.20", from: Router));
        Assert.True(Connects("2001:db8:1::20", from: Router, source: SomebodyV6));
    }

    /// <summary>The admin's own, for instance, in which the command was given: its kernel had counted no connections before.</summary>
    [Fact]
    public async Task SessionThatSomebodyHasBegun_GoesOn_AndOneThatThisMachineHasBegunDoesNotBesideTheTunnel()
    {
        CancellationToken token = TestContext.Current.CancellationToken;
        using TcpListener here = In(() => Listen(IPAddress.IPv6Any)), there = NetworkNamespace.Run(Router, () => Listen(IPAddress.Any));
        using TcpClient admin = NetworkNamespace.Run(Router, () => Connect("192.168.1.20", IPAddress.Parse(Somebody)));
        using TcpClient session = await here.AcceptTcpClientAsync(token);
        using TcpClient own = In(() => Connect(Somebody, IPAddress.Any)), peer = await there.AcceptTcpClientAsync(token);
        using LinuxExit exit = Begin(Plan());
        byte[] buffer = new byte[1];
        for (int i = 0; i < 3; i++)
        {
            await admin.GetStream().WriteAsync(buffer, token);
            await session.GetStream().ReadExactlyAsync(buffer, token);
            await session.GetStream().WriteAsync(buffer, token);
            await admin.GetStream().ReadExactlyAsync(buffer, token);
        }

        await own.GetStream().WriteAsync(buffer, token);
        peer.Client.ReceiveTimeout = 1000;
        Assert.Equal(SocketError.TimedOut, Assert.Throws<SocketException>(() => peer.Client.Receive(buffer)).SocketErrorCode);
        static TcpListener Listen(IPAddress address)
        {
            var listener = new TcpListener(address, 4243);
            if (address.AddressFamily == AddressFamily.InterNetworkV6)
                listener.Server.DualMode = true;
            listener.Start();
            return listener;
        }

        static TcpClient Connect(string to, IPAddress from)
        {
            var client = new TcpClient(new IPEndPoint(from, 0));
            client.Connect(to, 4243);
            return client;
        }
    }

    [Theory]
    [InlineData("192.168.1.1", false)]
    [InlineData("192.168.1.1", true)]
    public void Names_AreAskedForAtTheExitNode_InPlaceOfTheLocalNetworks(string resolver, bool allowLan)
    {
        using LinuxExit exit = Begin(Plan() with { AllowLan = allowLan });
        using UdpClient asked = NetworkNamespace.Run(Exit, () => new UdpClient(new IPEndPoint(IPAddress.Any, 53)));
        asked.Client.ReceiveTimeout = 60_000;
        using UdpClient asking = NetworkNamespace.Run(_machine, () => new UdpClient(resolver, 53));
        asking.Client.ReceiveTimeout = 60_000;
        asking.Send("question"u8);
        IPEndPoint from = new(IPAddress.Any, 0);
        Assert.Equal("question"u8, asked.Receive(ref from));
        Assert.Equal("10.0.0.1", from.Address.ToString());
        asked.Send("answer"u8, from);
        Assert.Equal("answer"u8, asking.Receive(ref from));
        // And those of a resolver that is bound to the card, as systemd-resolved does.
        using UdpClient bound = NetworkNamespace.Run(_machine, () =>
        {
            var socket = new UdpClient(AddressFamily.InterNetwork);
            int index = BitConverter.IsLittleEndian ? IPAddress.HostToNetworkOrder(IndexOf("wan")) : IndexOf("wan");
            socket.Client.SetRawSocketOption(0, 50, BitConverter.GetBytes(index)); // IP_UNICAST_IF
            socket.Client.ReceiveTimeout = 60_000;
            socket.Send("again"u8, new IPEndPoint(IPAddress.Parse(Somebody), 53));
            return socket;
        });
        Assert.Equal("again"u8, asked.Receive(ref from));
        asked.Send("answer"u8, from);
        Assert.Equal("answer"u8, bound.Receive(ref from));
    }

    [Fact]
    public void SecondTunnel_IsToldWhoHasTheMachine()
    {
        using LinuxExit exit = Begin(Plan());
        LightTunnelException refused = Assert.Throws<LightTunnelException>(() => In(() =>
        {
            new LinuxExitSystem().Check(offers: false, takes: true, "lt1");
            return true;
        }));
        Assert.Contains("tunnel at lt0", refused.Message, StringComparison.Ordinal);
        In(() =>
        {
            new LinuxExitSystem().Check(offers: false, takes: true, "lt0");
            return true;
        });
    }

    private static ExitPlan Plan() => new(
        "lt0", Address("10.0.0.5"), null, [Prefix("10.0.0.0/24"), Prefix("fd00::/64")], AllowLan: false, KillSwitch: false);

    private LinuxExit Begin(ExitPlan plan) => In(() =>
    {
        var exit = new LinuxExit(new ExitSetup("lt0", new KernelSettings(), new NftProgram(), _record, _log), "lt0", _log);
        Set(exit, plan);
        return exit;
    });

    private static bool Set(LinuxExit exit, ExitPlan plan)
    {
        exit.Set(plan);
        Assert.Null(exit.Problem);
        return true;
    }

    private T In<T>(Func<T> body) => NetworkNamespace.Run(_machine, body);

    private string? Read(string key) => In(() => new KernelSettings().Read(key));

    private static void Write(string name, string key, string value) => NetworkNamespace.Run(name, () =>
    {
        new KernelSettings().Write(key, value);
        return true;
    });

    private void Cable(string far, string name, string[] addressesThere, string[] addresses)
    {
        NetworkNamespace.Ip("-n", _machine, "link", "add", name, "type", "veth", "peer", "name", "port", "netns", far);
        foreach ((string space, string end, string[] given) in
            ((string, string, string[])[])[(far, "port", addressesThere), (_machine, name, addresses)])
        {
            foreach (string address in given)
                NetworkNamespace.Ip("-n", space, "address", "add", address, "dev", end);
            NetworkNamespace.Ip("-n", space, "link", "set", end, "up");
        }
    }

    private int IndexOf(string name) => In(() =>
    {
        using var netlink = new RouteNetlink();
        return netlink.GetLinks().Single(link => link.Name == name).Index;
    });

    private string WayTo(string address, bool marked = false)
    {
        string[] mark = marked ? ["mark", "0x2074"] : [];
        string[] words = NetworkNamespace.Ip(["-n", _machine, "route", "get", address, .. mark]).Split(' ');
        return words[Array.IndexOf(words, "dev") + 1];
    }

    /// <summary>True when a connection is refused by who is there, or taken: either way, packets go there and back.</summary>
    private bool Connects(string address, bool marked = false, string? from = null, string? source = null) =>
        NetworkNamespace.Run(from ?? _machine, () =>
        {
            IPAddress to = IPAddress.Parse(address);
            using var socket = new Socket(to.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            if (marked)
                TunnelMark.TrySet(socket);
            if (source is not null)
                socket.Bind(new IPEndPoint(IPAddress.Parse(source), 0));
            try
            {
                // A firewall's rejection comes as another error; where all is silent, the system would try for minutes.
                socket.SetRawSocketOption(6, 7, BitConverter.GetBytes(from is null ? 5 : 1)); // TCP_SYNCNT
                socket.Connect(to, 4242);
                return true;
            }
            catch (SocketException exception)
            {
                return exception.SocketErrorCode == SocketError.ConnectionRefused;
            }
        });
}
