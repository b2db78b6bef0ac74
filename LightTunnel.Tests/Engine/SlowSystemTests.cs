using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Routing;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>The system takes its time to set an interface up or to look a route up: the control loop goes on meanwhile.</summary>
public sealed class SlowSystemTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(5);

    private readonly SimulatedNetwork _network = new();

    public void Dispose() => _network.Dispose();

    [Fact]
    public void Interface_IsBeingSetUp_WhatTheServerTellsMeanwhileCountsAfterwards()
    {
        SimulatedNode hub = _network.StartServer();
        SimulatedNode alice = _network.AddClient("alice");
        alice.SlowAnswers = new();
        Assert.True(_network.RunUntil(() => alice.SlowAnswers.Count > 0, Soon));
        SimulatedNode bob = _network.AddClient("bob");
        Assert.True(_network.RunUntil(() => bob.IsUp, Soon));
        _network.Run(TimeSpan.FromSeconds(30));
        Assert.False(alice.IsUp);
        Assert.Empty(alice.Tun.Addresses);
        Assert.Equal(PathType.Direct, hub.Peer("alice").PathType); // Its own loop went on, and answered.

        // The registration of half a minute ago counts: nothing of it is done again.
        alice.AnswerAll();
        Assert.True(_network.RunUntil(
            () => alice.IsUp && alice.Node.Peers.Any(peer => peer.Name == "bob"), TimeSpan.FromMilliseconds(50)));
        alice.Send(bob.Address, "late");
        _network.Run(Soon);
        Assert.Equal(["late"], bob.TakeReceived());
    }

    [Fact]
    public void Interface_IsBeingSetUp_ServerIsStartedAnew_TheNewRegistrationCounts()
    {
        _network.StartServer();
        SimulatedNode alice = _network.AddClient("alice");
        alice.SlowAnswers = new();
        Assert.True(_network.RunUntil(() => alice.SlowAnswers.Count > 0, Soon));
        _network.Kill(_network.Server);
        _network.StartServer();
        _network.Run(TimeSpan.FromMinutes(2));
        Assert.False(alice.IsUp);

        alice.AnswerAll();
        Assert.True(_network.RunUntil(() => alice.IsUp, TimeSpan.FromMinutes(1)));
        alice.Send(_network.Server.Address, "again");
        _network.Run(Soon);
        Assert.Equal(["again"], _network.Server.TakeReceived());
    }

    [Fact]
    public void Routes_AreNotKnownYet_NothingIsSentThere_UntilTheyAre()
    {
        _network.StartServer();
        SimulatedNode alice = _network.AddClient("alice");
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));
        alice.SlowAnswers = new();
        SimulatedNode bob = _network.AddClient("bob");
        Assert.True(_network.RunUntil(() => bob.IsUp && alice.Node.Peers.Any(peer => peer.Name == "bob"), Soon));
        bool probed = false;
        _network.Filter = (in UdpEndpoint from, in UdpEndpoint to, ReadOnlySpan<byte> _) =>
        {
            probed |= from == alice.Endpoint && to == bob.Endpoint;
            return true;
        };
        alice.Send(bob.Address, "hello");
        _network.Run(Soon);
        Assert.False(probed);
        Assert.Equal(["hello"], bob.TakeReceived()); // By the server.

        alice.AnswerAll();
        Assert.True(_network.RunUntil(() => alice.Member("bob").DirectPath is not null, Soon));
    }

    [Fact]
    public void Interface_CannotBeSetUpAnew_IsTriedAgain_ThoughTheServerAnswers()
    {
        _network.StartServer();
        SimulatedNode alice = _network.AddClient("alice");
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));
        _network.Kill(_network.Server);
        alice.Tun.Configuring = _ => throw new LightTunnelException(LightTunnelError.TunUnavailable, "It is busy.", "Wait.");
        alice.SlowAnswers = new();
        _network.StartServer(options => options with { Mtu = 1300 });
        _network.Run(TimeSpan.FromMinutes(2));
        Assert.False(alice.IsUp);
        alice.AnswerAll();
        _network.Run(TimeSpan.FromMinutes(2));
        Assert.False(alice.IsUp);

        alice.Tun.Configuring = null;
        Assert.True(_network.RunUntil(() => alice.IsUp, TimeSpan.FromMinutes(2)));
    }

    [Fact]
    public void Routes_MayHaveChanged_TheLastAnswersCountUntilThereAreNewOnes()
    {
        _network.StartServer();
        SimulatedNode alice = _network.AddClient("alice"), bob = _network.AddClient("bob");
        Assert.True(_network.RunUntil(
            () => alice.IsUp && alice.Members.Any(member => member is { Name: "bob", DirectPath: not null }), Soon));
        alice.SlowAnswers = new();
        for (int second = 0; second < 10; second++)
        {
            alice.Addresses.Changed(); // As containers that come and go.
            alice.Send(bob.Address, $"{second}");
            _network.Run(TimeSpan.FromSeconds(1));
            Assert.NotNull(alice.Member("bob").DirectPath);
        }

        Assert.Equal(10, bob.TakeReceived().Count);
    }
}
