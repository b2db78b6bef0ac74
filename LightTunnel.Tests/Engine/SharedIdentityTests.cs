using LightTunnel.Engine.Control;
using LightTunnel.Membership;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>A disk with a node's state on it was copied: two machines are one member.</summary>
public sealed class SharedIdentityTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(5);

    private readonly SimulatedNetwork _network = new() { IsDirectBlocked = true };

    public void Dispose() => _network.Dispose();

    [Fact]
    public void TwoMachines_TheEarlierOneStays_AndBothAreTold()
    {
        SimulatedNode server = _network.StartServer();
        using PrivateKey key = _network.NewKey();
        SimulatedNode first = Add("first", key);
        SimulatedNode carol = _network.AddClient("carol");
        Assert.True(_network.RunUntil(() => first.IsUp && carol.IsUp, Soon));
        SimulatedNode second = Add("second", key);

        Assert.True(_network.RunUntil(() => IsTold(second), TimeSpan.FromMinutes(5)));
        Assert.True(_network.RunUntil(() => first.IsUp && IsTold(first), TimeSpan.FromMinutes(1)));

        Assert.Equal(TunnelState.Reconnecting, second.Node.State);
        Assert.Contains("Another machine uses this node's identity", second.Node.LastError, StringComparison.Ordinal);
        Assert.Contains("connect again", second.Node.LastError, StringComparison.Ordinal);
        Assert.Contains(server.Log.ReadSecurity(), entry => entry.Message.Contains(second.Endpoint.ToString(), StringComparison.Ordinal));
        Assert.Null(first.Node.LastError);

        // It keeps still, so that nothing of the first one's is lost.
        int reconnects = first.Client.Reconnects;
        for (int i = 0; i < 80; i++)
        {
            _network.Run(TimeSpan.FromSeconds(5));
            first.Send(server.Address, $"up {i}");
            server.Send(first.Address, $"down {i}");
            carol.Send(first.Address, $"across {i}");
            second.Send(server.Address, "stray");
        }

        _network.Run(Soon);
        Assert.Equal(Enumerable.Range(0, 80).Select(i => $"up {i}"), server.TakeReceived());
        Assert.Equal(160, first.TakeReceived().Count);
        Assert.Equal(reconnects, first.Client.Reconnects);
        Assert.Equal("first", server.Node.Peers.Single(peer => peer.Key == key.PublicKey).Name);
    }

    [Fact]
    public void LaterMachine_WhenTheEarlierOneHasStopped_IsInAgainByItself()
    {
        _network.StartServer();
        using PrivateKey key = _network.NewKey();
        SimulatedNode first = Add("first", key);
        Assert.True(_network.RunUntil(() => first.IsUp, Soon));
        SimulatedNode second = Add("second", key);
        Assert.True(_network.RunUntil(() => IsTold(second), TimeSpan.FromMinutes(5)));
        _network.Stop(first);

        Assert.False(_network.RunUntil(() => second.IsUp, IdentityWatch.Wait - TimeSpan.FromMinutes(1)));
        Assert.True(_network.RunUntil(() => second.IsUp, TimeSpan.FromMinutes(2)));
        Assert.Null(second.Node.LastError);
    }

    [Fact]
    public void MachineThatIsStartedAgainAndAgain_IsNeverTakenForTwo()
    {
        SimulatedNode server = _network.StartServer();
        using PrivateKey key = _network.NewKey();
        for (int i = 0; i < 8; i++)
        {
            SimulatedNode node = Add("same", key);
            Assert.True(_network.RunUntil(() => node.IsUp, TimeSpan.FromSeconds(30)));
            _network.Run(TimeSpan.FromSeconds(i * 7));
            if (i % 2 == 0)
                _network.Kill(node);
            else
                _network.Stop(node);
        }

        Assert.DoesNotContain(server.Log.ReadSecurity(), entry => entry.Message.StartsWith("IdentityReplaced", StringComparison.Ordinal));
    }

    private static bool IsTold(SimulatedNode node) =>
        node.Log.ReadSecurity().Any(entry => entry.Message.StartsWith("IdentityReplaced", StringComparison.Ordinal));

    private SimulatedNode Add(string name, PrivateKey key)
    {
        Assert.True(PrivateKey.TryParse(key.Reveal(), out PrivateKey? copy));
        return _network.AddClient(name, identity: copy);
    }
}
