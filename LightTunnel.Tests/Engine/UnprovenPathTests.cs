using LightTunnel.Addressing;
using LightTunnel.Engine.Control;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>What the server believes of where its members are.</summary>
public sealed class UnprovenPathTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly SimulatedNetwork _network = new();

    public void Dispose() => _network.Dispose();

    [Fact]
    public void Client_JoinsAndMoves_ServerAsksWhetherItIsThere_AndKnows()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = _network.AddClient("alice");
        Assert.True(_network.RunUntil(() => alice.IsUp, Patience));
        Peer peer = server.Peer("alice");
        Assert.False(peer.Path.IsUnproven);

        alice.Transport.MoveTo("198.51.100.77", 4000);
        alice.Send(server.Address, "from elsewhere");

        Assert.True(_network.RunUntil(() => peer.Path is { IsUnproven: false } path && path.Endpoint == alice.Endpoint, Patience));
        Assert.Null(peer.Challenge);
    }

    /// <summary>
    /// The answer to it is no other one's, however often it comes: what a node does must not depend on a number drawn at random.
    /// </summary>
    [Fact]
    public void Challenge_HasANumberThatNoOtherPingHas()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = _network.AddClient("alice");
        Assert.True(_network.RunUntil(() => alice.IsUp, Patience));
        Peer peer = server.Peer("alice");
        _network.Filter = (in UdpEndpoint _, in UdpEndpoint to, ReadOnlySpan<byte> _) => to != alice.Endpoint;

        for (int i = 0; i < 20; i++)
        {
            alice.Transport.MoveTo($"198.51.100.{100 + i}", 4000);
            alice.Send(server.Address, "from elsewhere");
            Assert.True(_network.RunUntil(() => peer.Challenge is { } challenge && challenge.Endpoint == alice.Endpoint, Patience));
            Assert.True(peer.Challenge!.Value.Transaction >= 0x8000_0000);
        }
    }

    [Fact]
    public void Member_ThatForgesItsAddress_StaysUnprovenThere()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode mallory = _network.AddClient("mallory");
        Assert.True(_network.RunUntil(() => mallory.IsUp, Patience));
        Peer peer = server.Peer("mallory");

        // What it sends seems to come from an address where nobody is: nothing that is sent there comes back to it.
        UdpEndpoint forged = new(System.Net.IPAddress.Parse("198.51.100.77"), 4000);
        _network.Filter = (in UdpEndpoint _, in UdpEndpoint to, ReadOnlySpan<byte> _) => to != forged;
        mallory.Transport.MoveTo("198.51.100.77", 4000);
        mallory.Send(server.Address, "forged");
        Assert.True(_network.RunUntil(() => peer.Path.IsUnproven, Patience));
        Assert.False(_network.RunUntil(() => !peer.Path.IsUnproven, TimeSpan.FromSeconds(15)));

        Assert.Equal(forged, peer.Path.Endpoint);
        Assert.True(peer.Path.Handle is { IsUnproven: true, Local.IsOwn: true });
    }
}
