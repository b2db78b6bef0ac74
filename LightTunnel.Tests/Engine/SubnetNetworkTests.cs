using System.Net;
using LightTunnel.Access;
using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Data;
using LightTunnel.Engine.Server;
using LightTunnel.Routing;
using LightTunnel.WireGuard;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Engine;

/// <summary>Networks behind members, from the offer to the packet, in a network of which everything is real but the wires.</summary>
public sealed class SubnetNetworkTests : IDisposable
{
    private const string Lan = "192.168.7.0/24", Host = "192.168.7.9";
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(20);

    private readonly SimulatedNetwork _network = new();
    private int _packets;

    public void Dispose() => _network.Dispose();

    private ServerRole Server => (ServerRole)_network.Server.Node.Role;

    private SimulatedNode Gateway(string name, params string[] routes) =>
        _network.AddClient(name, change: options => options with { Routes = [.. routes.Select(Offered)] });

    private SimulatedNode Taker(string name, params string[] within) =>
        _network.AddClient(name, change: options => options with { AcceptedRoutes = Accept(force: false, within) });

    private static AcceptedRoutes Accept(bool force, params string[] within) =>
        new(within.Length == 0, [.. within.Select(Prefix)], force);

    private static OfferedRoute Offered(string text) => new(Prefix(text), null, true);

    private void Decide(SimulatedNode member, string prefix, bool approve = true)
    {
        string key = member.Node.Links.PublicKey.ToString();
        Task done = Server.Administration.ChangeAsync(new MemberChange(MemberChangeKind.Set, key, "root")
        {
            ApproveRoutes = approve ? [prefix] : [], DenyRoutes = approve ? [] : [prefix],
        });
        Assert.True(_network.RunUntil(() => done.IsCompleted, Long));
        done.GetAwaiter().GetResult();
    }

    private static RouteStanding? StandingOf(SimulatedNode node, string prefix, SimulatedNode behind) => node.Node.Subnets.Report()
        .FirstOrDefault(report => report.Prefix == Prefix(prefix) && report.Peer?.Key == behind.Node.Links.PublicKey)?.Standing;

    private bool IsOffered(SimulatedNode member, string prefix) =>
        Server.Routes.List().Any(offer => offer.Peer?.Key == member.Node.Links.PublicKey && offer.Prefix == Prefix(prefix));

    private void Join(params SimulatedNode[] nodes) => Assert.True(_network.RunUntil(() => nodes.All(node => node.IsUp), Long));

    /// <summary>True when a packet that one system sends reaches the other.</summary>
    private bool Passes(SimulatedNode from, string source, SimulatedNode to, string destination, ushort port = 2)
    {
        for (int attempt = 0; attempt < 3; attempt++)
        {
            byte[] packet = Udp(source, destination, 1, port, [(byte)++_packets]);
            from.Tun.Inject(packet);
            if (_network.RunUntil(() => to.Tun.TryCollect(out byte[]? got) && got.AsSpan().SequenceEqual(packet), TimeSpan.FromSeconds(2)))
                return true;
        }

        return false;
    }

    [Fact]
    public void OfferedApprovedAndAccepted_ItIsReachedBothWays()
    {
        _network.StartServer();
        SimulatedNode gateway = Gateway("gateway", Lan), taker = Taker("taker");
        Join(gateway, taker);
        Assert.True(_network.RunUntil(() => IsOffered(gateway, Lan), Long));
        Assert.Null(StandingOf(taker, Lan, gateway));
        Assert.False(Passes(taker, taker.Address.ToString(), gateway, Host));

        Decide(gateway, Lan);
        Assert.True(_network.RunUntil(() => StandingOf(taker, Lan, gateway) == RouteStanding.Active, Long));
        Assert.True(Passes(taker, taker.Address.ToString(), gateway, Host));
        Assert.True(Passes(gateway, Host, taker, taker.Address.ToString()));
        Assert.Equal([Prefix(Lan)], taker.Tun.Routes);

        Decide(gateway, Lan, approve: false);
        Assert.True(_network.RunUntil(() => StandingOf(taker, Lan, gateway) is null && taker.Tun.Routes.Count == 0, Long));
        Assert.False(Passes(taker, taker.Address.ToString(), gateway, Host));
        Assert.False(Passes(gateway, Host, taker, taker.Address.ToString()));
    }

