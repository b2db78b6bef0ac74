using LightTunnel.Addressing;
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

        alice.AnswerAll();
        Assert.True(_network.RunUntil(() => alice.IsUp && alice.Node.Peers.Any(peer => peer.Name == "bob"), Soon));
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
}
