using LightTunnel.Diagnostics;
using LightTunnel.Engine.Server;
using LightTunnel.Membership;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>What a member gets of a server is its own and no other's, and is given up when it is of no use.</summary>
public sealed class MemberLeaseTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(5);

    private readonly SimulatedNetwork _network = new() { IsDirectBlocked = true };

    public void Dispose() => _network.Dispose();

    [Fact]
    public void TwoMembersOfOneName_AreToldApart_AndBothAreTold()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode first = _network.AddClient("laptop");
        Assert.True(_network.RunUntil(() => first.IsUp, Soon));
        SimulatedNode second = _network.AddClient("Laptop");
        SimulatedNode hub = _network.AddClient("hub");
        Assert.True(_network.RunUntil(() => second.IsUp && hub.IsUp && first.Node.Peers.Count() == 3, Soon));

        Assert.Equal("laptop", first.Client.MemberName);
        Assert.Equal("Laptop-1", second.Client.MemberName);
        Assert.Equal("hub-1", hub.Client.MemberName);
        Assert.Equal(["Laptop-1", "hub", "hub-1"], first.Node.Peers.Select(peer => peer.Name).Order(StringComparer.Ordinal));
        Assert.Contains(
            second.LogLines, line => line == "Another member of hub is called Laptop already: this node is known there as Laptop-1");
        Assert.Contains(first.LogLines, line => line == "Another member asked for this node's name laptop; it is known as Laptop-1");
        Assert.Contains(
            server.LogLines,
            line => line.Contains("asked for the name Laptop, which is 10.0.0.2's: it is known as Laptop-1", StringComparison.Ordinal));
    }

    [Fact]
    public void GivenName_AfterARestartOfBoth_IsTheSame()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode first = _network.AddClient("laptop");
        Assert.True(_network.RunUntil(() => first.IsUp, Soon));
        SimulatedNode second = _network.AddClient("laptop");
        Assert.True(_network.RunUntil(() => second.IsUp, Soon));
        _network.Run(TimeSpan.FromSeconds(2));
        _network.Stop(server);
        server = _network.StartServer();

        Assert.True(_network.RunUntil(() => server.Node.Peers.Count(peer => peer.Online) == 2, TimeSpan.FromMinutes(1)));
        Assert.Equal(("laptop", "laptop-1"), (first.Client.MemberName, second.Client.MemberName));
        Assert.Single(second.LogLines, line => line.StartsWith("Another member of hub is called", StringComparison.Ordinal));
    }

    [Fact]
    public void ClientThatCannotUseItsAddress_SaysSo_AndLeavesNoGhost()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = _network.AddClient("alice");
        alice.Tun.Configuring = addresses =>
            throw new LightTunnelException(LightTunnelError.AddressInUse, $"{addresses[0]} is in use.", "Choose another.");
        Assert.True(_network.RunUntil(() => alice.Client.Connected.IsFaulted, Soon));
        _network.Settle();

        Assert.Empty(server.Node.Peers);
        Assert.Contains("Client alice (10.0.0.2) is forgotten: it never used its address", server.LogLines);
        SimulatedNode bob = _network.AddClient("bob", "10.0.0.2");
        Assert.True(_network.RunUntil(() => bob.IsUp, Soon));
    }

    [Fact]
    public void ClientThatCannotUseItsAddressAnyMore_KeepsTheOneThatItUsed()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = _network.AddClient("alice");
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));
        _network.Run(TimeSpan.FromMinutes(4));
        alice.Client.Session!.Send(new LeaveMessage { Reason = LeaveReason.Unusable });
        _network.Settle();

        Assert.False(server.Peer("alice").Online);
    }

    [Fact]
    public void MemberThatVanishesAtOnce_IsForgottenWithinMinutes_AndOneThatStayedIsNot()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode ghost = _network.AddClient("ghost");
        SimulatedNode busy = _network.AddClient("busy");
        SimulatedNode stays = _network.AddClient("stays");
        Assert.True(_network.RunUntil(() => ghost.IsUp && busy.IsUp && stays.IsUp, Soon));
        busy.Send(server.Address, "used");
        _network.Settle();
        _network.Kill(ghost);
        _network.Kill(busy);
        _network.Run(TimeSpan.FromMinutes(3));
        _network.Kill(stays);

        Assert.True(_network.RunUntil(() => server.Node.Peers.All(peer => peer.Name != "ghost"), TimeSpan.FromMinutes(5)));
        _network.Run(TimeSpan.FromHours(2));
        Assert.Equal(["busy", "stays"], server.Node.Peers.Select(peer => peer.Name).Order(StringComparer.Ordinal));
        Assert.DoesNotContain(_network.SavedLeases, lease => lease.Name == "ghost");
    }

    [Fact]
    public void RemovedMember_WhenOffline_GivesUpNameAndAddress()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode nas = _network.AddClient("nas", "10.0.0.20");
        SimulatedNode alice = _network.AddClient("alice");
        Assert.True(_network.RunUntil(() => nas.IsUp && alice.IsUp && alice.Node.Peers.Any(peer => peer.Name == "nas"), Soon));
        _network.Run(TimeSpan.FromMinutes(4));

        _network.Stop(nas);
        SimulatedNode early = _network.AddClient("nas", "10.0.0.20");
        Assert.True(_network.RunUntil(() => early.Client.Connected.IsFaulted, Soon));
        var taken = Assert.IsType<LightTunnelException>(early.Client.Connected.Exception!.InnerException);
        Assert.Equal(LightTunnelError.AddressTaken, taken.Error);
        Assert.Contains("Remove-LtMember", taken.RecommendedAction, StringComparison.Ordinal);

        var removal = new MemberChange(MemberChangeKind.Remove, server.Peer("nas").Key.ToString(), "root");
        server.Node.Post(() => _ = ((ServerRole)server.Node.Role).Administration.ChangeAsync(removal));
        server.MarkReady();
        SimulatedNode reinstalled = _network.AddClient("nas", "10.0.0.20");
        Assert.True(_network.RunUntil(() => reinstalled.IsUp, Soon));
        Assert.Equal("nas", reinstalled.Client.MemberName);
        Assert.Contains(
            server.Log.Audited.Read(0),
            entry => (entry.Action, entry.By, entry.Subject) == (AuditAction.Removed, "root", "nas"));
        Assert.True(_network.RunUntil(() => alice.Node.Peers.Count(peer => peer.Name == "nas") == 1 && alice.Peer("nas").Online, Soon));
    }

    [Fact]
    public void KeysMadeUpByTheHundred_FromOneSource_LeaveRoomForOthers()
    {
        SimulatedNode server = _network.StartServer();
        var made = new List<SimulatedNode>();
        for (int i = 0; i < 200; i++)
            made.Add(_network.AddClient($"m{i}", host: "198.51.200.1"));
        Assert.True(_network.RunUntil(() => made.All(node => node.IsUp || node.Client.Connected.IsFaulted), TimeSpan.FromMinutes(2)));

        Assert.Equal(126, made.Count(node => node.IsUp));
        LightTunnelException refusal = Assert.IsType<LightTunnelException>(
            made.First(node => !node.IsUp).Client.Connected.Exception!.InnerException);
        Assert.Equal(LightTunnelError.AddressPoolExhausted, refusal.Error);
        Assert.Contains("198.51.200.1", refusal.Message, StringComparison.Ordinal);
        SimulatedNode alice = _network.AddClient("alice");
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));

        // All of them vanish: half an hour later nothing is left of those that only came for a moment.
        made.ForEach(_network.Kill);
        Assert.True(_network.RunUntil(() => server.Node.Peers.Count() == 1, TimeSpan.FromMinutes(30)));
    }
}
