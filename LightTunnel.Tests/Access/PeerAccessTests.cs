using LightTunnel.Access;
using LightTunnel.Packets;
using LightTunnel.Tests.Packets;
using LightTunnel.Timing;
using Microsoft.Extensions.Time.Testing;
using Xunit;
using static LightTunnel.Tests.Access.RulePackets;

namespace LightTunnel.Tests.Access;

/// <summary>What passes between a node and a peer, packet by packet: this node is m2, 10.0.0.2.</summary>
public sealed class PeerAccessTests
{
    private const string Own = "10.0.0.2", Peer = "10.0.0.3", Other = "10.0.0.4", OwnV6 = "fd00::2", PeerV6 = "fd00::3";

    private readonly RuleNode _node = new(new FakeTimeProvider(), Own, OwnV6);

    /// <summary>The node has looked for so long that nothing is an answer to what was before.</summary>
    private RuleNode Settled(params string[] rules)
    {
        _node.With(rules);
        _node.Time.Advance(TimeSpan.FromMinutes(10));
        return _node;
    }

    [Fact]
    public void NoRules_AndRulesThatForbidAPeerNothing_CostNothing()
    {
        Assert.Null(_node.With().Peer(Peer));
        Assert.Null(_node.With("Allow Tcp 22 * > *", "Allow Any - m3 > m2").Peer(Peer));
        Assert.Null(_node.Node.Flows);
        Assert.Null(_node.With("Deny Any - m4 > m2", "Deny Any - m3 > m4").Peer(Peer));
        Assert.Null(_node.With("Allow Any - m3 > m2", "Allow Any - m2 > m3", "Deny Any - * > *").Peer(Peer));
        Assert.NotNull(_node.With("Deny Any - m3 > m2").Peer(Peer));
    }

    [Fact]
    public void Connection_PassesBothWays_ButOnlyAsItWasBegun()
    {
        Settled("Allow Tcp 22 m3 > m2", "Deny Any - * > *");
        Assert.False(_node.Passes(Tcp(Own, 5000, Peer, 22, SynAck))); // Of a connection that nobody may begin.
        Assert.True(_node.Passes(Tcp(Peer, 5000, Own, 22, Syn)));
        Assert.True(_node.Passes(Tcp(Own, 22, Peer, 5000, SynAck)));
        Assert.True(_node.Passes(Tcp(Peer, 5000, Own, 22, Ack)));
        Assert.True(_node.Passes(Tcp(Own, 22, Peer, 5000, Ack)));
        Assert.False(_node.Passes(Tcp(Own, 22, Peer, 5000, Syn)));
        Assert.False(_node.Passes(Tcp(Own, 23, Peer, 5001, Ack)));
        Assert.False(_node.Passes(Tcp(Peer, 5000, Own, 23, Syn)));
        Assert.False(_node.Passes(Tcp(Other, 5000, Own, 22, Syn)));
        Assert.False(_node.Passes(Udp(Peer, 5000, Own, 22)));
    }

    [Fact]
    public void Udp_AnswersPass_FromTheVeryPortOnly_AndNotWhenItWasSilentForLong()
    {
        Settled("Deny Udp - m3 > m2");
        Assert.False(_node.Passes(Udp(Peer, 53, Own, 4000)));
        Assert.True(_node.Passes(Udp(Own, 4000, Peer, 53)));
        Assert.True(_node.Passes(Udp(Peer, 53, Own, 4000)));
        Assert.False(_node.Passes(Udp(Peer, 53, Own, 4001)));
        Assert.False(_node.Passes(Udp(Peer, 54, Own, 4000)));
        _node.Time.Advance(FlowTable.UdpIdle + TimeSpan.FromSeconds(1));
        Assert.False(_node.Passes(Udp(Peer, 53, Own, 4000)));
    }

    [Theory]
    [InlineData(Own, Peer, 8, 0)]
    [InlineData(OwnV6, PeerV6, 128, 129)]
    public void Pings_AreAnswered_ByWhoWasAskedOnly(string own, string peer, int request, int reply)
    {
        Settled("Deny Icmp - m3 > m2");
        Assert.False(_node.Passes(TestPackets.Icmp(peer, own, reply, id: 7)));
        Assert.True(_node.Passes(TestPackets.Icmp(own, peer, request, id: 7)));
        Assert.True(_node.Passes(TestPackets.Icmp(peer, own, reply, id: 7)));
        Assert.False(_node.Passes(TestPackets.Icmp(peer, own, reply, id: 8)));
        Assert.False(_node.Passes(TestPackets.Icmp(peer, own, request, id: 7)));
    }

