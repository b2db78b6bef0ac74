using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Client;
using LightTunnel.Engine.Control;
using LightTunnel.Membership;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>A server sets on its clients what they agreed to, and nothing else.</summary>
public sealed class AgreedPrefixTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(5);

    private readonly SimulatedNetwork _network = new() { IsDirectBlocked = true };

    public void Dispose() => _network.Dispose();

    [Theory]
    [InlineData("8.8.8.1/24")]
    [InlineData("10.0.0.1/16")]
    [InlineData("10.0.1.1/24")]
    public void Join_PrefixThatTheInvitationDoesNotName_IsRefused(string server)
    {
        _network.StartServer(null, server);
        SimulatedNode alice = Join("alice", "10.0.0.0/24");

        Assert.True(_network.RunUntil(() => alice.Client.Connected.IsCompleted, Soon));

        LightTunnelException error = Assert.IsType<LightTunnelException>(alice.Client.Connected.Exception?.InnerException);
        Assert.Equal(LightTunnelError.PrefixNotAgreed, error.Error);
        Assert.Contains("-AcceptPrefix", error.RecommendedAction, StringComparison.Ordinal);
        Assert.Empty(alice.Node.Forwarding.OwnAddresses);
    }

    [Theory]
    [InlineData("10.0.0.0/24")]
    [InlineData("10.0.0.0/8")]
    [InlineData("192.168.0.0/16 10.0.0.0/24")]
    public void Join_PrefixWithinWhatWasAgreed_IsTaken(string agreed)
    {
        _network.StartServer();
        SimulatedNode alice = Join("alice", agreed.Split(' '));

        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));
    }

    [Fact]
    public void Rejoin_ServerComesBackWithAnotherPrefix_TheClientKeepsItsOwnAndSaysWhatToDo()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = Join("alice", "10.0.0.0/24");
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));
        string before = alice.Node.Forwarding.OwnAddresses[0].ToString();
        _network.Stop(server);
        _network.StartServer(null, "8.8.8.1/24");

        Assert.True(
            _network.RunUntil(() => alice.Node.LastError?.Contains("8.8.8.", StringComparison.Ordinal) == true, TimeSpan.FromMinutes(1)));

        Assert.Equal(TunnelState.Reconnecting, alice.Node.State);
        Assert.Equal(before, Assert.Single(alice.Node.Forwarding.OwnAddresses).ToString());
        Assert.Contains(
            alice.Log.Read(minimumLevel: LogLevel.Warning),
            entry => entry.Message.Contains("-AcceptPrefix 8.8.8.0/24", StringComparison.Ordinal));
        Assert.Contains(
            alice.Node.Journal.Changes.Read(0),
            change => change.State is { New: TunnelState.Reconnecting } state
                && state.Reason?.Contains("8.8.8.", StringComparison.Ordinal) == true);
    }

    [Fact]
    public void Rejoin_WithoutInvitation_TheFirstPrefixIsPinned()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = Join("alice");
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));
        _network.Stop(server);
        _network.StartServer(null, "10.0.1.1/24");

        Assert.True(
            _network.RunUntil(() => alice.Node.LastError?.Contains("10.0.1.", StringComparison.Ordinal) == true, TimeSpan.FromMinutes(1)));
        Assert.Equal("10.0.0.2/24", Assert.Single(alice.Node.Forwarding.OwnAddresses).ToString());
    }

    [Fact]
    public void Take_WhatWasLeasedBefore_IsAgreedTo_AndNothingElse()
    {
        Assert.Null(new NetworkPrefixes([Prefix("10.0.0.0/24"), Prefix("10.1.0.0/24")]).Take(Registered("10.1.0.7/24", "10.1.0.1")));
        Assert.NotNull(new NetworkPrefixes([Prefix("10.0.0.0/24")]).Take(Registered("10.1.0.7/24", "10.1.0.1")));
        Assert.NotNull(new NetworkPrefixes([]).Take(Registered("10.0.0.7/7", "10.0.0.1")));
        Assert.NotNull(new NetworkPrefixes([]).Take(Registered("127.0.0.7/8", "127.0.0.1")));
        Assert.NotNull(new NetworkPrefixes([]).Take(Registered("10.0.0.7/24", "8.8.8.8")));
    }

    [Fact]
    public void Filter_MembersOutsideTheNetwork_AreLeftOut_AndNamedOnce()
    {
        var prefixes = new NetworkPrefixes([]);
        Assert.Null(prefixes.Take(Registered("10.0.0.7/24", "10.0.0.1")));
        var page = new DirectoryMessage
        {
            Revision = 1,
            Changed = [Entry(2, "10.0.0.2"), Entry(3, "8.8.8.8"), Entry(4, "10.0.0.4", "fd00::4")],
        };
        var named = new List<string>();

        DirectoryMessage filtered = prefixes.Filter(page, entry => named.Add(entry.Name));
        prefixes.Filter(page, entry => named.Add(entry.Name));

        Assert.Equal([2u], filtered.Changed.Select(entry => entry.MemberId));
        Assert.Equal([3u, 4u], filtered.Removed);
        Assert.Equal(["member3", "member4"], named);
    }

    private SimulatedNode Join(string name, params string[] agreed) =>
        _network.AddClient(name, change: options => options with { AgreedPrefixes = [.. agreed.Select(Prefix)] });

    private static IpPrefix Prefix(string text)
    {
        Assert.True(IpPrefix.TryParse(text, out IpPrefix prefix));
        return prefix;
    }

    private static RegisteredMessage Registered(string own, string server)
    {
        Assert.True(InterfaceAddress.TryParse(own, out InterfaceAddress address));
        return new RegisteredMessage
        {
            MemberId = 7, NetworkName = "hub", ServerName = "hub", Mtu = 1400, Addresses = [address],
            ServerAddresses = [TunnelAddress.FromIPAddress(IPAddress.Parse(server))],
        };
    }

    private static DirectoryEntry Entry(uint id, params string[] addresses) => new()
    {
        MemberId = id, Name = $"member{id}", PublicKey = default,
        Addresses = [.. addresses.Select(address => TunnelAddress.FromIPAddress(IPAddress.Parse(address)))],
    };
}
