using LightTunnel.Engine.Client;
using LightTunnel.Engine.Data;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>What the control loop owns is touched by it alone, which debug builds check.</summary>
public sealed class OwnershipTests : IDisposable
{
    private readonly SimulatedNetwork _network = new();

    public void Dispose() => _network.Dispose();

    [Fact]
    public void WhatTheLoopOwns_TouchedByAnotherThread_IsAFault()
    {
        _network.StartServer();
        SimulatedNode alice = _network.AddClient("alice"), bob = _network.AddClient("bob");
        Assert.True(
            _network.RunUntil(() => alice.IsUp && bob.IsUp && alice.Node.Peers.Any(peer => peer.Name == "bob"), TimeSpan.FromSeconds(20)));
        Member peer = alice.Member("bob");
        Action[] touches =
        [
            () => peer.Online = false, () => peer.Addresses = [], () => peer.UsedPath = null, () => alice.Node.Hurry(peer),
            () => alice.Node.Forwarding = ForwardingTable.Empty, () => alice.Node.Sender.Datagram(peer.Path, [4]),
            () => alice.Node.RunTurn(),
        ];

        var other = new Thread(alice.Node.Thread.Claim);
        other.Start();
        other.Join();
#if DEBUG
        Assert.All(touches, touch => Assert.Throws<InvalidOperationException>(touch));
#endif
        alice.Node.Thread.Release();
        Assert.All(touches, touch => touch());
    }
}