    [Fact]
    public void Errors_PassWithTheFlowThatTheyAreAbout_AndNoOthers()
    {
        Settled("Allow Tcp 443 m2 > m3", "Allow Tcp 22 m3 > m2", "Deny Any - * > *");
        byte[] syn = Tcp(Own, 4000, Peer, 443, Syn);
        Assert.False(_node.Passes(ErrorAbout(syn))); // Nobody sent that.
        Assert.True(_node.Passes(syn));
        Assert.True(_node.Passes(ErrorAbout(syn)));
        Assert.False(_node.Passes(ErrorAbout(Tcp(Own, 4001, Peer, 443, Syn))));
        byte[] inbound = Tcp(Peer, 4000, Own, 22, Syn);
        Assert.False(_node.Passes(ErrorAbout(inbound)));
        Assert.True(_node.Passes(inbound));
        Assert.True(_node.Passes(ErrorAbout(inbound)));

        // Another peer says something about a flow that is not its own.
        byte[] lie = ErrorAbout(syn);
        Address(Other).WriteTo(lie.AsSpan(12));
        TestPackets.SealHeader(lie);
        Assert.False(_node.Passes(lie));
    }

    [Fact]
    public void Fragments_GoWithTheFirst_AndTricksWithThemDoNot()
    {
        Settled("Allow Udp 53 m3 > m2", "Deny Any - * > *");
        byte[] allowed = TestPackets.Udp(Peer, Own, 4000, 53, new byte[64]), denied = TestPackets.Udp(Peer, Own, 4000, 54, new byte[64]);
        (byte[] first, byte[] second) = Cut(allowed, 24);
        Assert.False(_node.Passes(second)); // Before its first one nobody knows what it is.
        Assert.True(_node.Passes(first));
        Assert.True(_node.Passes(second));
        (byte[] wrongFirst, byte[] wrongSecond) = Cut(denied, 24, id: 8);
        Assert.False(_node.Passes(wrongFirst));
        Assert.False(_node.Passes(wrongSecond));
        _node.Time.Advance(FlowTable.FragmentIdle + TimeSpan.FromSeconds(1));
        Assert.False(_node.Passes(second));

        // Ports in the second fragment, or flags that a second one writes over (RFC 1858).
        Settled("Allow Tcp - m3 > m2", "Deny Any - * > *");
        (byte[] tiny, byte[] rest) = Cut(Tcp(Peer, 4000, Own, 22, Syn), 8);
        Assert.False(_node.Passes(tiny));
        Assert.False(_node.Passes(rest));
    }

    [Fact]
    public void Fragments_OfWhatIsAllowedWhateverItsPorts_PassAlone()
    {
        Settled("Allow Udp - m3 > m2", "Deny Any - * > *");
        (_, byte[] second) = Cut(TestPackets.Udp(Peer, Own, 4000, 53, new byte[64]), 24);
        Assert.True(_node.Passes(second));
    }

    [Fact]
    public void WhatIsCutShort_DoesNotPass_WhereAnythingIsForbidden()
    {
        Settled("Deny Tcp 22 m3 > m2");
        for (int length = 0; length < 20; length++)
            Assert.False(_node.Passes(TestPackets.Ip(Peer, Own, IpPacket.ProtocolTcp, new byte[length])));
        for (int length = 0; length < 8; length++)
        {
            Assert.False(_node.Passes(TestPackets.Ip(Peer, Own, IpPacket.ProtocolUdp, new byte[length])));
            Assert.False(_node.Passes(TestPackets.Ip(Peer, Own, IpPacket.ProtocolIcmp, new byte[length])));
        }

        Assert.True(_node.Passes(TestPackets.Ip(Peer, Own, 47, [])));
    }

