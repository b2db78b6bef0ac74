using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using LightTunnel.Diagnostics;
using LightTunnel.Forwarding;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Timing;
using Microsoft.Extensions.Time.Testing;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Forwarding;

/// <summary>Forwarding by a real kernel and the real nft, in network namespaces.</summary>
[SupportedOSPlatform("linux")]
public sealed class LinuxForwardingTests : IDisposable
{
    private const string LanForwarding = "net/ipv4/conf/lan/forwarding";

    private readonly GatewayNamespaces _world = new();
    private readonly TunnelLog _log = GatewayNamespaces.Log();

    public void Dispose()
    {
        _log.Dispose();
        _world.Dispose();
    }

    [Fact]
    public void Members_ReachTheNetworkWithoutARouteBack_NobodyElseIsForwarded_AndAllIsPutBack()
    {
        _world.Nft("add", "table", "inet", "admins"); // Somebody else's rules stay.
        string before = _world.Snapshot();
        var record = new MemoryRecord();
        using (LinuxForwarding forwarding = _world.Begin(
            GatewayNamespaces.Options("lt0", true, GatewayNamespaces.Network, GatewayNamespaces.NetworkV6), _log, record))
        {
            Assert.Null(forwarding.Problem);
            Assert.NotNull(record.Content);
            Assert.True(_world.Pings("a", GatewayNamespaces.Host));
            Assert.True(_world.Pings("a", GatewayNamespaces.HostV6));
            // Forwarding was switched on for the interface, and for nobody else.
            Assert.False(_world.Pings("h", GatewayNamespaces.Stranger, expected: false));
            Assert.False(_world.Pings("s", GatewayNamespaces.Host, expected: false));
            Assert.False(_world.Pings("s", "10.0.0.5", expected: false));
            Assert.Equal("0", _world.Read("net/ipv4/ip_forward"));
            Assert.Equal("0", _world.Read("net/ipv6/conf/all/forwarding"));
        }

        Assert.Equal(before, _world.Snapshot());
        Assert.Null(record.Content);
    }