    /// <summary>What lies behind it is taken back when it is a member no more, and that must not bring it back.</summary>
    [Theory]
    [InlineData(MemberChangeKind.Remove)]
    [InlineData(MemberChangeKind.Block)]
    public void GatewayThatIsRemovedOrBlocked_IsGone_WithWhatLiesBehindIt(MemberChangeKind kind)
    {
        _network.StartServer();
        SimulatedNode gateway = Gateway("gateway", Lan), taker = Taker("taker");
        Join(gateway, taker);
        Assert.True(_network.RunUntil(() => IsOffered(gateway, Lan), Long));
        Decide(gateway, Lan);
        Assert.True(_network.RunUntil(
            () => StandingOf(taker, Lan, gateway) == RouteStanding.Active && taker.Member("gateway").DirectPath is not null, Long));
        Assert.True(Passes(taker, taker.Address.ToString(), gateway, Host));
        TunnelAddress address = gateway.Address;
        PublicKey key = gateway.Node.Links.PublicKey;

        _network.Server.Node.Post(() => Server.Administration.ChangeAsync(new MemberChange(kind, key.ToString(), "root")));
        _network.Server.MarkReady();
        _network.Kill(gateway);
        Assert.True(_network.RunUntil(() => taker.Tun.Routes.Count == 0, Long));
        _network.Run(TimeSpan.FromSeconds(5));
        Assert.DoesNotContain(taker.Members, member => member.Key == key);
        Assert.DoesNotContain(taker.Node.Forwarding.Routes, route => route.Key.Contains(address));
        SimulatedNode late = _network.AddClient("late");
        Join(late);
        _network.Run(TimeSpan.FromSeconds(5));
        Assert.DoesNotContain(late.Members, member => member.Key == key);
    }

    [Fact]
    public void NetworkThatIsNotTakenAlone_KeepsTheOthersInTheRemedy()
    {
        _network.StartServer();
        SimulatedNode gateway = Gateway("gateway", Lan, "10.9.0.0/24"), taker = Taker("taker", "10.9.0.0/24");
        Join(gateway, taker);
        Assert.True(_network.RunUntil(() => IsOffered(gateway, Lan), Long));
        Assert.Contains(
            "-Peer gateway", gateway.Client.Routes.Report().First().Remedy, StringComparison.Ordinal);
        Decide(gateway, Lan);
        Assert.True(_network.RunUntil(() => StandingOf(taker, Lan, gateway) == RouteStanding.NotAccepted, Long));
        Assert.Equal(
            $"Set-LtNetwork -AcceptRoute 10.9.0.0/24,{Lan}",
            taker.Node.Subnets.Report().Single(report => report.Prefix == Prefix(Lan)).Remedy);
    }

    [Fact]
    public void SiteToSite_HostsBehindTwoMembersReachEachOther()
    {
        _network.StartServer(options => options with { AutoApprovedRoutes = [new AutoApprovedRoutes("sites", null)] });
        SimulatedNode north = Site("north", "192.168.1.0/24"), south = Site("south", "2001:db8:7::/64", "192.168.2.0/24");
        Join(north, south);
        Group(north, south);
        Assert.True(_network.RunUntil(
            () => StandingOf(north, "192.168.2.0/24", south) == RouteStanding.Active
                && StandingOf(south, "192.168.1.0/24", north) == RouteStanding.Active, Long));
        Assert.True(Passes(north, "192.168.1.5", south, "192.168.2.5"));
        Assert.True(Passes(south, "192.168.2.5", north, "192.168.1.5"));
        Assert.False(Passes(south, "192.168.3.5", north, "192.168.1.5")); // Nobody has approved that this lies there.
        Assert.Equal([Prefix("192.168.2.0/24"), Prefix("2001:db8:7::/64")], north.Tun.Routes);
    }

