using LightTunnel.Addressing;
using LightTunnel.Engine.Client;
using LightTunnel.Timing;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>
/// A home router that forwarded untranslated for a moment keeps that in its connection table for as long as datagrams of the same addresses
/// and ports come: 30 s must pass without one (nf_conntrack_udp_timeout).
/// </summary>
public sealed class PinnedRouterTests
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(20), Forgets = TimeSpan.FromSeconds(30), Enough = TimeSpan.FromMinutes(3);

    [Fact]
    public void Join_RouterHasTheConnectionWrong_SucceedsAfterASilence()
    {
        using var network = new SimulatedNetwork();
        network.StartServer();
        SimulatedNode alice = network.AddClient("alice");
        Pin(network, alice);

        Assert.True(network.RunUntil(() => alice.IsUp, Enough));
    }

    [Fact]
    public void Reconnect_RouterHasTheConnectionWrong_SucceedsAlthoughMembersAreTalkedToThroughTheServer()
    {
        using var network = new SimulatedNetwork { IsDirectBlocked = true };
        network.StartServer();
        SimulatedNode alice = network.AddClient("alice"), bob = network.AddClient("bob");
        Assert.True(network.RunUntil(() => alice.IsUp && bob.IsUp, Soon));
        Assert.True(Talk(network, alice, bob, TimeSpan.FromSeconds(5)));
        Pin(network, alice);
        Assert.False(Talk(network, alice, bob, TimeSpan.FromSeconds(5)));

        // Alice's programs go on sending all the time, to bob and to the server.
        for (int second = 0; second < Enough.TotalSeconds && alice.Client.Reconnects == 0; second++)
        {
            alice.Tun.Inject(TestPackets.Udp(alice.Address, bob.Address, new byte[100]));
            alice.Tun.Inject(TestPackets.Udp(alice.Address, network.Server.Address, new byte[100]));
            network.Run(TimeSpan.FromSeconds(1));
        }

        Assert.Equal(1, alice.Client.Reconnects);
        Assert.True(Talk(network, alice, bob, Soon));
    }

    [Fact]
    public void Reconnect_ServerWasAwayForLong_TakesASilenceAtMost()
    {
        using var network = new SimulatedNetwork();
        network.StartServer();
        SimulatedNode alice = network.AddClient("alice");
        Assert.True(network.RunUntil(() => alice.IsUp, Soon));
        for (int round = 0; round < 5; round++)
        {
            network.Kill(network.Server);
            network.Run(TimeSpan.FromSeconds(500 + (round * 37)));
            network.StartServer();
            Assert.True(network.RunUntil(() => alice.IsUp, ServerSearch.Silence * 1.3));
        }
    }

    private static void Pin(SimulatedNetwork network, SimulatedNode client)
    {
        Timestamp last = network.Time.Now();
        bool isPinned = true;
        network.Filter = (in UdpEndpoint from, in UdpEndpoint to, ReadOnlySpan<byte> _) =>
        {
            if (isPinned && from == client.Endpoint && to == network.Server.Endpoint)
            {
                isPinned = network.Time.Now() - last <= Forgets;
                last = network.Time.Now();
                return !isPinned;
            }

            return true;
        };
    }

    private static bool Talk(SimulatedNetwork network, SimulatedNode from, SimulatedNode to, TimeSpan patience)
    {
        while (to.Tun.TryCollect(out _))
        {
        }

        from.Tun.Inject(TestPackets.Udp(from.Address, to.Address, new byte[100]));
        return network.RunUntil(() => to.Tun.WrittenCount > 0, patience);
    }
}