    [Fact]
    public void FirstRuleThatFits_Decides_InTheOrderOfNumbers()
    {
        AccessRule[] rules = Rules("Allow Tcp 22 m3 > m2", "Deny Tcp 20-30 * > *", "Allow Any - * > *");
        Settled();
        _node.With([.. rules.Reverse()]);
        _node.Time.Advance(TimeSpan.FromMinutes(10));
        Assert.True(_node.Passes(Tcp(Peer, 1, Own, 22, Syn)));
        Assert.False(_node.Passes(Tcp(Peer, 1, Own, 23, Syn)));
        Assert.True(_node.Passes(Tcp(Peer, 1, Own, 31, Syn)));
        _node.With([rules[0] with { Enabled = false }, rules[1], rules[2]]);
        Assert.False(_node.Passes(Tcp(Peer, 2, Own, 22, Syn)));
    }

    [Fact]
    public void Drops_AreCountedByTheRuleThatDecided()
    {
        Settled("Deny Tcp 22 m3 > m2", "Deny Tcp - m3 > m2");
        for (int i = 0; i < 3; i++)
            _node.Passes(Tcp(Peer, 1, Own, 22, Syn));
        _node.Passes(Tcp(Peer, 1, Own, 23, Syn));
        Assert.Equal((3, 1), (_node.Node.DroppedBy(10), _node.Node.DroppedBy(20)));
        _node.With("Deny Tcp 22,23 m3 > m2", "Deny Tcp - m3 > m2");
        Assert.Equal((3, 1), (_node.Node.DroppedBy(10), _node.Node.DroppedBy(20)));
        _node.With("Deny Tcp 22,23 m3 > m2");
        Assert.Equal(0, _node.Node.DroppedBy(20));
    }

    [Fact]
    public void OtherRules_EndWhatTheyForbid_AndNothingElse()
    {
        Settled("Deny Udp - m3 > m2", "Deny Any - m3 > m2");
        Assert.True(_node.Passes(Tcp(Own, 4000, Peer, 443, Syn)));
        Assert.True(_node.Passes(Tcp(Own, 4000, Peer, 80, Syn)));
        _node.With("Allow Tcp 443 m2 > m3", "Deny Any - * > *");
        Assert.True(_node.Passes(Tcp(Peer, 443, Own, 4000, Ack))); // An answer comes first.
        Assert.False(_node.Passes(Tcp(Peer, 80, Own, 4000, Ack)));
        Assert.False(_node.Passes(Tcp(Own, 4000, Peer, 80, Ack)));
        Assert.True(_node.Passes(Tcp(Own, 4000, Peer, 443, Ack)));

        // What is allowed again goes on.
        _node.With("Deny Udp - m3 > m2", "Deny Any - m3 > m2");
        Assert.True(_node.Passes(Tcp(Peer, 80, Own, 4000, Ack)));
        Assert.True(_node.Passes(Tcp(Own, 4000, Peer, 80, Ack)));
    }

    /// <summary>All is allowed but what a rule forbids: the other side must not go on with it as if it had begun it.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void ConnectionThatARuleForbids_IsNotKeptByItsOtherSide(bool isTracked)
    {
        Settled(isTracked ? ["Deny Udp 1 * > *"] : []);
        Assert.True(_node.Passes(Tcp(Peer, 5000, Own, 22, Syn)));
        Assert.True(_node.Passes(Udp(Peer, 5000, Own, 443)));
        Assert.True(_node.Passes(Udp(Own, 443, Peer, 5000)));
        _node.With("Deny Tcp 22 m3 > m2", "Deny Udp 443 m3 > m2");
        for (int i = 0; i < 3; i++)
        {
            Assert.False(_node.Passes(Tcp(Own, 22, Peer, 5000, Ack)));
            Assert.False(_node.Passes(Tcp(Peer, 5000, Own, 22, Ack)));
            Assert.Equal(isTracked || i > 0, _node.Passes(Udp(Own, 443, Peer, 5000)));
            Assert.False(_node.Passes(Udp(Peer, 5000, Own, 443)));
            _node.Time.Advance(TimeSpan.FromSeconds(20));
        }

        // What that side begins is its own.
        Assert.True(_node.Passes(Tcp(Own, 22, Peer, 5000, Syn)));
        Assert.True(_node.Passes(Tcp(Peer, 5000, Own, 22, SynAck)));
    }