    [Fact]
    public void Groups_ApproveByThemselves_WithinTheirPrefix_AndADenialHolds()
    {
        _network.StartServer(options => options with
        {
            AutoApprovedRoutes = [new AutoApprovedRoutes("sites", Prefix("192.168.0.0/16"))],
        });
        SimulatedNode gateway = Gateway("gateway", Lan, "10.9.0.0/24"), taker = Taker("taker");
        Join(gateway, taker);
        Assert.True(_network.RunUntil(() => IsOffered(gateway, Lan), Long));
        Group(gateway);
        Assert.True(_network.RunUntil(() => StandingOf(taker, Lan, gateway) == RouteStanding.Active, Long));
        Assert.Null(StandingOf(taker, "10.9.0.0/24", gateway));
        Decide(gateway, Lan, approve: false);
        Assert.True(_network.RunUntil(() => StandingOf(taker, Lan, gateway) is null, Long));
        gateway.Node.Post(() => gateway.Client.Routes.Offer([]));
        gateway.Node.Post(() => gateway.Client.Routes.Offer([Offered(Lan)]));
        _network.Run(TimeSpan.FromSeconds(5));
        Assert.Equal(RouteStanding.Denied, Server.Routes.List().Single(offer => offer.Prefix == Prefix(Lan)).Standing);
    }

    [Fact]
    public void Decisions_LastOverARestartOfTheServer_AndOfTheMember()
    {
        _network.StartServer();
        using PrivateKey identity = _network.NewKey();
        SimulatedNode gateway = _network.AddClient(
            "gateway", identity: Copy(identity), change: options => options with { Routes = [Offered(Lan)] });
        SimulatedNode taker = Taker("taker");
        Join(gateway, taker);
        Assert.True(_network.RunUntil(() => IsOffered(gateway, Lan), Long));
        Decide(gateway, Lan);
        _network.Stop(_network.Server);
        _network.StartServer();
        Assert.True(_network.RunUntil(() => StandingOf(taker, Lan, gateway) == RouteStanding.Active, TimeSpan.FromMinutes(2)));
        _network.Stop(gateway);
        SimulatedNode again = _network.AddClient("gateway", identity: Copy(identity));
        Join(again);
        Assert.True(_network.RunUntil(() => StandingOf(taker, Lan, again) is null, Long)); // It offers nothing any more.
        again.Node.Post(() => again.Client.Routes.Offer([Offered(Lan)]));
        Assert.True(_network.RunUntil(() => StandingOf(taker, Lan, again) == RouteStanding.Active, Long));
        Assert.True(Passes(taker, taker.Address.ToString(), again, Host));
    }

    [Fact]
    public void NotAccepted_UntilAPersonSaysSo_OnARunningTunnel()
    {
        SimulatedNode gateway = Approved("gateway", Lan);
        SimulatedNode careful = _network.AddClient("careful");
        Join(careful);
        Assert.True(_network.RunUntil(() => StandingOf(careful, Lan, gateway) == RouteStanding.NotAccepted, Long));
        Assert.Empty(careful.Tun.Routes);
        Assert.False(Passes(gateway, Host, careful, careful.Address.ToString()));
        careful.Node.Post(() => careful.Node.Subnets.Accept(Accept(false, "10.0.0.0/8")));
        _network.Run(TimeSpan.FromSeconds(1));
        Assert.Equal(RouteStanding.NotAccepted, StandingOf(careful, Lan, gateway));
        careful.Node.Post(() => careful.Node.Subnets.Accept(Accept(false, "192.168.0.0/16")));
        Assert.True(_network.RunUntil(() => StandingOf(careful, Lan, gateway) == RouteStanding.Active, Long));
        Assert.True(Passes(careful, careful.Address.ToString(), gateway, Host));
    }

