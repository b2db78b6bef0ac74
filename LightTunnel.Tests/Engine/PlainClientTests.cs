using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Client;
using LightTunnel.Engine.Data;
using LightTunnel.Engine.Server;
using LightTunnel.Membership;
using LightTunnel.Routing;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>A member of any WireGuard app, which talks to the server alone, is a member like others for everybody else.</summary>
public sealed class PlainClientTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(5);

    private readonly SimulatedNetwork _network = new();
    private SimulatedNode _server;
    private readonly SimulatedNode _alice;
    private readonly SimulatedNode _bob;

    public PlainClientTests()
    {
        _server = _network.StartServer();
        _alice = _network.AddClient("alice");
        _bob = _network.AddClient("bob"); // Without AES: its link with the server is of the other suite.
        Assert.True(_network.RunUntil(() => _alice.IsUp && _bob.IsUp, Soon));
    }

    public void Dispose() => _network.Dispose();

    [Fact]
    public async Task PacketsPass_BothWays_WithServerMembersAndEachOther()
    {
        SimulatedNode phone = await _network.AddPlainAsync("phone");
        SimulatedNode tablet = await _network.AddPlainAsync("tablet");

        _network.AssertPasses(phone, _server);
        _network.AssertPasses(_server, phone);
        _network.AssertPasses(tablet, phone);
        SimulatedNode[] all = [_server, _alice, _bob, phone, tablet];
        foreach (SimulatedNode from in all)
        {
            foreach (SimulatedNode to in all)
            {
                if (from != to)
                    _network.AssertPasses(from, to);
            }
        }

        Assert.All(all, node => Assert.Equal(0, node.Inbound.Dropped(DropReason.WrongSource)));
        Assert.True(_server.Inbound.RelayedPackets > 0);
    }

    [Fact]
    public async Task OthersKnowIt_AsReachedThroughTheServer_AndTryNothingElse()
    {
        SimulatedNode phone = await _network.AddPlainAsync("phone");
        _network.AssertPasses(phone, _alice);
        _network.AssertPasses(_alice, phone);
        _network.Run(TimeSpan.FromMinutes(2));
        _network.AssertPasses(_alice, phone);

        Member seen = _alice.Member("phone");
        Assert.Equal(
            (PathType.Server, PathReason.PlainWireGuard, true, true),
            (seen.PathType, seen.Reason, seen.IsPlain, seen.IsPathProven));
        Assert.Null(seen.Link);
        Assert.Null(seen.Traversal);
        Assert.Null(_alice.Node.Links.Find(seen.Key));
        Assert.True(_server.Peer("phone").IsPathProven);
        MemberStatus status = _network.Administration().List().Single(member => member.Name == "phone");
        Assert.Equal((true, MemberState.Online, phone.Endpoint.ToIPEndPoint()), (status.IsPlain, status.State, status.Endpoint));
        Assert.Equal(0, _server.Inbound.Dropped(DropReason.RelayRefused));
    }

    [Fact]
    public async Task FirstPacket_IsNotLost()
    {
        SimulatedNode phone = await _network.AddPlainAsync("phone");
        phone.Send(_alice.Address, "first");
        Assert.True(_network.RunUntil(() => _alice.TakeReceived().Contains("first"), Soon));
    }

    [Fact]
    public async Task SilentOne_IsOffline_AndOthersAreToldAtOnceWhenTheySendToIt()
    {
        SimulatedNode phone = await _network.AddPlainAsync("phone");
        _network.AssertPasses(phone, _alice);
        _network.Kill(phone);
        Assert.True(_network.RunUntil(() => !_alice.Member("phone").Online, TimeSpan.FromMinutes(4)));

        _alice.Send(phone.Address, "anybody?");
        Assert.True(_network.RunUntil(() => _alice.TakeReceived().Contains("icmp 3/1"), Soon));
        SimulatedNode tablet = await _network.AddPlainAsync("tablet");
        _network.AssertPasses(tablet, _server);
        tablet.Send(phone.Address, "anybody?");
        Assert.True(_network.RunUntil(() => tablet.TakeReceived().Contains("icmp 3/1"), Soon));
        Assert.Equal(MemberState.Offline, _network.Administration().List().Single(member => member.Name == "phone").State);
    }

    [Fact]
    public async Task BlockedOne_IsCutOffAtOnce_AndComesBackByItselfWhenItIsLetIn()
    {
        SimulatedNode phone = await _network.AddPlainAsync("phone");
        _network.AssertPasses(phone, _alice);
        PublicKey key = phone.Node.Links.PublicKey;

        _network.Change(MemberChangeKind.Block, key);
        AssertCutOff(phone);
        _network.Run(TimeSpan.FromMinutes(5));
        AssertCutOff(phone);
        Assert.DoesNotContain(_alice.Members, member => member.Name == "phone");
        RestartServer();
        AssertCutOff(phone);

        _network.Change(MemberChangeKind.Unblock, key);
        Assert.True(_network.RunUntil(() => _alice.IsUp && _bob.IsUp, TimeSpan.FromMinutes(1)));
        _network.AssertPasses(phone, _alice, TimeSpan.FromMinutes(1));
        _network.AssertPasses(_alice, phone);
    }

    [Fact]
    public async Task RemovedOne_IsCutOff_AndItsNameAndAddressAreFree()
    {
        SimulatedNode phone = await _network.AddPlainAsync("phone");
        _network.AssertPasses(phone, _alice);
        _network.Change(MemberChangeKind.Remove, phone.Node.Links.PublicKey);
        AssertCutOff(phone);
        _network.Run(TimeSpan.FromMinutes(3));
        AssertCutOff(phone);
        Assert.Null(_server.Node.Links.Find(phone.Node.Links.PublicKey)?.Suite);

        Lease another = await _network.MakePlainAsync(_network.NewKey().PublicKey, "phone", phone.Address.ToString());
        Assert.Equal(("phone", phone.Address), (another.Name, Assert.Single(another.Addresses)));
        Assert.Contains(
            _server.Log.Audited.Read(0), entry => (entry.Action, entry.By, entry.Subject) == (AuditAction.Added, "admin", "phone"));
    }

    [Theory]
    [InlineData(MemberChangeKind.Block)]
    [InlineData(MemberChangeKind.Remove)]
    public async Task EndedWhileItsHandshakeIsUnderWay_ItDoesNotComeIn(MemberChangeKind kind)
    {
        SimulatedNode phone = await _network.AddPlainAsync("phone");
        bool isHeld = true;
        _network.Filter = (in UdpEndpoint from, in UdpEndpoint _, ReadOnlySpan<byte> datagram) =>
            !(isHeld && from == phone.Endpoint && datagram[0] == Messages.TransportType);
        phone.Send(_server.Address, "from it");
        Assert.True(_network.RunUntil(() => phone.Plain().Link.HasSession, Soon));

        _network.Change(kind, phone.Node.Links.PublicKey);
        isHeld = false;
        phone.Send(_server.Address, "from it");
        phone.Send(_alice.Address, "from it");
        _network.Run(TimeSpan.FromMinutes(3));
        Assert.DoesNotContain("from it", _server.TakeReceived());
        Assert.DoesNotContain("from it", _alice.TakeReceived());
        Assert.DoesNotContain(_server.Node.Peers, peer => peer.IsPlain);
    }

    [Fact]
    public async Task ServerIsStartedAgain_TheClientComesBackWithTheSameAddress()
    {
        SimulatedNode phone = await _network.AddPlainAsync("phone");
        _network.AssertPasses(phone, _alice);
        RestartServer();
        Assert.True(_network.RunUntil(() => _alice.IsUp, TimeSpan.FromMinutes(1)));

        phone.Send(_alice.Address, "lost"); // Under the old keys; the answer that does not come has it agree on new ones.
        Assert.True(_network.RunUntil(() => _server.Peer("phone").Online, TimeSpan.FromMinutes(1)));
        _network.AssertPasses(phone, _alice);
        _network.AssertPasses(_alice, phone);
        Assert.Equal(phone.Address, Assert.Single(_server.Peer("phone").Addresses));
    }

    [Fact]
    public async Task NotUsedForMonths_ItIsAMemberStill()
    {
        SimulatedNode phone = await _network.AddPlainAsync("phone");
        _network.Kill(phone);
        _network.Kill(_alice);
        _network.Kill(_bob);
        _network.Run(TimeSpan.FromDays(60));
        Assert.Equal("phone", Assert.Single(_network.Administration().List()).Name);
    }

    [Fact]
    public async Task Roaming_TheServerFollows_AndProvesTheNewAddressByAHandshake()
    {
        SimulatedNode phone = await _network.AddPlainAsync("phone");
        _network.AssertPasses(phone, _alice);
        Link link = _server.Peer("phone").Link!;

        phone.Transport.MoveTo("192.0.2.77", 4321);
        _network.AssertPasses(phone, _alice);
        _network.AssertPasses(_alice, phone);
        Assert.Equal(phone.Endpoint, link.Path.Endpoint);
        Assert.True(_network.RunUntil(() => !link.Path.IsUnproven, TimeSpan.FromSeconds(10)));
        Assert.Same(link, _server.Peer("phone").Link);
    }

    [Fact]
    public async Task Rekey_ByEitherSide_GoesOnUnderTheNewKeys()
    {
        SimulatedNode phone = await _network.AddPlainAsync("phone");
        _network.AssertPasses(phone, _alice);
        for (int minute = 0; minute < 10; minute++)
        {
            _network.Run(TimeSpan.FromMinutes(1));
            _network.AssertPasses(phone, _alice);
            _network.AssertPasses(_alice, phone);
        }

        KeyPair before = _server.Peer("phone").Link!.Sessions.Current!;
        _server.Node.Post(() => _server.Peer("phone").Link!.RequestHandshake(force: true));
        Assert.True(_network.RunUntil(() => _server.Peer("phone").Link!.Sessions.Current != before, Soon));
        _network.AssertPasses(phone, _alice);
        _network.AssertPasses(_alice, phone);
    }

    [Fact]
    public async Task ClientIsolation_HoldsForIt()
    {
        _network.Kill(_alice);
        _network.Kill(_bob);
        _network.Stop(_server);
        _server = _network.StartServer(options => options with { ClientIsolation = true });
        SimulatedNode alice = _network.AddClient("carol");
        SimulatedNode phone = await _network.AddPlainAsync("phone");
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));
        _network.AssertPasses(phone, _server);
        _network.AssertPasses(_server, phone);

        phone.Send(alice.Address, "isolated");
        _network.Run(Soon);
        Assert.DoesNotContain("isolated", alice.TakeReceived());
        Assert.Equal(1, _server.Inbound.Dropped(DropReason.Prohibited));
        Assert.Equal(["icmp 3/13"], phone.TakeReceived());
    }

    /// <summary>A plain client knows no rules: its server holds what it sends and is sent against them.</summary>
    [Fact]
    public async Task Rules_HoldForIt_AtItsServer_InBothDirections()
    {
        SimulatedNode phone = await _network.AddPlainAsync("phone"), tablet = await _network.AddPlainAsync("tablet");
        _network.AssertPasses(tablet, _server);
        _network.AssertPasses(phone, _alice);
        _network.AssertPasses(phone, tablet);
        await _network.AddRules("Deny Udp 22 phone > *", "Deny Udp 23 * > phone", "Deny Any - tablet > phone");
        _network.Run(TimeSpan.FromSeconds(1));
        (SimulatedNode From, SimulatedNode To, int Port, bool Passes)[] packets =
        [
            (phone, _alice, 22, false), (phone, _alice, 24, true), (phone, _server, 22, false), (phone, tablet, 22, false),
            (_alice, phone, 23, false), (_alice, phone, 22, true), (_server, phone, 23, false), (tablet, phone, 24, false),
        ];
        foreach ((SimulatedNode from, SimulatedNode to, int port, bool passes) in packets)
        {
            from.TakeReceived();
            to.TakeReceived();
            from.Send(Access.RulePackets.Udp($"{from.Address}", 4000 + port, $"{to.Address}", port));
            _network.RunUntil(() => from.Tun.WrittenCount + to.Tun.WrittenCount > 0, Soon);
            Assert.Equal(
                (passes, !passes), (to.TakeReceived().Contains("body"), from.TakeReceived().Contains("icmp 3/13")));
        }

        // An answer passes though its direction is forbidden.
        phone.Send(Access.RulePackets.Udp($"{phone.Address}", 5000, $"{tablet.Address}", 24));
        Assert.True(_network.RunUntil(() => tablet.TakeReceived().Contains("body"), Soon));
        tablet.Send(Access.RulePackets.Udp($"{tablet.Address}", 24, $"{phone.Address}", 5000));
        Assert.True(_network.RunUntil(() => phone.TakeReceived().Contains("body"), Soon));
        Assert.NotEqual(0, _network.Rules().List()[0].Dropped);
    }

    [Fact]
    public async Task ServerThatIsFull_RefusesIt()
    {
        _network.Stop(_server);
        _server = _network.StartServer(options => options with { MaxClients = 2 });
        Assert.True(_network.RunUntil(() => _server.Peer("alice").Online && _server.Peer("bob").Online, TimeSpan.FromMinutes(1)));
        SimulatedNode phone = await _network.AddPlainAsync("phone");
        phone.Send(_server.Address, "let me in");
        _network.Run(Soon);
        Assert.DoesNotContain("let me in", _server.TakeReceived());
        Assert.False(_server.Peer("phone").Online);

        _network.Stop(_bob);
        _network.AssertPasses(phone, _server, TimeSpan.FromMinutes(1));
    }

    [Fact]
    public async Task LargeNetwork_MembersLearnOfItWhenTheyDealWithIt_EitherWay()
    {
        _network.Stop(_server);
        _server = _network.StartServer(options => options with { EagerUpTo = 1 });
        SimulatedNode carol = _network.AddClient("carol"), dave = _network.AddClient("dave");
        SimulatedNode phone = await _network.AddPlainAsync("phone");
        Assert.True(_network.RunUntil(() => carol.IsUp && dave.IsUp && carol.Client.KnowsFew, TimeSpan.FromMinutes(1)));
        _network.AssertPasses(phone, _server);
        Assert.Empty(carol.Members);

        _network.AssertPasses(carol, phone);
        _network.AssertPasses(phone, carol);
        phone.Send(dave.Address, "who are you?");
        Assert.True(_network.RunUntil(() => dave.Members.Any(member => member.Name == "phone"), Soon));
        _network.AssertPasses(phone, dave);
        _network.AssertPasses(dave, phone);
    }

    [Fact]
    public async Task WhatIsWrongAboutANewOne_IsToldByName()
    {
        PublicKey key = _network.NewKey().PublicKey;
        Assert.Equal(LightTunnelError.NameInUse, await RefusedAsync(key, "ALICE"));
        Assert.Equal(LightTunnelError.NameInUse, await RefusedAsync(key, "hub"));
        Assert.Equal(LightTunnelError.InvalidOption, await RefusedAsync(_alice.Node.Links.PublicKey, "phone"));
        Assert.Equal(LightTunnelError.InvalidOption, await RefusedAsync(_network.ServerKey, "phone"));
        Assert.Equal(LightTunnelError.AddressTaken, await RefusedAsync(key, "phone", _alice.Address.ToString()));
        Assert.Equal(LightTunnelError.InvalidAddress, await RefusedAsync(key, "phone", "10.9.9.9"));
        _network.Change(MemberChangeKind.Block, _bob.Node.Links.PublicKey);
        _network.Change(MemberChangeKind.Remove, _bob.Node.Links.PublicKey);
        Assert.Equal(LightTunnelError.InvalidOption, await RefusedAsync(_bob.Node.Links.PublicKey, "phone"));
        await _network.MakePlainAsync(key, "phone");
    }

    [Fact]
    public async Task AdminRenamesIt_AndOthersAreTold_ButItsAddressIsInItsConfiguration()
    {
        SimulatedNode phone = await _network.AddPlainAsync("phone");
        _network.AssertPasses(phone, _alice);
        MemberChange set = new(MemberChangeKind.Set, phone.Node.Links.PublicKey.ToString(), "admin");
        Assert.Null(await SetAsync(set with { Name = "mobile", Groups = ["phones"] }));
        Assert.True(_network.RunUntil(() => _alice.Members.Any(member => member is { Name: "mobile", IsPlain: true }), Soon));
        _network.AssertPasses(phone, _alice);
        _network.AssertPasses(_alice, phone);

        LightTunnelException? refused = await SetAsync(set with { Addresses = ["10.0.0.19"] });
        Assert.Equal(LightTunnelError.InvalidOption, refused?.Error);
        _network.AssertPasses(phone, _alice);

        async Task<LightTunnelException?> SetAsync(MemberChange change)
        {
            Task<Task> asking = _server.Node.AskAsync(() => _network.Administration().ChangeAsync(change));
            _network.Settle();
            try
            {
                Task changed = await asking.WaitAsync(TestContext.Current.CancellationToken);
                _network.Settle();
                await changed.WaitAsync(TestContext.Current.CancellationToken);
                return null;
            }
            catch (LightTunnelException exception)
            {
                return exception;
            }
        }
    }

    [Fact]
    public async Task StoreThatTakesNothing_MakesNoMember()
    {
        _network.Store.Failure = "the disk is full";
        LightTunnelException refused = await Assert.ThrowsAsync<LightTunnelException>(
            () => _network.MakePlainAsync(_network.NewKey().PublicKey, "phone"));
        Assert.Equal(LightTunnelError.FileAccess, refused.Error);
        Assert.DoesNotContain(_network.Administration().List(), member => member.Name == "phone");
    }

    private async Task<LightTunnelError> RefusedAsync(PublicKey key, string name, params string[] addresses) =>
        (await Assert.ThrowsAsync<LightTunnelException>(() => _network.MakePlainAsync(key, name, addresses))).Error;

    private void RestartServer()
    {
        _network.Stop(_server);
        _server = _network.StartServer();
    }

    /// <summary>Nothing passes from or to it.</summary>
    private void AssertCutOff(SimulatedNode phone)
    {
        foreach (SimulatedNode node in new[] { _alice, _server, phone })
            node.TakeReceived();
        _alice.Send(phone.Address, "to it");
        _server.Send(phone.Address, "to it");
        phone.Send(_alice.Address, "from it");
        phone.Send(_server.Address, "from it");
        _network.Run(Soon);
        Assert.DoesNotContain("to it", phone.TakeReceived());
        Assert.DoesNotContain("from it", _alice.TakeReceived());
        Assert.DoesNotContain("from it", _server.TakeReceived());
    }
}