    [Fact]
    public void ExitNode_LeadsToTheInternetByItsDefaultRoute_AndToItsResolver_AndNobodyBeginsFromThere()
    {
        const string Far = "203.0.113.77", FarV6 = "2001:db8:77::1";
        string stranger = _world.NamespaceOf("s"), member = _world.NamespaceOf("a");
        NetworkNamespace.Ip("-n", stranger, "address", "add", $"{Far}/32", "dev", "lo");
        NetworkNamespace.Ip("-n", stranger, "address", "add", $"{FarV6}/128", "dev", "lo");
        NetworkNamespace.Ip("-n", stranger, "link", "set", "lo", "up");
        NetworkNamespace.Ip("-n", _world.Gateway, "route", "add", "default", "via", GatewayNamespaces.Stranger);
        NetworkNamespace.Ip("-n", _world.Gateway, "-6", "route", "add", "default", "via", "fd99::9");
        NetworkNamespace.Ip("-n", member, "route", "add", "default", "via", "10.0.0.1");
        NetworkNamespace.Ip("-n", member, "-6", "route", "add", "default", "via", "fd00::1");
        string before = _world.Snapshot();
        var options = GatewayNamespaces.Options("lt0", true, "0.0.0.0/0", "::/0");
        using (LinuxForwarding forwarding = _world.Begin(
            options, _log, new MemoryRecord(), settings: null, Address(GatewayNamespaces.Stranger)))
        {
            Assert.Null(forwarding.Problem);
            Assert.True(_world.Pings("a", Far));
            Assert.True(_world.Pings("a", FarV6));
            Assert.False(_world.Pings("s", "10.0.0.5", expected: false));
            Assert.False(_world.Pings("a", GatewayNamespaces.Host, expected: false)); // It is not by the default route.
            Assert.True(_world.Pings("a", "10.0.0.1"));
            Assert.False(_world.Pings("a", "198.51.100.1", expected: false)); // What listens there is behind another firewall.

            using UdpClient resolver = NetworkNamespace.Run(stranger, () => new UdpClient(new IPEndPoint(IPAddress.Any, 53)));
            using UdpClient asking = NetworkNamespace.Run(member, () => new UdpClient("10.0.0.1", 53));
            resolver.Client.ReceiveTimeout = asking.Client.ReceiveTimeout = 60_000;
            asking.Send("question"u8);
            IPEndPoint from = new(IPAddress.Any, 0);
            Assert.Equal("question"u8, resolver.Receive(ref from));
            Assert.Equal("198.51.100.1", from.Address.ToString());
            resolver.Send("answer"u8, from);
            Assert.Equal("answer"u8, asking.Receive(ref from));
        }

        Assert.Equal(before, _world.Snapshot());
        using LinuxForwarding without = _world.Begin(options, _log, new MemoryRecord());
        Assert.Contains("find no names", without.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void WithoutTranslation_HostsThatKnowARouteBackAreReached_AndMayBegin()
    {
        string before = _world.Snapshot();
        using (LinuxForwarding forwarding = _world.Begin(GatewayNamespaces.Options("lt0", translates: false), _log, new MemoryRecord()))
        {
            Assert.Null(forwarding.Problem);
            Assert.DoesNotContain("masquerade", _world.Nft("list", "ruleset"), StringComparison.Ordinal);
            Assert.False(_world.Pings("a", GatewayNamespaces.Host, expected: false));
            NetworkNamespace.Ip("-n", _world.HostNamespace, "route", "add", "10.0.0.0/24", "via", "192.168.7.1");
            Assert.True(_world.Pings("a", GatewayNamespaces.Host));
            Assert.True(_world.Pings("h", "10.0.0.5"));
            Assert.False(_world.Pings("s", "10.0.0.5", expected: false));
        }

        Assert.Equal(before, _world.Snapshot());
    }

    [Fact]
    public void TwoTunnels_ShareAnInterface_AndTheLastOnePutsItBack()
    {
        string before = _world.Snapshot();
        LinuxForwarding first = _world.Begin(GatewayNamespaces.Options("lt0"), _log, new MemoryRecord());
        LinuxForwarding second = _world.Begin(GatewayNamespaces.Options("lt1"), _log, new MemoryRecord());
        Assert.True(_world.Pings("a", GatewayNamespaces.Host));
        Assert.True(_world.Pings("b", GatewayNamespaces.Host));

        first.Dispose();
        Assert.Equal("1", _world.Read(LanForwarding));
        Assert.False(_world.Pings("a", GatewayNamespaces.Host, expected: false));
        Assert.True(_world.Pings("b", GatewayNamespaces.Host));

        second.Dispose();
        Assert.Equal(before, _world.Snapshot());
    }

    [Fact]
    public void KilledTunnel_LeavesNoRouter_AndItsNextStartPutsBackWhatNobodyChangedSince()
    {
        string before = _world.Snapshot();
        var record = new MemoryRecord();
        Kill();
        Assert.Equal("1", _world.Read(LanForwarding));
        Assert.False(_world.Pings("h", GatewayNamespaces.Stranger, expected: false));
        Recover();
        Assert.Equal(before, _world.Snapshot());

        Kill();
        _world.Write("net/ipv4/conf/lan/forwarding", "0");
        Recover();
        Assert.Equal(before, _world.Snapshot());

        // Somebody wants a router by now: that is not for us to end.
        Kill();
        _world.Write("net/ipv4/ip_forward", "1");
        Recover();
        Assert.Equal("1", _world.Read(LanForwarding));
        Assert.DoesNotContain("lighttunnel", _world.Nft("list", "ruleset"), StringComparison.Ordinal);
        Assert.Null(record.Content);

        void Kill() => _world.In(() =>
        {
            ForwardingOptions options = GatewayNamespaces.Options();
            var setup = new ForwardingSetup(options, new KernelSettings(), new NftProgram(), record, _log);
            Assert.Empty(setup.Set(ForwardedInterfaces.Find(options)));
            return true;
        });

        void Recover() => _world.In(() =>
        {
            ForwardingSetup.Recover(new KernelSettings(), new NftProgram(), record, _log);
            return true;
        });
    }

    [Fact]
    public void RulesThatSomebodyFlushes_ComeBack_AndARouterThatSomebodyWantsIsNotLimitedAnyMore()
    {
        using LinuxForwarding forwarding = _world.Begin(GatewayNamespaces.Options(), _log, new MemoryRecord());
        _world.Nft("flush", "ruleset");
        GatewayNamespaces.Await(
            () => _world.Nft("list", "ruleset").Contains("masquerade", StringComparison.Ordinal), "The rules stay away.");
        Assert.True(_world.Pings("a", GatewayNamespaces.Host));

        _world.Write("net/ipv4/ip_forward", "1");
        GatewayNamespaces.Await(
            () => !_world.Nft("list", "ruleset").Contains("iifname \"lan\" drop", StringComparison.Ordinal), "The limit stays.");
        // The stranger has the way back that a router's hosts have.
        Assert.True(_world.Pings("h", GatewayNamespaces.Stranger));
        Assert.True(_world.Pings("a", GatewayNamespaces.Host));
        // So have its containers what they had: the way to members, and members the way to their ports.
        _world.Nft("add table ip docker; add chain ip docker out { type nat hook postrouting priority 100; }; "
            + "add rule ip docker out oifname lt0 ip saddr 198.51.100.0/24 masquerade; "
            + "add chain ip docker in { type nat hook prerouting priority -100; }; "
            + $"add rule ip docker in iifname lt0 ip daddr 10.0.0.1 icmp type echo-request dnat to {GatewayNamespaces.Stranger}");
        Assert.True(_world.Pings("s", "10.0.0.5"));
        Assert.True(_world.Pings("a", "10.0.0.1"));
        forwarding.Dispose();
        Assert.Equal("1", _world.Read(LanForwarding));
    }

    [Fact]
    public void WhoFlushesRulesAgainAndAgain_Wins_AndNobodyIsForwardedWithoutThem() => _world.In(() =>
    {
        var clock = new FakeTimeProvider();
        var record = new MemoryRecord();
        ForwardingOptions options = GatewayNamespaces.Options();
        var setup = new ForwardingSetup(
            options, new KernelSettings(), new NftProgram(), record, _log, clock, () => "firewalld (process 812)");
        Assert.Empty(setup.Set(ForwardedInterfaces.Find(options)));
        string set = Rules();
        for (int round = 0; round < RepairLimit.Most; round++)
        {
            // The whole of it, and a part.
            _world.Nft(round == 1 ? "flush chain inet lighttunnel to-lt0" : "flush ruleset");
            Assert.Empty(setup.Set(ForwardedInterfaces.Find(options)));
            Assert.Equal(set, Rules());
        }

        _world.Nft("flush ruleset");
        Assert.Contains(
            "perhaps firewalld (process 812)", Assert.Single(setup.Set(ForwardedInterfaces.Find(options))), StringComparison.Ordinal);
        Assert.Equal(string.Empty, Rules());
        Assert.Equal(("0", "0"), (_world.Read(LanForwarding), _world.Read("net/ipv4/conf/lt0/forwarding")));
        Assert.Null(record.Content);
        clock.Advance(RepairLimit.Truce / 2);
        Assert.Single(setup.Set(ForwardedInterfaces.Find(options)));
        Assert.Equal(string.Empty, Rules());

        clock.Advance(RepairLimit.Truce);
        Assert.Empty(setup.Set(ForwardedInterfaces.Find(options)));
        Assert.Equal(set, Rules());
        Assert.Equal("1", _world.Read(LanForwarding));
        setup.Restore();
        Assert.Equal("0", _world.Read(LanForwarding));
        return true;

        string Rules() => _world.Nft("list", "ruleset");
    });

    [Fact]
    public void InterfaceThatDoesNotLeadThereAnyMore_IsClosedAgain() => _world.In(() =>
    {
        ForwardingOptions options = GatewayNamespaces.Options();
        var setup = new ForwardingSetup(options, new KernelSettings(), new NftProgram(), new MemoryRecord(), _log);
        Assert.Empty(setup.Set(ForwardedInterfaces.Find(options)));
        Assert.Equal(("1", "0"), (_world.Read(LanForwarding), _world.Read("net/ipv4/conf/wan/forwarding")));
        NetworkNamespace.Ip("-n", _world.Gateway, "address", "del", "192.168.7.1/24", "dev", "lan");
        NetworkNamespace.Ip("-n", _world.Gateway, "route", "add", "192.168.7.0/24", "via", GatewayNamespaces.Stranger);
        Assert.Empty(setup.Set(ForwardedInterfaces.Find(options)));
        Assert.Equal(("0", "1"), (_world.Read(LanForwarding), _world.Read("net/ipv4/conf/wan/forwarding")));
        NetworkNamespace.Ip("-n", _world.Gateway, "route", "del", "192.168.7.0/24");
        // What only the default route leads to is not there: its cable may be out, and the internet is no way to it.
        NetworkNamespace.Ip("-n", _world.Gateway, "route", "add", "default", "via", GatewayNamespaces.Stranger);
        string problem = Assert.Single(setup.Set(ForwardedInterfaces.Find(options)));
        Assert.Contains("No interface of this machine leads to", problem, StringComparison.Ordinal);
        Assert.Equal(("0", "0"), (_world.Read(LanForwarding), _world.Read("net/ipv4/conf/wan/forwarding")));
        return true;
    });

    [Fact]
    public void HostileMember_TakesNoMoreThanItsPartOfTheTableOfConnections()
    {
        using LinuxForwarding forwarding = _world.Begin(GatewayNamespaces.Options(), _log, new MemoryRecord());
        _world.SendToPorts("a", GatewayNamespaces.Host, ForwardingRules.MostConnections + 2000);
        GatewayNamespaces.Await(() => Count() >= ForwardingRules.MostConnections, "The datagrams do not come.");
        Assert.InRange(Count(), ForwardingRules.MostConnections, ForwardingRules.MostConnections + 500);
        // Others have their own part.
        using LinuxForwarding other = _world.Begin(GatewayNamespaces.Options("lt1"), _log, new MemoryRecord());
        Assert.True(_world.Pings("b", GatewayNamespaces.Host));

        int Count() => int.Parse(
            NetworkNamespace.Execute(_world.Gateway, "cat", "/proc/sys/net/netfilter/nf_conntrack_count"), CultureInfo.InvariantCulture);
    }

    [Fact]
    public void FirewallThatDropsWhatIsForwarded_IsNamed_WithTheCommandThatAllowsIt()
    {
        _world.Nft("add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }; "
            + "add chain ip filter DOCKER-USER; add rule ip filter FORWARD jump DOCKER-USER");
        using (LinuxForwarding forwarding = _world.Begin(GatewayNamespaces.Options(), _log, new MemoryRecord()))
        {
            Assert.Contains("policy drop in chain FORWARD of table ip filter", forwarding.Problem, StringComparison.Ordinal);
            Assert.Contains("iptables -I DOCKER-USER -i lt0 -j ACCEPT", forwarding.Problem, StringComparison.Ordinal);
            Assert.False(_world.Pings("a", GatewayNamespaces.Host, expected: false));
        }

        // What that command does.
        _world.Nft("insert rule ip filter DOCKER-USER iifname lt0 counter accept");
        _world.Nft("insert rule ip filter DOCKER-USER oifname lt0 counter accept");
        using (LinuxForwarding forwarding = _world.Begin(GatewayNamespaces.Options(), _log, new MemoryRecord()))
        {
            Assert.Null(forwarding.Problem);
            Assert.True(_world.Pings("a", GatewayNamespaces.Host));
        }

        _world.Nft("delete table ip filter; add table inet own; add chain inet own forward { type filter hook forward priority 0; }; "
            + "add rule inet own forward ct state established,related accept; add rule inet own forward reject");
        using (LinuxForwarding forwarding = _world.Begin(GatewayNamespaces.Options(), _log, new MemoryRecord()))
        {
            string remedy = "nft insert rule inet own forward iifname lt0 accept";
            Assert.Contains(remedy, forwarding.Problem, StringComparison.Ordinal);
            _world.Nft(remedy[4..]);
            Assert.True(_world.Pings("a", GatewayNamespaces.Host));
        }
    }

    [Fact]
    public void OlderKernels_ForwardIPv6_WithoutLosingTheirOwnAddressAndDefaultRoute()
    {
        // The machine has its address and its default route from a router on the same network.
        _world.Write("net/ipv6/conf/lan/accept_ra", "1");
        Advertise(_world.HostNamespace);
        GatewayNamespaces.Await(() => Has("default via fe80") && Has("fd88:"), "The router is not heard.");
        string before = _world.Snapshot();

        using (LinuxForwarding forwarding = _world.Begin(
            GatewayNamespaces.Options("lt0", true, GatewayNamespaces.NetworkV6), _log, new MemoryRecord(), new OlderKernel()))
        {
            Assert.Null(forwarding.Problem);
            Assert.Equal("1", _world.Read("net/ipv6/conf/all/forwarding"));
            Assert.True(_world.Pings("a", GatewayNamespaces.HostV6));
            Assert.True(Has("default via fe80"));
            Assert.Equal("2", _world.Read("net/ipv6/conf/lan/accept_ra"));
        }

        Assert.Equal(before, _world.Snapshot());
        Assert.True(Has("default via fe80"));

        bool Has(string route) => NetworkNamespace.Ip("-n", _world.Gateway, "-6", "route").Contains(route, StringComparison.Ordinal);
    }

    /// <summary>A router advertisement with the prefix fd88::/64 (RFC 4861 section 4.2, 4.6.2); the kernel adds the checksum.</summary>
    private static void Advertise(string from) => NetworkNamespace.Run(from, () =>
    {
        byte[] message = new byte[48];
        message[0] = 134;
        message[4] = 64;
        BinaryPrimitives.WriteUInt16BigEndian(message.AsSpan(6), 1800);
        byte[] prefix = [3, 4, 64, 0xC0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xFD, 0x88];
        prefix.CopyTo(message, 16);
        using var socket = new Socket(AddressFamily.InterNetworkV6, SocketType.Raw, ProtocolType.IcmpV6);
        socket.SetSocketOption(SocketOptionLevel.IPv6, SocketOptionName.MulticastTimeToLive, 255);
        var group = IPAddress.Parse("ff02::1");
        group.ScopeId = File.ReadAllLines("/proc/thread-self/net/if_inet6").Where(line => line.EndsWith("eth0", StringComparison.Ordinal))
            .Select(line => Convert.ToInt64(line.Split(' ')[1], 16)).First();
        socket.SendTo(message, new IPEndPoint(group, 0));
        return true;
    });
}