    [Fact]
    public void NetworkThatTheTakerIsAttachedTo_IsWithheld_UntilItIsElsewhereOrForced()
    {
        SimulatedNode gateway = Approved("gateway", Lan), taker = Taker("taker");
        Join(taker);
        Assert.True(_network.RunUntil(() => StandingOf(taker, Lan, gateway) == RouteStanding.Active, Long));
        Attach(taker, "192.168.7.33");
        Assert.True(_network.RunUntil(
            () => StandingOf(taker, Lan, gateway) == RouteStanding.Conflict && taker.Tun.Routes.Count == 0, Long));
        SubnetReport report = taker.Node.Subnets.Report().Single();
        Assert.Contains("attached", report.Reason, StringComparison.Ordinal);
        Assert.Contains("-Force", report.Remedy, StringComparison.Ordinal);
        taker.Node.Post(() => taker.Node.Subnets.Accept(Accept(force: true, Lan)));
        Assert.True(_network.RunUntil(() => StandingOf(taker, Lan, gateway) == RouteStanding.Active, Long));
        taker.Node.Post(() => taker.Node.Subnets.Accept(Accept(force: false, Lan)));
        Assert.True(_network.RunUntil(() => StandingOf(taker, Lan, gateway) == RouteStanding.Conflict, Long));
        Attach(taker, null);
        Assert.True(_network.RunUntil(() => StandingOf(taker, Lan, gateway) == RouteStanding.Active, Long));
    }

    [Fact]
    public void SystemThatRoutesANetworkElsewhere_IsTold_AndTriedAgain()
    {
        SimulatedNode gateway = Approved("gateway", Lan), taker = Taker("taker");
        taker.Tun.RoutedElsewhere.Add(Prefix(Lan));
        Join(taker);
        Assert.True(_network.RunUntil(() => StandingOf(taker, Lan, gateway) == RouteStanding.Conflict, Long));
        Assert.Contains("routes it elsewhere", taker.Node.Subnets.Report().Single().Reason, StringComparison.Ordinal);
        taker.Tun.RoutedElsewhere.Clear();
        Assert.True(_network.RunUntil(() => StandingOf(taker, Lan, gateway) == RouteStanding.Active, TimeSpan.FromMinutes(2)));
        Assert.Equal([Prefix(Lan)], taker.Tun.Routes);
    }

    [Theory]
    [InlineData("128.0.0.0/1")]
    [InlineData("10.0.0.0/8")]
    [InlineData("10.0.0.0/24")]
    [InlineData("10.0.0.128/25")]
    [InlineData("10.0.0.77/32")]
    [InlineData("203.0.113.0/24")]
    [InlineData("203.0.113.1/32")]
    [InlineData("127.0.0.0/8")]
    [InlineData("169.254.0.0/16")]
    [InlineData("224.0.0.0/8")]
    public void ServerThatTellsOfANetworkThatNobodyMayTake_IsNotFollowed_EvenByForce(string network)
    {
        _network.StartServer();
        SimulatedNode liar = Gateway("liar", Lan), taker = Taker("taker");
        Join(liar, taker);
        taker.Node.Post(() => taker.Node.Subnets.Accept(Accept(force: true, network)));
        Assert.True(_network.RunUntil(() => taker.Client.Peers.Any(peer => peer.Name == "liar"), Long));
        Peer told = taker.Client.Peers.Single(peer => peer.Name == "liar");
        taker.Node.Post(() => taker.Node.Subnets.Tell(told, [Prefix(network)]));
        _network.Run(TimeSpan.FromSeconds(2));
        Assert.Equal(RouteStanding.Conflict, StandingOf(taker, network, liar));
        Assert.Empty(taker.Tun.Routes);
        Assert.True(Passes(taker, taker.Address.ToString(), liar, liar.Address.ToString()));
    }