    [Fact]
    public void ConnectionsFromBeforeTheFirstRule_GoOn_WhoeverSpeaksFirst()
    {
        _node.With("Allow Tcp 22 m3 > m2", "Allow Udp 53 m3 > m2", "Deny Any - * > *");
        Assert.True(_node.Passes(Udp(Own, 53, Peer, 4000)));
        _node.Time.Advance(TimeSpan.FromMinutes(4));
        Assert.True(_node.Passes(Tcp(Own, 22, Peer, 5000, Ack)));
        Assert.False(_node.Passes(Tcp(Own, 22, Peer, 5001, Syn)));
        Assert.False(_node.Passes(Tcp(Own, 23, Peer, 5000, Ack)));
        Assert.False(_node.Passes(Udp(Own, 53, Peer, 4001)));
        Assert.True(_node.Passes(Udp(Own, 53, Peer, 4000)));
    }

    [Fact]
    public void Families_AreSeparate_AndAddressesOfOneMemberToo()
    {
        Settled("Deny Tcp - m3 > 10.0.0.2");
        Assert.False(_node.Passes(Tcp(Peer, 1, Own, 22, Syn)));
        Assert.True(_node.Passes(Tcp(PeerV6, 1, OwnV6, 22, Syn)));
        Settled("Deny Tcp - fd00::3 > m2");
        Assert.True(_node.Passes(Tcp(Peer, 1, Own, 22, Syn)));
        Assert.False(_node.Passes(Tcp(PeerV6, 1, OwnV6, 22, Syn)));
        Settled("Deny Tcp - fd00::/64 > m2");
        Assert.True(_node.Passes(Tcp(Peer, 1, Own, 22, Syn)));
        Assert.False(_node.Passes(Tcp(PeerV6, 1, OwnV6, 22, Syn)));
    }

    [Fact]
    public void ServerClientsAndGroups_AreWhoTheyAre()
    {
        Settled("Deny Tcp 1 clients > clients", "Deny Tcp 2 server > *", "Deny Tcp 3 group:EVEN > m2", "Deny Tcp 4 * > group:nobody");
        Assert.False(_node.Passes(Tcp(Peer, 9, Own, 1, Syn)));
        Assert.True(_node.Passes(Tcp(RuleNode.Server, 9, Own, 1, Syn)));
        Assert.False(_node.Passes(Tcp(RuleNode.Server, 9, Own, 2, Syn)));
        Assert.True(_node.Passes(Tcp(Peer, 9, Own, 2, Syn)));
        Assert.False(_node.Passes(Tcp(Other, 9, Own, 3, Syn)));
        Assert.True(_node.Passes(Tcp(Peer, 9, Own, 3, Syn)));
        Assert.True(_node.Passes(Tcp(Peer, 9, Own, 4, Syn)));
        Assert.True(_node.Passes(Tcp(Own, 9, RuleNode.Server, 1, Syn)));
        Assert.False(_node.Passes(Tcp(Own, 9, Peer, 1, Syn)));
    }

    [Fact]
    public void Packets_CostNoAllocation_WhateverBecomesOfThem()
    {
        Settled("Allow Tcp 22 m3 > m2", "Deny Any - * > *");
        byte[][] packets =
        [
            Tcp(Peer, 5000, Own, 22, Syn), Tcp(Own, 22, Peer, 5000, SynAck), Tcp(Peer, 5000, Own, 23, Syn), Udp(Own, 1, Peer, 2),
            ErrorAbout(Tcp(Own, 22, Peer, 5000, Ack)), TestPackets.Icmp(PeerV6, OwnV6), Cut(Udp(Peer, 1, Own, 2), 8).Second,
        ];
        IpPacketInfo[] infos = [.. packets.Select(Parse)];
        PeerAccess access = _node.Peer(Peer)!;
        bool[] inbound = [.. infos.Select(info => info.Destination.ToString() is Own or OwnV6)];
        Timestamp now = _node.Time.Now();
        Allocation.AssertNone(warmUp: 200, count: 1000, () =>
        {
            FlowKey last = default;
            for (int i = 0; i < packets.Length; i++)
                access.Admits(packets[i], infos[i], inbound[i], now, ref last);
        });
    }
}
