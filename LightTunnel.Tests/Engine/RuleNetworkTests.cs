using LightTunnel.Access;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Data;
using LightTunnel.Engine.Server;
using LightTunnel.Membership;
using LightTunnel.Tests.Access;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>Access rules in a whole network: who is told what, who enforces it, and what hostile members can do about that.</summary>
public sealed class RuleNetworkTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(5);

    /// <summary>A change acts everywhere within this time.</summary>
    private static readonly TimeSpan Acts = TimeSpan.FromSeconds(1);

    private readonly SimulatedNetwork _network = new();
    private readonly PrivateKey _bobsKey;
    private SimulatedNode _server;
    private readonly SimulatedNode _alice;
    private SimulatedNode _bob;

    public RuleNetworkTests()
    {
        _server = _network.StartServer();
        _bobsKey = _network.NewKey();
        _alice = _network.AddClient("alice");
        _bob = AddBob();
        Assert.True(_network.RunUntil(() => Knows(_alice, "bob") && Knows(_bob, "alice"), Soon));
    }

    public void Dispose()
    {
        _network.Dispose();
        _bobsKey.Dispose();
    }

    [Fact]
    public void ForbiddenPort_IsRefusedAtTheSenderByIcmp_AndAnswersToWhatIsAllowedPass()
    {
        _network.AddRules("Deny Udp 22 alice > bob", "Deny Any - bob > alice");
        _network.Run(Acts);
        Assert.Equal("icmp 3/13", Exchange(_alice, 4000, _bob, 22));
        Assert.Equal("body", Exchange(_alice, 4000, _bob, 23));
        Assert.Equal("body", Exchange(_bob, 23, _alice, 4000)); // An answer.
        Assert.Equal("icmp 3/13", Exchange(_bob, 24, _alice, 4000));
        Assert.Equal((1, 1), (_alice.Outbound.Dropped(DropReason.Prohibited), _alice.Node.Rules.DroppedBy(10)));
        Assert.Equal((1, 1), (_bob.Outbound.Dropped(DropReason.Prohibited), _bob.Node.Rules.DroppedBy(20)));
        Assert.Equal(0, _bob.Inbound.Dropped(DropReason.Prohibited));
    }

    /// <summary>Written against the wire: a sender that ignores rules seals what it likes.</summary>
    [Fact]
    public void SenderThatIgnoresRules_GetsNothingThrough()
    {
        Exchange(_alice, 1, _bob, 1); // Makes the link.
        _network.AddRules("Deny Udp 22 alice > bob,server", "Deny Any - bob > alice");
        _network.Run(Acts);
        foreach (SimulatedNode victim in new[] { _bob, _server })
        {
            Force(_alice, victim, RulePackets.Udp(Text(_alice), 4000, Text(victim), 22));
            Force(_alice, victim, RulePackets.Udp(Text(_alice), 4000, Text(victim), 23));
            Assert.Equal(["body"], victim.TakeReceived());
            Assert.Equal((1, 1), (victim.Inbound.Dropped(DropReason.Prohibited), victim.Node.Rules.DroppedBy(10)));
        }

        // An answer that nobody asked for, from the port of a service that it may offer.
        Force(_bob, _alice, RulePackets.Udp(Text(_bob), 23, Text(_alice), 4001));
        Force(_bob, _alice, RulePackets.Tcp(Text(_bob), 23, Text(_alice), 4001, RulePackets.Syn));
        Assert.Empty(_alice.TakeReceived());
    }

    /// <summary>Written against the wire: rules come from the server, whatever a member says.</summary>
    [Fact]
    public void MemberThatTellsRules_ChangesNothing()
    {
        _network.AddRules("Deny Udp 22 alice > bob");
        _network.Run(Acts);
        uint conversation = _alice.Client.Session!.Conversation;
        byte[] page = ControlMessageCodec.Encode(new RulesMessage { Start = true });
        foreach (SimulatedNode victim in new[] { _server, _bob })
        {
            for (uint number = 1; number < 40; number++)
            {
                byte[] frame = new byte[ControlFrame.MaximumLength];
                int length = new ControlFrame(ControlFrameKind.Data, conversation, number, page).Write(frame);
                Force(_alice, victim, frame[..length]);
            }
        }

        _network.Run(Acts);
        Force(_alice, _bob, RulePackets.Udp(Text(_alice), 4000, Text(_bob), 22));
        Assert.Empty(_bob.TakeReceived());
        Assert.Single(_network.Rules().List());
    }

    [Fact]
    public void Server_IsADestinationAndASourceLikeAnyOther()
    {
        _network.AddRules("Deny Udp 22 * > server", "Deny Udp 23 server > alice");
        _network.Run(Acts);
        Assert.Equal("icmp 3/13", Exchange(_alice, 1, _server, 22));
        Assert.Equal("body", Exchange(_alice, 1, _server, 23));
        Assert.Equal("icmp 3/13", Exchange(_server, 1, _alice, 23));
        Assert.Equal("body", Exchange(_server, 1, _bob, 23));
    }

    [Fact]
    public void Change_EndsWhatItForbids_AndRemovalLetsItPassAgain_EachWithinASecond()
    {
        Assert.Equal("body", Exchange(_alice, 4000, _bob, 22));
        int number = Assert.Single(Result(_network.AddRules("Deny Udp 22 group:x,alice > bob")));
        _network.Run(Acts);
        Assert.Equal("icmp 3/13", Exchange(_alice, 4000, _bob, 22));
        _network.RemoveRules(number);
        _network.Run(Acts);
        Assert.Equal("body", Exchange(_alice, 4000, _bob, 22));
        Assert.Null(_alice.Peer("bob").Route.Access);
    }

    [Fact]
    public void SetOfRules_TakesThePlaceOfAnother_AsOne()
    {
        _network.AddRules("Allow Udp 22 alice > bob", "Deny Any - * > *");
        _network.Run(Acts);
        long revision = _network.Store.Contents.Revision;
        _network.ReplaceRules("Deny Udp 22 alice > bob", "Allow Udp 23 alice > bob", "Deny Any - * > *");
        Assert.Equal(revision + 1, _network.Store.Contents.Revision);
        // At no time do both pass, or neither.
        for (int i = 0; i < 50; i++)
        {
            bool passesOld = Exchange(_alice, 4000, _bob, 22, TimeSpan.Zero) == "body";
            bool passesNew = Exchange(_alice, 4000, _bob, 23, TimeSpan.Zero) == "body";
            Assert.False(passesOld && passesNew);
            _network.Run(TimeSpan.FromMilliseconds(20));
        }

        Assert.Equal("icmp 3/13", Exchange(_alice, 4000, _bob, 22));
        Assert.Equal("body", Exchange(_alice, 4000, _bob, 23));
    }

    [Fact]
    public void Groups_Names_AndAddresses_AreFollowed_AndWhoJoinsLaterIsAMatterOfThem()
    {
        _network.AddRules("Deny Udp 22 group:guests > *");
        _network.Run(Acts);
        Assert.Equal("body", Exchange(_alice, 4000, _bob, 22));
        _network.SetGroups(_alice, "guests");
        _network.Run(Acts);
        Assert.Equal("icmp 3/13", Exchange(_alice, 4000, _bob, 22));
        Force(_alice, _bob, RulePackets.Udp(Text(_alice), 4000, Text(_bob), 22));
        Assert.Empty(_bob.TakeReceived());
        _network.SetGroups(_alice);
        _network.Run(Acts);
        Assert.Equal("body", Exchange(_alice, 4000, _bob, 22));

        SimulatedNode carol = _network.AddClient("carol");
        Assert.True(_network.RunUntil(() => Knows(carol, "bob") && Knows(_bob, "carol"), Soon));
        _network.SetGroups(carol, "guests");
        _network.Run(Acts);
        Assert.Equal("icmp 3/13", Exchange(carol, 4000, _bob, 22));
    }

    /// <summary>A name is whoever had it when the rule was made: who takes it later gets nothing by that.</summary>
    [Fact]
    public void StrangerWhoTakesTheNameOfARule_IsNotTheRulesMember()
    {
        _network.AddRules("Allow Udp 22 alice > bob", "Deny Udp 22 * > bob");
        _network.Run(Acts);
        string key = _alice.Node.Links.PublicKey.ToString();
        _network.Stop(_alice);
        _server.Node.Post(() => ((ServerRole)_server.Node.Role).Administration.ChangeAsync(
            new MemberChange(MemberChangeKind.Remove, key, "admin")));
        _server.MarkReady();
        _network.Run(Acts);
        SimulatedNode stranger = _network.AddClient("alice");
        Assert.True(_network.RunUntil(() => Knows(stranger, "bob") && Knows(_bob, "alice"), Soon));
        _network.Run(Acts);
        Assert.Equal("icmp 3/13", Exchange(stranger, 4000, _bob, 22));
        Force(stranger, _bob, RulePackets.Udp(Text(stranger), 4000, Text(_bob), 22));
        Assert.Empty(_bob.TakeReceived());
    }

    [Fact]
    public void Rules_OutliveTheServer_AndAMemberThatWasAway_HearsOfThemBeforeItKnowsAnybody()
    {
        _network.Stop(_bob);
        _network.AddRules("Deny Udp 22 alice > bob");
        _network.Run(Acts);
        _network.Kill(_server);
        _server = _network.StartServer();
        Assert.Single(_network.Rules().List());
        Assert.True(_network.RunUntil(() => _alice.Client.Reconnects > 0 && _alice.IsUp, TimeSpan.FromMinutes(1)));
        _bob = AddBob();
        bool knewNobody = true;
        Assert.True(_network.RunUntil(
            () =>
            {
                knewNobody &= _bob.Node.Rules.Rules.Rules.Count > 0 || !_bob.Members.Any();
                return Knows(_bob, "alice") && Knows(_alice, "bob");
            },
            TimeSpan.FromMinutes(1)));
        Assert.True(knewNobody);
        Force(_alice, _bob, RulePackets.Udp(Text(_alice), 4000, Text(_bob), 22));
        Assert.Empty(_bob.TakeReceived());
    }

    [Fact]
    public void MemberIsToldOnlyWhatConcernsIt()
    {
        SimulatedNode carol = _network.AddClient("carol");
        Assert.True(_network.RunUntil(() => Knows(carol, "bob"), Soon));
        _network.SetGroups(carol, "secret");
        _network.AddRules("Deny Udp 22 alice > bob", "Deny Udp 23 group:secret > carol", "Deny Udp 24 server > carol");
        _network.Run(Acts);
        Assert.Equal([10], _alice.Node.Rules.Rules.Rules.Select(rule => rule.Number));
        Assert.Equal([10], _bob.Node.Rules.Rules.Rules.Select(rule => rule.Number));
        Assert.Equal([20, 20, 30], carol.Node.Rules.Rules.Rules.Select(rule => rule.Number));
        Assert.DoesNotContain(_alice.Node.Rules.Rules.Sets.Values, set => set.Contains(carol.Address));
        Assert.Equal([30], _server.Node.Rules.Rules.Rules.Select(rule => rule.Number));
    }

    [Fact]
    public void StoreThatTakesNothing_IsToldToTheAdmin_AndNobodyHearsOfTheRule()
    {
        _network.Store.Failure = "the disk is full";
        Task<IReadOnlyList<int>> failed = _network.AddRules("Deny Udp 22 alice > bob");
        LightTunnelException refused = Assert.IsType<LightTunnelException>(failed.Exception!.InnerException);
        Assert.Equal(LightTunnelError.FileAccess, refused.Error);
        _network.Run(Acts);
        Assert.Equal("body", Exchange(_alice, 4000, _bob, 22));
        Assert.Empty(_network.Rules().List());
        _network.Store.Failure = null;
        _network.Run(TimeSpan.FromMinutes(1));
        Assert.Equal("body", Exchange(_alice, 4000, _bob, 22));
        _network.AddRules("Deny Udp 22 alice > bob");
        _network.Run(Acts);
        Assert.Equal("icmp 3/13", Exchange(_alice, 4000, _bob, 22));
    }

    [Fact]
    public void ChangeInWhichSomethingIsWrong_ChangesNothing_AndNamesTheCulprit()
    {
        _network.AddRules("Deny Udp 22 alice > bob");
        (string Rule, string Culprit)[] wrong =
        [
            ("Deny Udp 22 dave > bob", "'dave'"), ("Deny Udp 22 alice > 10.0.0.1/24", "'10.0.0.1/24'"), ("Deny Udp http * > *", "'http'"),
            ("Deny Any 22 * > *", "Tcp or Udp"),
        ];
        foreach ((string rule, string culprit) in wrong)
        {
            Task<IReadOnlyList<int>> failed = _network.ChangeRules(new RuleChange
            {
                Kind = RuleChangeKind.Replace,
                Rules = [RuleNetwork.Spec("Deny Any - * > *", 1), RuleNetwork.Spec(rule, 2) with { Origin = "rules.yaml, line 7" }],
            });
            LightTunnelException refused = Assert.IsType<LightTunnelException>(failed.Exception!.InnerException);
            Assert.Contains(culprit, refused.Message, StringComparison.Ordinal);
            Assert.StartsWith("rules.yaml, line 7: ", refused.Message, StringComparison.Ordinal);
            Assert.NotEmpty(refused.RecommendedAction);
        }

        Assert.True(_network.RemoveRules(11).IsFaulted);
        Assert.True(_network.ChangeRules(new RuleChange
        {
            Kind = RuleChangeKind.Add, Rules = [RuleNetwork.Spec("Deny Any - * > *", 10)],
        }).IsFaulted);
        Assert.Equal([10], _network.Rules().List().Select(rule => rule.Number));
        Assert.Equal("10", Assert.Single(_server.Log.Audited.Read(0, tail: 10), one => one.Action == AuditAction.RulesChanged).Subject);
    }

    [Fact]
    public void Question_IsAnsweredWithTheRuleThatDecides()
    {
        _network.AddRules("Allow Tcp 22 alice > bob", "Deny Tcp - * > bob");
        RuleVerdict verdict = Assert.Single(_network.Rules().Test(new RuleQuestion("alice", "bob", RuleProtocol.Tcp, 22)));
        Assert.Equal((RuleAction.Allow, 10), (verdict.Action, verdict.Rule!.Number));
        verdict = Assert.Single(_network.Rules().Test(new RuleQuestion("server", Text(_bob), RuleProtocol.Tcp, 22)));
        Assert.Equal((RuleAction.Deny, 20), (verdict.Action, verdict.Rule!.Number));
        verdict = Assert.Single(_network.Rules().Test(new RuleQuestion("alice", "bob", RuleProtocol.Udp, 22)));
        Assert.Equal((RuleAction.Allow, null), (verdict.Action, verdict.Rule));
        Assert.Throws<LightTunnelException>(() => _network.Rules().Test(new RuleQuestion("dave", "bob", RuleProtocol.Udp, 22)));
    }

    /// <summary>A member of an older version is told of no rules; who sends to it keeps to them.</summary>
    [Fact]
    public void OlderMember_DoesNotEnforce_AndTheAdminSeesThat()
    {
        _network.AddRules("Deny Udp 22 alice > bob");
        _network.Run(Acts);
        byte[] old = ControlMessageCodec.Encode(new RegisterMessage { Name = "bob", AsksForMembers = true });
        uint conversation = _bob.Client.Session!.Conversation ^ 2;
        byte[] frame = new byte[ControlFrame.MaximumLength];
        int length = new ControlFrame(ControlFrameKind.Data, conversation, 1, old).Write(frame);
        Force(_bob, _server, frame[..length]);
        _network.Run(TimeSpan.FromMilliseconds(200));
        Assert.False(((ServerRole)_server.Node.Role).Administration.List().Single(member => member.Name == "bob").EnforcesRules);
        Assert.True(((ServerRole)_server.Node.Role).Administration.List().Single(member => member.Name == "alice").EnforcesRules);
        Assert.Contains(_server.LogLines, line => line.Contains("does not enforce access rules", StringComparison.Ordinal));
        Assert.Equal("icmp 3/13", Exchange(_alice, 4000, _bob, 22));
    }

    [Fact]
    public void ThousandRules_ActInANetworkOfAHundred_WithinASecond()
    {
        SimulatedNode[] others = [.. Enumerable.Range(0, 98).Select(i => _network.AddClient($"m{i}"))];
        Assert.True(_network.RunUntil(() => others.All(node => node.IsUp), TimeSpan.FromSeconds(30)));
        _network.Run(Soon);
        _network.ReplaceRules([.. Enumerable.Range(1, 999).Select(port => $"Allow Udp {port} * > *"), "Deny Any - * > *"]);
        Assert.True(_network.RunUntil(
            () => others.Append(_alice).All(node => node.Node.Rules.Rules.Rules.Count == 2000), Acts));
        Assert.Equal("body", Exchange(_alice, 4000, _bob, 999));
        Assert.Equal("icmp 3/13", Exchange(_alice, 4000, _bob, 1000));
    }

    [Fact]
    public void FirstPacket_ToWhomNobodyKnowsYet_IsHeldAgainstRulesToo_AndItsAnswerPasses()
    {
        using var network = new SimulatedNetwork();
        SimulatedNode server = network.StartServer(options => options with { EagerUpTo = 0 });
        SimulatedNode alice = network.AddClient("alice"), bob = network.AddClient("bob");
        Assert.True(network.RunUntil(() => alice.IsUp && bob.IsUp, Soon));
        network.AddRules("Allow Udp 23 alice > bob", "Deny Any - * > clients");
        network.Run(Acts);
        alice.Send(RulePackets.Udp(Text(alice), 4000, Text(bob), 22));
        alice.Send(RulePackets.Udp(Text(alice), 4000, Text(bob), 23));
        Assert.True(network.RunUntil(() => bob.Tun.WrittenCount > 0, Soon));
        Assert.Equal(["body"], bob.TakeReceived());
        bob.Send(RulePackets.Udp(Text(bob), 23, Text(alice), 4000));
        Assert.True(network.RunUntil(() => alice.Tun.WrittenCount > 0, Soon));
        Assert.Equal(["body"], alice.TakeReceived());
        Assert.Equal(0, bob.Inbound.Dropped(DropReason.Prohibited));
        _ = server;
    }

    private SimulatedNode AddBob()
    {
        Assert.True(PrivateKey.TryParse(_bobsKey.Reveal(), out PrivateKey? key));
        return _network.AddClient("bob", identity: key);
    }

    private static IReadOnlyList<int> Result(Task<IReadOnlyList<int>> task)
    {
        Assert.True(task.IsCompletedSuccessfully, task.Exception?.Message);
        return task.Result;
    }

    private static string Text(SimulatedNode node) => node.Address.ToString();

    private static bool Knows(SimulatedNode node, string name) =>
        node.Members.Any(member => member is { Online: true } && member.Name == name);

    /// <summary>What becomes of a UDP packet: "body" when it arrives, or what its sender is told.</summary>
    private string Exchange(SimulatedNode from, int fromPort, SimulatedNode to, int toPort, TimeSpan? atMost = null)
    {
        from.TakeReceived();
        to.TakeReceived();
        from.Send(RulePackets.Udp(Text(from), fromPort, Text(to), toPort));
        if (atMost == TimeSpan.Zero)
            _network.Settle();
        else
            _network.RunUntil(() => from.Tun.WrittenCount + to.Tun.WrittenCount > 0, atMost ?? TimeSpan.FromSeconds(2));
        return string.Join(' ', to.TakeReceived().Concat(from.TakeReceived()));
    }

    /// <summary>Seals a packet past all checks of the sender's.</summary>
    private void Force(SimulatedNode from, SimulatedNode to, byte[] packet)
    {
        to.TakeReceived();
        Peer peer = from.Node.Peers.Single(peer => peer.Addresses.Contains(to.Address));
        if (peer.Link is not { HasSession: true })
        {
            from.Node.Post(() => from.Node.WantLink(peer));
            from.MarkReady();
            Assert.True(_network.RunUntil(() => peer.Link is { HasSession: true }, Soon));
        }

        byte[] datagram = new byte[packet.Length + 128];
        Assert.Equal(SealResult.Sealed, peer.Link!.SealCopy(packet, datagram, 1400, out int written));
        from.Node.Post(() => from.Node.Sender.Datagram(peer.Link.Path, datagram.AsSpan(0, written)));
        from.MarkReady();
        _network.Run(TimeSpan.FromMilliseconds(200));
    }
}