    [Fact]
    public void Offers_OfWhatCannotLieBehindAMember_AreLeftOut_AndTheRestIsTaken()
    {
        _network.StartServer();
        SimulatedNode hostile = _network.AddClient("hostile");
        Join(hostile);
        string[] told = ["10.0.0.1/32", "10.0.0.0/16", "127.0.0.0/8", "192.0.0.0/2", Lan, Lan];
        hostile.Node.Post(() => hostile.Client.Routes.Offer([.. told.Select(Offered)]));
        Assert.True(_network.RunUntil(() => IsOffered(hostile, Lan), Long));
        Assert.Equal([Prefix(Lan)], Server.Routes.List().Select(offer => offer.Prefix));
        Assert.Contains(_network.Server.LogLines, line => line.Contains("192.0.0.0/2, which is too short", StringComparison.Ordinal));
    }

    [Fact]
    public void Offers_AHundredASecond_AreLookedAtOnceASecond_AndTheLastCounts()
    {
        SimulatedNode hostile = Approved("hostile", "172.16.0.0/24");
        long before = Server.Routes.Version;
        var seen = new HashSet<IpPrefix>();
        for (int i = 1; i <= 1000; i++)
        {
            IReadOnlyList<OfferedRoute> offer = [Offered($"172.16.{i % 250}.0/24")];
            hostile.Node.Post(() => hostile.Client.Routes.Offer(offer));
            hostile.MarkReady();
            _network.Run(TimeSpan.FromMilliseconds(10));
            seen.UnionWith(Server.Routes.List().Select(one => one.Prefix));
        }

        Assert.True(_network.RunUntil(() => IsOffered(hostile, "172.16.0.0/24"), Long));
        Assert.InRange(seen.Count, 2, 20);
        Assert.InRange(Server.Routes.Version - before, 0, 20);
    }

    [Fact]
    public void ServerThatApprovesWhatWasNeverOffered_OpensNothing()
    {
        _network.StartServer();
        SimulatedNode gateway = Gateway("gateway", Lan), taker = Taker("taker");
        Join(gateway, taker);
        gateway.Node.Post(() => gateway.Client.Routes.TakeApproved([Prefix("192.168.9.0/24"), Prefix("0.0.0.0/0")]));
        Assert.True(_network.RunUntil(() => taker.Client.Peers.Any(peer => peer.Name == "gateway"), Long));
        Peer told = taker.Client.Peers.Single(peer => peer.Name == "gateway");
        taker.Node.Post(() => taker.Node.Subnets.Tell(told, [Prefix("192.168.9.0/24")]));
        _network.Run(TimeSpan.FromSeconds(2));
        Assert.Empty(gateway.Node.Subnets.Own);
        Assert.False(Passes(taker, taker.Address.ToString(), gateway, "192.168.9.9"));
        Assert.True(gateway.Inbound.Dropped(DropReason.WrongDestination) > 0);
    }

    [Fact]
    public void MemberThatSendsFromWhatNobodyApproved_OrFromAnothersAddress_IsDropped()
    {
        SimulatedNode gateway = Approved("gateway", Lan), taker = Taker("taker"), other = Taker("other");
        Join(taker, other);
        Assert.True(_network.RunUntil(() => StandingOf(taker, Lan, gateway) == RouteStanding.Active, Long));
        Assert.True(Passes(gateway, Host, taker, taker.Address.ToString()));
        // What its own machine would refuse, a hostile one does not.
        gateway.Node.Post(() => gateway.Node.Subnets.SetOwn([Prefix("0.0.0.0/1"), Prefix("128.0.0.0/1")]));
        _network.Run(TimeSpan.FromSeconds(1));
        string[] sources =
        [
            "192.168.8.9", "8.8.8.8", other.Address.ToString(), "10.0.0.1", taker.Address.ToString(), "10.0.0.200",
        ];
        foreach (string source in sources)
            Assert.False(Passes(gateway, source, taker, taker.Address.ToString()), source);
        Assert.True(taker.Inbound.Dropped(DropReason.WrongSource) > 0);
        Assert.True(Passes(gateway, Host, taker, taker.Address.ToString()));
    }

