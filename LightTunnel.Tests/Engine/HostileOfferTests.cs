using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Engine.Data;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Engine;

/// <summary>A gateway that needs nobody's approval offers what is others', to members that accept everything.</summary>
public sealed class HostileOfferTests : IDisposable
{
    private const string Lan = "192.168.7.0/24", Host = "192.168.7.9";
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(20);

    private readonly SimulatedNetwork _network = new();
    private int _packets;

    public void Dispose() => _network.Dispose();

    [Theory]
    [InlineData("everything", "0.0.0.0/0")]
    [InlineData("everything of IPv6", "::/0")]
    [InlineData("half of it", "0.0.0.0/1", "128.0.0.0/1")]
    [InlineData("the server's endpoint", "203.0.113.1/32")]
    [InlineData("the server's network", "203.0.113.0/24")]
    [InlineData("the tunnel's prefix", "10.0.0.0/24")]
    [InlineData("more than the tunnel's prefix", "10.0.0.0/8")]
    [InlineData("the server's address", "10.0.0.1/32")]
    [InlineData("a member's address", null)]
    [InlineData("where a member is reached", "endpoint")]
    public void Member_OffersWhatIsOthers_DrawsNothingOfIt(string what, params string?[] offers)
    {
        _network.StartServer(options => options with { AutoApprovedRoutes = [new AutoApprovedRoutes("sites", null)] });
        SimulatedNode hostile = _network.AddClient("hostile"), victim = _network.AddClient("victim");
        SimulatedNode taker = _network.AddClient(
            "taker", change: options => options with { AcceptedRoutes = new AcceptedRoutes(true, [], false) });
        Assert.True(_network.RunUntil(() => hostile.IsUp && victim.IsUp && taker.IsUp, Long));
        _network.SetGroups(hostile, "sites");
        Assert.True(_network.RunUntil(() => taker.Members.Any(member => member.Name == "victim"), Long));
        string self = taker.Address.ToString(), other = victim.Address.ToString();
        Assert.True(Passes(taker, self, victim, other));
        Assert.True(_network.RunUntil(() => taker.Member("victim").DirectPath is not null, Long));

        IpPrefix[] told = [.. (offers ?? [null]).Select(offer => offer switch
        {
            null => Prefix($"{other}/32"),
            "endpoint" => Prefix($"{victim.Host}/32"),
            _ => Prefix(offer),
        })];
        IReadOnlyList<OfferedRoute> offered = [.. told.Append(Prefix(Lan)).Select(one => new OfferedRoute(one, null, true))];
        hostile.Node.Post(() => hostile.Client.Routes.Offer(offered));
        hostile.MarkReady();
        // What is honest in the same breath is taken: so the rest was looked at, too.
        Assert.True(_network.RunUntil(() => taker.Tun.Routes.Contains(Prefix(Lan)), Long), what);
        Assert.Equal([Prefix(Lan)], taker.Tun.Routes);
        Assert.True(Passes(taker, self, hostile, Host));
        Assert.True(Passes(taker, self, victim, other), what);
        Assert.True(Passes(victim, other, taker, self), what);
        Assert.True(Passes(taker, self, _network.Server, "10.0.0.1"), what);
        Assert.False(Passes(taker, self, hostile, "198.51.100.9"), what);
        // Nor does it speak for any of it, whatever its own system lets out.
        hostile.Node.Post(() => hostile.Node.Subnets.SetOwn([Prefix("0.0.0.0/1"), Prefix("128.0.0.0/1")]));
        hostile.MarkReady();
        _network.Run(TimeSpan.FromSeconds(1));
        foreach (string source in new[] { other, "10.0.0.1", victim.Host, "203.0.113.1", "198.51.100.9" })
            Assert.False(Passes(hostile, source, taker, self), $"{what}: from {source}");
        Assert.True(Passes(hostile, Host, taker, self));
    }

    /// <summary>The gateway is honest, a host behind it is not.</summary>
    [Theory]
    [InlineData("10.0.0.1")]
    [InlineData("taker")]
    [InlineData("198.51.100.9")]
    [InlineData("192.168.8.9")]
    [InlineData("203.0.113.1")]
    public void HostBehindAGateway_SendsFromAnothersAddress_GetsNoFurtherThanTheGateway(string source)
    {
        _network.StartServer(options => options with { AutoApprovedRoutes = [new AutoApprovedRoutes("sites", null)] });
        SimulatedNode gateway = _network.AddClient(
            "gateway", change: options => options with { Routes = [new OfferedRoute(Prefix(Lan), null, true)] });
        SimulatedNode taker = _network.AddClient(
            "taker", change: options => options with { AcceptedRoutes = new AcceptedRoutes(true, [], false) });
        Assert.True(_network.RunUntil(() => gateway.IsUp && taker.IsUp, Long));
        _network.SetGroups(gateway, "sites");
        Assert.True(_network.RunUntil(() => taker.Tun.Routes.Count == 1, Long));
        string self = taker.Address.ToString();
        Assert.True(Passes(gateway, Host, taker, self));
        long before = gateway.Outbound.Dropped(DropReason.WrongSource), seen = taker.Inbound.Dropped(DropReason.WrongSource);
        Assert.False(Passes(gateway, source == "taker" ? self : source, taker, self));
        Assert.True(gateway.Outbound.Dropped(DropReason.WrongSource) > before);
        Assert.Equal(seen, taker.Inbound.Dropped(DropReason.WrongSource));
        Assert.True(Passes(gateway, Host, taker, self));
    }

    /// <summary>True when a packet that one system sends reaches the other.</summary>
    private bool Passes(SimulatedNode from, string source, SimulatedNode to, string destination)
    {
        for (int attempt = 0; attempt < 3; attempt++)
        {
            byte[] packet = Udp(source, destination, 1, 2, [(byte)++_packets]);
            from.Tun.Inject(packet);
            if (_network.RunUntil(() => to.Tun.TryCollect(out byte[]? got) && got.AsSpan().SequenceEqual(packet), TimeSpan.FromSeconds(2)))
                return true;
        }

        return false;
    }
}
