using LightTunnel.Addressing;
using LightTunnel.Engine.Data;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Engine;

/// <summary>
/// Where packets of networks behind nodes go, and from whom they may come, against a model that looks through all of them.
/// </summary>
public sealed class SubnetTableTests
{
    private static readonly InterfaceAddress[] Own = [Interface("10.0.0.2/24"), Interface("fd00::2/64")];

    [Fact]
    public void Decisions_AreThoseOfTheModel_ForAnyNetworksAndAddresses()
    {
        var random = new Random(Fuzz.Seed(3));
        for (int round = 0; round < Fuzz.Count(200); round++)
        {
            RouteTarget[] peers = [.. Enumerable.Range(0, 5).Select(id => Peer($"10.0.0.{10 + id}"))];
            var networks = new Dictionary<IpPrefix, Subnet>();
            for (int i = random.Next(12); i > 0; i--)
            {
                RouteTarget[] sources = [.. peers.Where(_ => random.Next(3) == 0)];
                RouteTarget? target = random.Next(5) == 0 ? null : peers[random.Next(peers.Length)];
                networks[Network(random)] = new Subnet(target, [.. target is null ? [] : sources.Append(target)]);
            }

            ForwardingTable table = ForwardingTable.Empty.WithOwn(Own);
            foreach (RouteTarget peer in peers)
                table = table.With(peer.Route.Owned, peer);
            table = table.WithSubnets(new SubnetTable(networks));
            for (int i = 0; i < 100; i++)
            {
                TunnelAddress address = Somewhere(random);
                Subnet? longest = Own.Any(own => own.Prefix.Contains(address)) ? null : networks
                    .Where(one => one.Key.Contains(address)).OrderByDescending(one => one.Key.Length).Select(one => one.Value)
                    .FirstOrDefault();

                ForwardingDecision outbound = table.DecideOutbound(Own[0].Address, address, out RouteTarget? to);
                RouteTarget? host = peers.FirstOrDefault(peer => peer.Route.Owned[0].Network == address);
                RouteTarget? leads = host ?? longest?.Target;
                Assert.Equal(leads is not null, outbound == ForwardingDecision.Carry);
                Assert.True(leads is null || leads == to);

                RouteTarget sender = peers[random.Next(peers.Length)];
                ForwardingDecision inbound = table.DecideInbound(sender, address, Own[0].Address, out RouteTarget origin, out _);
                bool maySend = sender == host || longest?.Sources.Contains(sender) == true;
                Assert.Equal(maySend ? ForwardingDecision.Carry : ForwardingDecision.WrongSource, inbound);
                Assert.True(!maySend || origin == sender);

                ForwardingDecision here = table.DecideInbound(sender, sender.Route.Owned[0].Network, address, out _, out _);
                bool isOwn = Own.Any(own => own.Address == address) || longest is { Target: null };
                Assert.Equal(isOwn ? ForwardingDecision.Carry : ForwardingDecision.WrongDestination, here);
                bool isBehind = Own.Any(own => own.Address == address) || longest is { Target: null };
                Assert.Equal(
                    isBehind ? ForwardingDecision.Carry : ForwardingDecision.WrongSource,
                    table.DecideOutbound(address, peers[0].Route.Owned[0].Network, out _));
            }
        }
    }

    [Fact]
    public void NetworkBehindThisNode_IsNotSentIntoTheTunnel()
    {
        RouteTarget peer = Peer("10.0.0.10");
        ForwardingTable table = ForwardingTable.Empty.WithOwn(Own).WithSubnets(new SubnetTable(
        [
            new(Prefix("192.168.0.0/16"), new Subnet(peer, [peer])), new(Prefix("192.168.7.0/24"), new Subnet(null, [])),
        ]));
        Assert.Equal(ForwardingDecision.NoRoute, table.DecideOutbound(Own[0].Address, Address("192.168.7.9"), out _));
        Assert.Equal(ForwardingDecision.Carry, table.DecideOutbound(Own[0].Address, Address("192.168.8.9"), out _));
        Assert.Equal(ForwardingDecision.OwnDestination, table.DecideOutbound(Own[0].Address, Own[0].Address, out _));
        Assert.Equal(ForwardingDecision.WrongSource, table.DecideInbound(peer, Address("192.168.7.9"), Own[0].Address, out _, out _));
    }

    [Fact]
    public void Decisions_AllocateNothing()
    {
        RouteTarget peer = Peer("10.0.0.10");
        ForwardingTable table = ForwardingTable.Empty.WithOwn(Own).WithSubnets(new SubnetTable(
            [new(Prefix("192.168.7.0/24"), new Subnet(peer, [peer]))]));
        TunnelAddress host = Address("192.168.7.9");
        Allocation.AssertNone(100, 10_000, () =>
        {
            table.DecideOutbound(Own[0].Address, host, out _);
            table.DecideInbound(peer, host, Own[0].Address, out _, out _);
        });
    }

    private static RouteTarget Peer(string address) => new(new PeerRoute
    {
        NextHop = NextHop.Link, Owned = [IpPrefix.Host(Address(address))], Allowed = [IpPrefix.Host(Address(address))],
    });

    private static IpPrefix Network(Random random) => random.Next(4) == 0
        ? new IpPrefix(Address($"2001:db8:{random.Next(4)}::"), random.Next(16, 65))
        : new IpPrefix(Address($"{random.Next(9, 12)}.{random.Next(2)}.{random.Next(4)}.{random.Next(256)}"), random.Next(8, 33));

    private static TunnelAddress Somewhere(Random random) => random.Next(4) == 0
        ? Address($"2001:db8:{random.Next(4)}::{random.Next(99):x}")
        : Address($"{random.Next(9, 12)}.{random.Next(2)}.{random.Next(4)}.{random.Next(20)}");
}