    [Fact]
    public void LongestPrefix_Wins_AsADestinationAndAsASource()
    {
        _network.StartServer(options => options with { AutoApprovedRoutes = [new AutoApprovedRoutes("sites", null)] });
        SimulatedNode wide = Gateway("wide", "192.168.0.0/16"), narrow = Gateway("narrow", Lan), taker = Taker("taker");
        Join(wide, narrow, taker);
        Group(wide, narrow);
        Assert.True(_network.RunUntil(() => taker.Tun.Routes.Count == 2, Long));
        Assert.True(Passes(taker, taker.Address.ToString(), narrow, Host));
        Assert.True(Passes(taker, taker.Address.ToString(), wide, "192.168.8.9"));
        Assert.False(Passes(wide, Host, taker, taker.Address.ToString())); // It lies behind the other one.
        Assert.True(Passes(wide, "192.168.8.9", taker, taker.Address.ToString()));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void GatewayThatFails_IsReplacedWithinASecond(bool saysGoodbye)
    {
        _network.StartServer(options => options with { AutoApprovedRoutes = [new AutoApprovedRoutes("sites", null)] });
        SimulatedNode one = Gateway("one", Lan), two = Gateway("two", Lan), taker = Taker("taker");
        Join(one, two, taker);
        Group(one, two);
        Assert.True(_network.RunUntil(
            () => StandingOf(taker, Lan, one) is { } first && StandingOf(taker, Lan, two) is { } second && first != second, Long));
        SendFor(TimeSpan.FromSeconds(5));
        bool isOne = StandingOf(taker, Lan, one) == RouteStanding.Active;
        (SimulatedNode active, SimulatedNode standby) = isOne ? (one, two) : (two, one);
        Assert.Equal(RouteStanding.Standby, StandingOf(taker, Lan, standby));
        Assert.True(active.Tun.WrittenCount > 0);
        Drain(standby);

        if (saysGoodbye)
            _network.Stop(active);
        else
            _network.Kill(active);
        TimeSpan gap = SendFor(TimeSpan.FromSeconds(3), until: () => standby.Tun.WrittenCount > 0);
        Assert.True(gap <= TimeSpan.FromSeconds(1), $"The other one carried it after {gap}.");
        SendFor(TimeSpan.FromSeconds(60));
        Assert.Equal(RouteStanding.Active, StandingOf(taker, Lan, standby));

        TimeSpan SendFor(TimeSpan duration, Func<bool>? until = null)
        {
            TimeSpan passed = TimeSpan.Zero;
            for (; passed < duration && until?.Invoke() != true; passed += TimeSpan.FromMilliseconds(20))
            {
                taker.Tun.Inject(Udp(taker.Address.ToString(), Host, 1, 2, [1]));
                taker.MarkReady();
                _network.Run(TimeSpan.FromMilliseconds(20));
            }

            return passed;
        }
    }

    [Fact]
    public void Gateways_BothSendFromTheNetwork_WhicheverCarriesIt()
    {
        _network.StartServer(options => options with { AutoApprovedRoutes = [new AutoApprovedRoutes("sites", null)] });
        SimulatedNode one = Gateway("one", Lan), two = Gateway("two", Lan), taker = Taker("taker");
        Join(one, two, taker);
        Group(one, two);
        Assert.True(_network.RunUntil(() => StandingOf(taker, Lan, one) is not null && StandingOf(taker, Lan, two) is not null, Long));
        Assert.True(Passes(one, Host, taker, taker.Address.ToString()));
        Assert.True(Passes(two, Host, taker, taker.Address.ToString()));
    }

    [Fact]
    public void Server_OffersAndTakesNetworksItself()
    {
        _network.StartServer(options => options with
        {
            Routes = [Offered("192.168.1.0/24")], AcceptedRoutes = Accept(false),
            AutoApprovedRoutes = [new AutoApprovedRoutes("sites", null)],
        });
        SimulatedNode site = Site("site", Lan);
        Join(site);
        Group(site);
        Assert.True(_network.RunUntil(() => _network.Server.Tun.Routes.Count == 1 && site.Tun.Routes.Count == 1, Long));
        Assert.True(Passes(site, Host, _network.Server, "192.168.1.5"));
        Assert.True(Passes(_network.Server, "192.168.1.5", site, Host));
        Assert.True(Passes(site, site.Address.ToString(), _network.Server, "192.168.1.5"));
    }

    [Fact]
    public void Rules_AreAboutNetworksByTheirAddresses_AndAboutWhoBeginsThereAsTheMember()
    {
        SimulatedNode gateway = Approved("gateway", Lan, "192.168.8.0/24"), taker = Taker("taker");
        Join(taker);
        Assert.True(_network.RunUntil(() => taker.Tun.Routes.Count == 2, Long));
        string self = taker.Address.ToString();
        Assert.True(Passes(taker, self, gateway, Host));

        _network.AddRules($"Deny Any - * > {Lan}");
        Enforced(taker, gateway);
        Assert.False(Passes(taker, self, gateway, Host, 40));
        Assert.True(Passes(taker, self, gateway, "192.168.8.9", 40));
        Assert.True(Passes(taker, self, gateway, gateway.Address.ToString(), 40));
        Assert.True(Passes(gateway, Host, taker, self, 41));

        _network.ReplaceRules("Deny Any - gateway > taker");
        Enforced(taker, gateway);
        Assert.False(Passes(gateway, Host, taker, self, 42));
        Assert.False(Passes(gateway, gateway.Address.ToString(), taker, self, 42));
        Assert.True(Passes(taker, self, gateway, Host, 43));

        _network.ReplaceRules("Deny Any - * > gateway"); // A name is the machine, not what lies behind it.
        Enforced(taker, gateway);
        Assert.True(Passes(taker, self, gateway, Host, 44));
        Assert.False(Passes(taker, self, gateway, gateway.Address.ToString(), 44));
    }

    [Fact]
    public void Rules_AreEnforcedWhereTheNetworkIs_WhateverTheSenderThinks()
    {
        SimulatedNode gateway = Approved("gateway", Lan), taker = Taker("taker");
        Join(taker);
        Assert.True(_network.RunUntil(() => taker.Tun.Routes.Count == 1, Long));
        _network.AddRules($"Deny Any - taker > {Lan}");
        Enforced(taker, gateway);
        taker.Node.Post(() => taker.Node.TakeRules(NodeRules.None));
        taker.MarkReady();
        Assert.False(Passes(taker, taker.Address.ToString(), gateway, Host, 50));
        Assert.True(gateway.Inbound.Dropped(DropReason.Prohibited) > 0);
    }

    private void Enforced(params SimulatedNode[] nodes) => _network.Run(TimeSpan.FromSeconds(2));

    private static void Drain(SimulatedNode node)
    {
        while (node.Tun.TryCollect(out _))
        {
        }
    }

    private static void Attach(SimulatedNode node, string? address)
    {
        node.Addresses.Another = address is null ? null : IPAddress.Parse(address);
        node.Addresses.Changed();
        node.MarkReady();
    }

    private static PrivateKey Copy(PrivateKey key)
    {
        Assert.True(PrivateKey.TryParse(key.Reveal(), out PrivateKey? copy));
        return copy;
    }

    private SimulatedNode Site(string name, params string[] routes) => _network.AddClient(name, change: options => options with
    {
        Routes = [.. routes.Select(Offered)], AcceptedRoutes = Accept(force: false),
    });

    private void Group(params SimulatedNode[] members)
    {
        foreach (SimulatedNode member in members)
            _network.SetGroups(member, "sites");
    }

    /// <summary>A network with a member whose networks are approved.</summary>
    private SimulatedNode Approved(string name, params string[] routes)
    {
        _network.StartServer(options => options with { AutoApprovedRoutes = [new AutoApprovedRoutes("sites", null)] });
        SimulatedNode gateway = Gateway(name, routes);
        Join(gateway);
        Group(gateway);
        Assert.True(_network.RunUntil(() => gateway.Node.Subnets.Own.Count == routes.Length, Long));
        return gateway;
    }
}
