using LightTunnel.Diagnostics;
using LightTunnel.Engine.Server;
using LightTunnel.Internet.Fakes;
using LightTunnel.Membership;
using LightTunnel.Tests.Simulation;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>A network that admits by invitations: who comes in, who does not, and what the store has of it, whatever happens.</summary>
public sealed class InvitedNetworkTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(20);

    private readonly SimulatedNetwork _network = new() { IsDirectBlocked = true };

    private InvitationDesk Desk => ((ServerRole)_network.Server.Node.Role).Invitations;

    public void Dispose() => _network.Dispose();

    [Fact]
    public void KeyOfTheNetwork_AloneAdmitsNobody_AndAnInvitationDoes()
    {
        Start();
        SimulatedNode mallory = _network.AddClient("mallory");
        Assert.Equal(LightTunnelError.InvitationRefused, RefusalOf(mallory).Error);
        Assert.Empty(_network.SavedLeases);
        Assert.Contains(
            _network.Server.Log.ReadSecurity(), entry => entry.Message.Contains("InvitationRequired", StringComparison.Ordinal));

        SimulatedNode alice = Join("alice", Invite(name: "for alice"));
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));

        InvitationRecord record = Assert.Single(Saved);
        Assert.Equal(("for alice", 1), (record.Name, record.Uses));
        Assert.Equal(["alice"], Desk.Members[record.Id].Select(lease => lease.Name));
    }

    [Fact]
    public void Member_NeedsNoInvitation_AfterTheServerWasKilled_AndTheInvitationIsGone()
    {
        Start();
        InvitationToken token = Invite(maxUses: 1);
        PrivateKey key = _network.NewKey();
        string text = key.Reveal();
        SimulatedNode alice = Join("alice", token, key);
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));
        Remove(token.Id);
        _network.Kill(_network.Server);
        _network.Kill(alice);

        Start();
        Assert.True(PrivateKey.TryParse(text, out PrivateKey? same));
        SimulatedNode again = _network.AddClient("alice", identity: same);
        Assert.True(_network.RunUntil(() => again.IsUp, Soon));
        Assert.Equal(LightTunnelError.InvitationRefused, RefusalOf(Join("bob", token)).Error);
        Assert.Equal(1, Assert.Single(Saved).Uses);
    }

    /// <summary>Who guesses does not learn which ids there are, and what he tries leaves nothing behind.</summary>
    [Fact]
    public void FalseSecrets_AreRefusedAllTheSame_AndLeaveNothing()
    {
        Start();
        InvitationToken token = Invite(maxUses: 1);
        _network.Run(Soon);
        int before = _network.Store.Commits;
        uint other = token.Id ^ 1;

        LightTunnelException known = RefusalOf(Join("m1", InvitationToken.Generate(token.Id)));
        LightTunnelException unknown = RefusalOf(Join("m2", InvitationToken.Generate(other)));
        SimulatedNode[] flood = [.. Enumerable.Range(0, 100).Select(i => Join($"m{i + 3}", InvitationToken.Generate(token.Id)))];
        Assert.True(_network.RunUntil(() => flood.All(node => node.Client.Connected.IsFaulted), TimeSpan.FromMinutes(2)));

        Assert.Equal(
            known.Message.Replace(InvitationRecord.TextOf(token.Id), "?", StringComparison.Ordinal),
            unknown.Message.Replace(InvitationRecord.TextOf(other), "?", StringComparison.Ordinal));
        Assert.Equal(before, _network.Store.Commits);
        Assert.Equal(0, Assert.Single(Saved).Uses);
        Assert.Empty(_network.SavedLeases);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void ManyAtOnce_ComeInAsOftenAsItMayBeUsed(bool isSlow)
    {
        Start();
        InvitationToken token = Invite(maxUses: 3);
        _network.Store.IsSlow = isSlow;
        SimulatedNode[] all = [.. Enumerable.Range(0, 40).Select(i => Join($"n{i}", token))];
        Assert.True(_network.RunUntil(
            () =>
            {
                _network.Store.Release();
                return all.All(node => node.IsUp || node.Client.Connected.IsFaulted);
            },
            TimeSpan.FromMinutes(2)));

        Assert.Equal(3, all.Count(node => node.IsUp));
        Assert.Equal((3, InvitationState.UsedUp), (Assert.Single(Saved).Uses, Assert.Single(Saved).StateAt(_network.Time.GetUtcNow())));
        Assert.Equal(3, _network.SavedLeases.Count);
        Assert.All(all.Where(node => !node.IsUp), node => Assert.Contains("used up", RefusalOf(node).Message, StringComparison.Ordinal));
    }

    [Fact]
    public void ExpiredInvitation_IsRefused_ByTheServersClock()
    {
        Start();
        InvitationToken token = Invite(expires: _network.Time.GetUtcNow().AddHours(1));
        SimulatedNode alice = Join("alice", token);
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));
        _network.Run(TimeSpan.FromHours(1));

        Assert.Equal(LightTunnelError.InvitationExpired, RefusalOf(Join("bob", token)).Error);
        Assert.True(alice.IsUp);
    }

    [Fact]
    public void Removal_WhileAJoinIsUnderWay_AdmitsWhoWasFirst_AndNobodyAfterwards()
    {
        Start();
        InvitationToken token = Invite();
        _network.Store.IsSlow = true;
        SimulatedNode alice = Join("alice", token);
        Assert.True(_network.RunUntil(() => _network.Store.Waiting > 0, Soon));
        Task removing = Asked(() => Desk.RemoveAsync(token.Id, "admin"));
        SimulatedNode bob = Join("bob", token);
        _network.Run(TimeSpan.FromSeconds(1));
        Assert.False(removing.IsCompleted);

        _network.Store.IsSlow = false;
        _network.Store.Release();
        Assert.Contains("taken back", RefusalOf(bob).Message, StringComparison.Ordinal);
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));
        Wait(removing);
        Assert.Equal(["alice"], Desk.Members[token.Id].Select(lease => lease.Name));
    }

    [Fact]
    public void Removal_ThatIsNotInTheStoreYet_AdmitsNobody()
    {
        Start();
        InvitationToken token = Invite();
        _network.Store.IsSlow = true;
        Task removing = Asked(() => Desk.RemoveAsync(token.Id, "admin"));
        SimulatedNode bob = Join("bob", token);
        _network.Run(TimeSpan.FromSeconds(1));
        Assert.False(removing.IsCompleted);

        _network.Store.IsSlow = false;
        _network.Store.Release();
        Assert.Contains("taken back", RefusalOf(bob).Message, StringComparison.Ordinal);
        Wait(removing);
    }

    [Fact]
    public void Invitation_IsHandedOutWhenItIsInTheStore_NotBefore_AndNotWhenItCannotBe()
    {
        Start();
        _network.Store.IsSlow = true;
        Task<InvitationToken> making = Asked(() => Desk.CreateAsync(Wanted("slow")));
        _network.Run(TimeSpan.FromSeconds(1));
        Assert.False(making.IsCompleted);
        _network.Store.IsSlow = false;
        _network.Store.Release();
        _network.Settle();
        Assert.Equal(Wait(making).Id, Assert.Single(Saved).Id);

        _network.Store.Failure = "No space left on device";
        Task<InvitationToken> failing = Asked(() => Desk.CreateAsync(Wanted("full")));
        _network.Run(TimeSpan.FromSeconds(5));
        LightTunnelException failure = Assert.Throws<LightTunnelException>(() => Wait(failing));
        Assert.Contains("No space left", failure.Message, StringComparison.Ordinal);
        Assert.Single(Desk.All);
    }

    /// <summary>A use and its lease are in one commit: whatever becomes of commits, there are as many of the one as of the other.</summary>
    [Fact]
    public void StoreWithTrouble_CountsEachUseWithItsLease() => Seeds.Run(20, seed =>
    {
        var random = new Random(seed);
        using var network = new SimulatedNetwork(seed) { IsDirectBlocked = true };
        network.StartServer(options => options with { AllowKeyOnly = null });
        InvitationToken token = Wait(AskedOf(network, desk => desk.CreateAsync(Wanted() with { MaxUses = 5 })));
        network.Store.Fault = _ => random.Next(3) == 0
            ? random.GetItems([StoreFault.Unavailable, StoreFault.AnswerLost, StoreFault.CommitLost], 1)[0]
            : StoreFault.None;
        for (int i = 0; i < 12; i++)
        {
            network.AddClient($"n{i}", change: options => options with { Invitation = token });
            network.Run(TimeSpan.FromMilliseconds(random.Next(2000)));
            if (random.Next(6) != 0)
                continue;
            network.Kill(network.Server);
            network.StartServer(options => options with { AllowKeyOnly = null });
        }

        network.Run(TimeSpan.FromMinutes(2));
        network.Store.Fault = null;
        network.Run(TimeSpan.FromMinutes(2));
        InvitationRecord record = Assert.Single(Records(network));
        Assert.InRange(record.Uses, 1, 5);
        Assert.Equal(record.Uses, network.SavedLeases.Count(lease => lease.Invitation == token.Id));
        Assert.Equal(record.Uses, network.SavedLeases.Count);
    });

    [Fact]
    public void OtherServer_UsesItUp_AndWhoWaitsHereIsRefused()
    {
        Start();
        InvitationToken token = Invite(maxUses: 1);
        var other = new Leases([SimulatedNetwork.Parse("10.0.0.1/24")], serverName: "hub");
        other.TakeOver(_network.Store.Contents.ChangesAfter(0));
        using PrivateKey key = _network.NewKey();
        Assert.Null(other.Invitations.Check(token, _network.Time.GetUtcNow()));
        Assert.True(other.Acquire(key.PublicKey, "elsewhere", [], _network.Time.GetUtcNow(), token.Id).Granted);
        _network.Store.Contents = _network.Store.Contents.Apply(other.Plan(), out _);

        Assert.Contains("used up", RefusalOf(Join("bob", token)).Message, StringComparison.Ordinal);
        Assert.Equal("elsewhere", Assert.Single(_network.SavedLeases).Name);
        Assert.Equal(1, Assert.Single(Saved).Uses);
    }

    [Fact]
    public void Registration_ThatIsSentAgain_CountsOnce()
    {
        Start();
        InvitationToken token = Invite();
        SimulatedNode alice = Join("alice", token);
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));
        byte[] message = ControlMessageCodec.Encode(new RegisterMessage { Name = "alice", Invitation = token });
        byte[] frame = new byte[ControlFrame.MaximumLength];
        for (uint conversation = 1; conversation <= 5; conversation++)
        {
            int length = new ControlFrame(ControlFrameKind.Data, conversation, 1, message).Write(frame);
            _network.Server.Node.Plane.TryPostControlFrame(_network.Server.Peer("alice").Link!, frame.AsSpan(0, length));
            _network.Server.MarkReady();
            _network.Settle();
        }

        _network.Run(Soon);
        Assert.Equal(1, Assert.Single(Saved).Uses);
        Assert.Single(_network.SavedLeases);
    }

    /// <summary>Who could not use its address at first comes back with the same key, and needs no other invitation for one.</summary>
    [Fact]
    public void InvitationForOne_IsEnoughForAMachineThatHasToTryTwice()
    {
        Start();
        InvitationToken token = Invite(maxUses: 1);
        PrivateKey key = _network.NewKey();
        string text = key.Reveal();
        SimulatedNode alice = Join("alice", token, key);
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));
        alice.Client.Session!.Send(new LeaveMessage { Reason = LeaveReason.Unusable });
        alice.MarkReady();
        Assert.True(_network.RunUntil(() => !_network.Server.Peer("alice").Online, Soon));
        _network.Kill(alice);
        _network.Run(TimeSpan.FromHours(1));

        Assert.True(PrivateKey.TryParse(text, out PrivateKey? same));
        SimulatedNode again = Join("alice", token, same);
        Assert.True(_network.RunUntil(() => again.IsUp, Soon));
    }

    /// <summary>As the version before this one left it: an entry of the network that does not speak of invitations.</summary>
    [Fact]
    public void NetworkOfAnEarlierVersion_GoesOnWithItsKey_AndSaysSo_UntilItsOwnerEndsThat()
    {
        _network.Store.Contents = LeaseCodec.ToContents("hub", 2, []);
        Start();
        Assert.Contains(_network.Server.LogLines, line => line.Contains("-AllowKeyOnly:$false", StringComparison.Ordinal));
        PrivateKey key = _network.NewKey();
        string text = key.Reveal();
        SimulatedNode alice = _network.AddClient("alice", identity: key);
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));
        InvitationToken token = Invite(maxUses: 1);
        SimulatedNode bob = Join("bob", token);
        Assert.True(_network.RunUntil(() => bob.IsUp, Soon));
        Assert.Contains("used up", RefusalOf(Join("carol", token)).Message, StringComparison.Ordinal);
        _network.Kill(alice);
        _network.Kill(_network.Server);

        _network.StartServer(options => options with { AllowKeyOnly = false });
        Assert.DoesNotContain(_network.Server.LogLines, line => line.Contains("-AllowKeyOnly", StringComparison.Ordinal));
        Assert.True(PrivateKey.TryParse(text, out PrivateKey? same));
        SimulatedNode again = _network.AddClient("alice", identity: same);
        Assert.True(_network.RunUntil(() => again.IsUp, Soon));
        Assert.Equal(LightTunnelError.InvitationRefused, RefusalOf(_network.AddClient("dave")).Error);
    }

    private void Start() => _network.StartServer(options => options with { AllowKeyOnly = null });

    private IReadOnlyList<InvitationRecord> Saved => Records(_network);

    private static IReadOnlyList<InvitationRecord> Records(SimulatedNetwork network) =>
    [
        .. network.Store.Contents.Entries
            .Select(entry => InvitationRecord.TryRead(entry, out InvitationRecord? record) ? record : null).OfType<InvitationRecord>(),
    ];

    private SimulatedNode Join(string name, InvitationToken token, PrivateKey? key = null) =>
        _network.AddClient(name, identity: key, change: options => options with { Invitation = token });

    private InvitationToken Invite(int maxUses = 0, DateTimeOffset? expires = null, string name = "") =>
        Wait(Asked(() => Desk.CreateAsync(Wanted(name) with { Expires = expires, MaxUses = maxUses })));

    private static InvitationRecord Wanted(string name = "") =>
        new() { Id = 0, Digest = [], Created = default, Name = name, MadeBy = "root" };

    private void Remove(uint id) => Wait(Asked(() => Desk.RemoveAsync(id, "admin")));

    private T Asked<T>(Func<T> question)
        where T : Task => AskedOf(_network, _ => question());

    private static T AskedOf<T>(SimulatedNetwork network, Func<InvitationDesk, T> question)
        where T : Task
    {
        SimulatedNode server = network.Server;
        Task<T> asked = server.Node.AskAsync(() => question(((ServerRole)server.Node.Role).Invitations));
        network.Settle();
        return Wait(asked);
    }

    /// <summary>What the control loop has done already reaches its asker on another thread.</summary>
    private static T Wait<T>(Task<T> task)
    {
        Wait((Task)task);
        return task.GetAwaiter().GetResult();
    }

    private static void Wait(Task task)
    {
        Assert.True(((IAsyncResult)task).AsyncWaitHandle.WaitOne(TimeSpan.FromMinutes(2)));
        task.GetAwaiter().GetResult();
    }

    private LightTunnelException RefusalOf(SimulatedNode node)
    {
        Assert.True(_network.RunUntil(() => node.Client.Connected.IsFaulted, Soon));
        return Assert.IsType<LightTunnelException>(node.Client.Connected.Exception!.InnerException);
    }
}
