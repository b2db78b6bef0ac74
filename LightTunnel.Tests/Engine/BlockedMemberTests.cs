using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Client;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Server;
using LightTunnel.Membership;
using LightTunnel.Membership.Store;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>Whom an admin keeps out reaches nobody, whatever it does, until it is let in again; and others lose nothing.</summary>
public sealed class BlockedMemberTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(5);

    /// <summary>All members are told within this time.</summary>
    private static readonly TimeSpan Told = TimeSpan.FromSeconds(1);

    private readonly SimulatedNetwork _network = new();
    private readonly SimulatedNode _alice;
    private readonly SimulatedNode _carol;
    private readonly PrivateKey _bobsKey;
    private SimulatedNode _server;
    private SimulatedNode _bob;

    public BlockedMemberTests()
    {
        _server = _network.StartServer();
        _bobsKey = _network.NewKey();
        _alice = _network.AddClient("alice");
        _carol = _network.AddClient("carol");
        _bob = AddBob();
        Assert.True(_network.RunUntil(
            () => _alice.Members.Count(member => member.DirectPath is not null) == 2
                && _carol.Members.Count(member => member.DirectPath is not null) == 2,
            Soon));
        AssertPasses(_bob, _alice);
        AssertPasses(_bob, _server);
    }

    private MemberAdministration Administration => ((ServerRole)_server.Node.Role).Administration;

    private MemberStatus Bob => Administration.List().Single(member => member.PublicKey == _bobsKey.PublicKey.ToString());

    public void Dispose()
    {
        _network.Dispose();
        _bobsKey.Dispose();
    }

    [Fact]
    public void BlockedMember_IsCutOffEverywhere_AndSaysSo_WhileOthersLoseNothing()
    {
        Link aliceToCarol = _alice.Member("carol").Link!;
        Assert.True(Change(MemberChangeKind.Block).IsCompletedSuccessfully);
        Assert.True(_network.RunUntil(() => IsForgottenBy(_alice) && IsForgottenBy(_carol) && _bob.Node.LastError is not null, Told));

        AssertCutOff();
        Assert.Contains("has blocked this machine", _bob.Node.LastError, StringComparison.Ordinal);
        Assert.Contains("Unblock-LtMember", _bob.Node.LastError, StringComparison.Ordinal);
        Assert.Equal(TunnelState.Reconnecting, _bob.Node.State);
        Assert.Empty(_bob.Members);
        Assert.Contains(
            _bob.Log.ReadSecurity(), entry => entry.Message.Contains("has blocked this machine", StringComparison.Ordinal));
        Assert.Same(aliceToCarol, _alice.Member("carol").Link);
        AssertPasses(_alice, _carol);
        AssertPasses(_carol, _server);
        Assert.Equal((MemberState.Blocked, "admin"), (Bob.State, Bob.BlockedBy));
        AuditEntry told = _server.Log.Audited.Read(0)[^1];
        Assert.Equal(
            (AuditAction.Blocked, "admin", "bob", _bobsKey.PublicKey.ToString()), (told.Action, told.By, told.Subject, told.PublicKey));
        Assert.Equal($"bob (10.0.0.4) with the key {_bobsKey.PublicKey} was blocked on this machine by admin", told.Message);
        Assert.Empty(_server.Log.ReadSecurity());

        // It asks rarely, and is answered by nobody.
        _network.Run(TimeSpan.FromMinutes(10));
        AssertCutOff();
        Assert.Null(_server.Node.Links.Find(_bobsKey.PublicKey));
    }

    [Fact]
    public void Block_HoldsAfterAKill_AndUnblock_LetsTheMemberInWithoutAnything()
    {
        Change(MemberChangeKind.Block);
        _network.Kill(_server);
        _server = _network.StartServer();
        Assert.True(_network.RunUntil(() => _alice.IsUp && _carol.IsUp && IsForgottenBy(_alice), TimeSpan.FromMinutes(1)));
        Assert.Equal(MemberState.Blocked, Bob.State);
        _network.Kill(_bob);
        _bob = AddBob();
        _network.Run(TimeSpan.FromMinutes(2));
        AssertCutOff();
        Assert.False(_bob.IsUp);

        Assert.True(Change(MemberChangeKind.Unblock).IsCompletedSuccessfully);
        Assert.True(_network.RunUntil(() => _bob.IsUp, TimeSpan.FromMinutes(2)));
        Assert.Equal("10.0.0.4", _bob.Address.ToString());
        Assert.True(_network.RunUntil(() => _alice.Members.Any(member => member is { Name: "bob", DirectPath: not null }), Soon));
        AssertPasses(_bob, _alice);
        Assert.DoesNotContain(
            _network.Store.Contents.Entries, entry => StoreKeys.TryReadBlock(entry.Key, out _) && entry.Value is not null);
        Assert.Equal(AuditAction.Unblocked, _server.Log.Audited.Read(0)[^1].Action);
    }

    [Fact]
    public void BlockedMember_ThatRan_ComesBackByItselfWhenItIsUnblocked()
    {
        Change(MemberChangeKind.Block);
        Assert.True(_network.RunUntil(() => _bob.Node.LastError is not null, Told));
        _network.Run(TimeSpan.FromSeconds(20));
        Change(MemberChangeKind.Unblock);

        Assert.True(_network.RunUntil(() => _bob.IsUp, TimeSpan.FromMinutes(2)));
        Assert.Null(_bob.Node.LastError);
        AssertPasses(_bob, _alice);
    }

    /// <summary>Written against the wire: its software hears nothing of its server, keeps all keys and uses them.</summary>
    [Fact]
    public void HostileMember_ThatGoesOnWithItsKeys_ReachesNobody()
    {
        SilenceServerTowardsBob();
        Change(MemberChangeKind.Block);
        Assert.True(_network.RunUntil(() => IsForgottenBy(_alice) && IsForgottenBy(_carol), Told));

        for (int i = 0; i < 100; i++)
        {
            // Data under the keys that it has, by its direct paths and through the server, and handshakes to all.
            _bob.Send(_alice.Address, $"data {i}");
            _bob.Send(_server.Address, $"data {i}");
            if (i % 10 == 0)
            {
                _bob.Node.Post(() =>
                {
                    foreach (Link link in _bob.Node.Links.Links)
                        link.RequestHandshake(force: true);
                });
            }

            _network.Run(TimeSpan.FromMilliseconds(200));
        }

        AssertCutOff();
        Assert.True(_server.Node.Links.Counters[LinkEvent.PeerRefused] > 0);
        Assert.True(_alice.Node.Links.Counters[LinkEvent.PeerRefused] > 0);
        Assert.Null(_server.Node.Links.Find(_bobsKey.PublicKey));
        AssertPasses(_alice, _carol);
    }

    [Fact]
    public void Member_CannotBlockAnother()
    {
        byte[] leave = ControlMessageCodec.Encode(new LeaveMessage { Reason = LeaveReason.Blocked });
        _bob.Node.Post(() =>
        {
            byte[] frame = new byte[ControlFrame.MaximumLength];
            foreach (uint conversation in new[] { 0u, _alice.Client.Session!.Conversation })
            {
                for (uint number = 1; number < 20; number++)
                {
                    int length = new ControlFrame(ControlFrameKind.Data, conversation, number, leave).Write(frame);
                    _bob.Node.Sender.Frame(_bob.Member("alice").Link!, frame.AsSpan(0, length));
                }
            }

            _bob.Client.Session!.Send(new LeaveMessage { Reason = LeaveReason.Blocked });
        });
        _bob.MarkReady();
        _network.Run(Soon);

        Assert.True(_alice.IsUp);
        Assert.Null(_alice.Node.LastError);
        AssertPasses(_alice, _carol);
        Assert.DoesNotContain(Administration.List(), member => member.State == MemberState.Blocked);
    }

    [Fact]
    public void Block_IsToldOfWhenItIsInTheStore_AndNotWhenItCannotBeSaved()
    {
        _network.Store.IsSlow = true;
        Task blocked = Change(MemberChangeKind.Block);
        _network.Run(Soon);
        Assert.False(blocked.IsCompleted);
        AssertPasses(_bob, _alice);
        _network.Store.Release();
        _network.Store.IsSlow = false;
        Assert.True(_network.RunUntil(() => IsForgottenBy(_alice), Told));
        Assert.True(blocked.IsCompletedSuccessfully);

        _network.Store.Failure = "No space left on device";
        Task unblocked = Change(MemberChangeKind.Unblock);
        _network.Settle();
        var error = Assert.IsType<LightTunnelException>(unblocked.Exception!.InnerException);
        Assert.Contains("No space left on device", error.Message, StringComparison.Ordinal);
        Assert.Equal(MemberState.Blocked, Bob.State);
        AssertCutOff();
    }

    [Fact]
    public void MemberThatWasAwayMeanwhile_LearnsOfItBeforeItTakesAHandshake()
    {
        _network.Kill(_alice);
        Change(MemberChangeKind.Block);
        SimulatedNode alice = _network.AddClient("alice-2");
        SilenceServerTowardsBob();
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));
        _network.Run(Soon);

        Assert.DoesNotContain(alice.Members, member => member.Name == "bob");
        Assert.Null(alice.Node.Links.Find(_bobsKey.PublicKey));
    }

    /// <summary>The server is gone, or is there and only not reached: then it takes members for registered still.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void ServerThatIsAway_IsTrustedForAWhile_AndNoLonger(bool isGone)
    {
        var aWhile = TimeSpan.FromHours(2);
        SimulatedNode[] impatient = [.. Enumerable.Range(0, 2).Select(i => _network.AddClient($"impatient{i}", change: options =>
        {
            Assert.Equal(TimeSpan.FromHours(72), options.TrustWithoutServer);
            return options with { TrustWithoutServer = aWhile };
        }))];
        Assert.True(_network.RunUntil(() => impatient.All(node => node.Members.Count(member => member.DirectPath is not null) == 4), Soon));
        if (isGone)
        {
            _network.Kill(_server);
        }
        else
        {
            _network.Filter = (in UdpEndpoint from, in UdpEndpoint to, ReadOnlySpan<byte> _) =>
                from.Port != SimulatedNetwork.ServerPort && to.Port != SimulatedNetwork.ServerPort;
        }

        _network.Run(aWhile - TimeSpan.FromMinutes(10));
        AssertPasses(impatient[0], impatient[1]);
        _network.Run(TimeSpan.FromMinutes(11));
        Assert.All(impatient, node => Assert.Empty(node.Members));
        Assert.Contains(
            impatient[0].LogLines, line => line.StartsWith("Nothing was heard of the server for 2 hours", StringComparison.Ordinal));
        AssertPasses(_alice, _carol);

        if (isGone)
            _server = _network.StartServer();
        _network.Filter = null;
        Assert.True(_network.RunUntil(
            () => impatient[1].IsUp && impatient[0].Members.Any(member => member is { Name: "impatient1", Online: true }),
            TimeSpan.FromMinutes(2)));
        AssertPasses(impatient[0], impatient[1]);
    }

    [Fact]
    public void RemovedMember_GivesUpNameAndAddress_AndStaysOutWhenItWasBlocked()
    {
        Change(MemberChangeKind.Block);
        Change(MemberChangeKind.Remove);
        _network.Settle();
        Assert.Equal((MemberState.Blocked, "bob", 0), (Bob.State, Bob.Name, Bob.Addresses.Count));
        SimulatedNode another = _network.AddClient("bob", "10.0.0.4");
        Assert.True(_network.RunUntil(() => another.IsUp, Soon));
        Assert.Equal(("bob", "10.0.0.4"), (another.Client.MemberName, another.Address.ToString()));

        Change(MemberChangeKind.Unblock);
        Assert.True(_network.RunUntil(() => _bob.IsUp, TimeSpan.FromMinutes(2)));
        Assert.Equal("bob-1", _bob.Client.MemberName);
    }

    [Fact]
    public void RemovedMember_ThatIsOnline_IsANewcomerWhenItComesBack()
    {
        uint before = _server.Peer("bob").MemberId;
        Change(MemberChangeKind.Remove);
        Assert.True(_network.RunUntil(() => IsForgottenBy(_alice), Told));
        Assert.True(_network.RunUntil(
            () => _server.Node.Peers.Any(peer => peer is { Name: "bob", Online: true } && peer.MemberId > before),
            TimeSpan.FromMinutes(1)));
    }

    [Fact]
    public void Removal_IsToldOfWhenItIsInTheStore_AndTheMemberIsAsBeforeWhenItCannotBeSaved()
    {
        _network.Store.Failure = "No space left on device";
        Task failed = Change(MemberChangeKind.Remove);
        _network.Settle();
        var error = Assert.IsType<LightTunnelException>(failed.Exception!.InnerException);
        Assert.Contains("No space left on device", error.Message, StringComparison.Ordinal);
        Assert.Equal(MemberState.Online, Bob.State);
        AssertPasses(_bob, _alice);

        _network.Store.Failure = null;
        _network.Run(TimeSpan.FromMinutes(2));
        Assert.Equal(MemberState.Online, Bob.State);
        AssertPasses(_bob, _alice);

        _network.Store.IsSlow = true;
        Task removed = Change(MemberChangeKind.Remove);
        _network.Run(Soon);
        Assert.False(removed.IsCompleted);
        _network.Store.Release();
        _network.Store.IsSlow = false;
        Assert.True(_network.RunUntil(() => IsForgottenBy(_alice), Told));
        Assert.True(removed.IsCompletedSuccessfully);
    }

    private void SilenceServerTowardsBob() => _network.Filter =
        (in UdpEndpoint from, in UdpEndpoint to, ReadOnlySpan<byte> _) => !(to == _bob.Endpoint && from == _server.Endpoint);

    private SimulatedNode AddBob()
    {
        Assert.True(PrivateKey.TryParse(_bobsKey.Reveal(), out PrivateKey? copy));
        SimulatedNode bob = _network.AddClient("bob", identity: copy);
        _network.RunUntil(() => bob.IsUp, Soon);
        return bob;
    }

    private Task Change(MemberChangeKind kind)
    {
        Task? changed = null;
        _server.Node.Post(
            () => changed = Administration.ChangeAsync(new MemberChange(kind, _bobsKey.PublicKey.ToString(), "admin")));
        _network.Settle();
        return changed!;
    }

    private bool IsForgottenBy(SimulatedNode node) =>
        node.Members.All(member => member.Name != "bob") && node.Node.Links.Find(_bobsKey.PublicKey) is null;

    private void AssertPasses(SimulatedNode from, SimulatedNode to)
    {
        to.TakeReceived();
        from.Send(to.Address, "passes");
        Assert.True(_network.RunUntil(() => to.TakeReceived().Contains("passes"), Soon));
    }

    /// <summary>Nothing passes from or to it.</summary>
    private void AssertCutOff()
    {
        foreach (SimulatedNode node in new[] { _alice, _carol, _server, _bob })
            node.TakeReceived();
        foreach (SimulatedNode node in new[] { _alice, _carol, _server })
        {
            if (node.Node.Role is ClientRole)
                Assert.True(IsForgottenBy(node));
            node.Send(Assert.Single(Bob.Addresses.Select(TunnelAddress.FromIPAddress)), "to bob");
            if (_bob.Node.Forwarding.OwnAddresses.Length > 0)
                _bob.Send(node.Address, "from bob");
        }

        _network.Run(Soon);
        Assert.DoesNotContain("to bob", _bob.TakeReceived());
        foreach (SimulatedNode node in new[] { _alice, _carol, _server })
            Assert.DoesNotContain("from bob", node.TakeReceived());
    }
}
