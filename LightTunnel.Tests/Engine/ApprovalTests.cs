using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Server;
using LightTunnel.Membership;
using LightTunnel.Membership.Store;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>Where an admin approves who becomes a member, nobody gains anything before that, by whatever means.</summary>
public sealed class ApprovalTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(5);

    private readonly SimulatedNetwork _network = new();
    private readonly SimulatedNode _alice;

    public ApprovalTests()
    {
        _network.StartServer(options => options with { AllowKeyOnly = null });
        InvitationToken token = Invite();
        _alice = Join("alice", token);
        Assert.True(_network.RunUntil(() => _alice.IsUp, Soon));
        _network.Run(TimeSpan.FromMinutes(3));
        Restart();
    }

    private ServerRole Role => (ServerRole)_network.Server.Node.Role;

    private MemberAdministration Administration => Role.Administration;

    public void Dispose() => _network.Dispose();

    [Fact]
    public void Newcomer_Waits_ReachesNothing_LearnsOfNobody_AndJoinsAtOnceWhenItIsApproved()
    {
        InvitationToken token = Invite(maxUses: 1);
        SimulatedNode bob = Join("bob", token);
        Assert.True(_network.RunUntil(() => bob.Client.Connected.IsCompletedSuccessfully, Soon));
        Assert.Equal(TunnelState.AwaitingApproval, bob.Node.State);
        Assert.Contains("waits for an administrator of the network to approve it", bob.Node.LastError, StringComparison.Ordinal);
        Assert.Contains("Approve-LtMember", bob.Node.LastError, StringComparison.Ordinal);

        _network.Run(TimeSpan.FromMinutes(2));
        MemberStatus waiting = Status("bob");
        Assert.Equal((MemberState.Pending, InvitationRecord.TextOf(token.Id)), (waiting.State, waiting.Invitation));
        Assert.Empty(waiting.Addresses);
        Assert.NotNull(waiting.Endpoint);
        AssertKnowsNobody(bob);
        Assert.Equal(0, Uses(token));

        Assert.True(Change(MemberChangeKind.Approve, waiting.PublicKey).IsCompletedSuccessfully);
        Assert.True(_network.RunUntil(() => bob.IsUp, TimeSpan.FromSeconds(2)));
        Assert.Null(bob.Node.LastError);
        Assert.True(_network.RunUntil(() => _alice.Members.Any(member => member is { Name: "bob", DirectPath: not null }), Soon));
        AssertPasses(bob, _alice);
        Assert.Equal((MemberState.Online, 1), (Status("bob").State, Uses(token)));
        Assert.Equal(
            [AuditAction.ApprovalAsked, AuditAction.Approved],
            _network.Server.Log.Audited.Read(0).Where(entry => entry.Subject == "bob").Select(entry => entry.Action).Take(2));
        Assert.DoesNotContain(_network.Store.Contents.Entries, IsApplicant);
    }

    [Fact]
    public void MembersFromBefore_StayMembers()
    {
        Assert.True(_network.RunUntil(() => _alice.IsUp && Status("alice").State == MemberState.Online, TimeSpan.FromMinutes(1)));
        AssertPasses(_alice, _network.Server);
        Assert.Equal(MemberState.Online, Status("alice").State);
    }

    [Fact]
    public void WhoWaits_StillDoesAfterAKillOfTheServer_AndIsFoundThere()
    {
        InvitationToken token = Invite(maxUses: 1);
        SimulatedNode bob = Join("bob", token);
        Assert.True(_network.RunUntil(() => bob.Node.State == TunnelState.AwaitingApproval, Soon));
        _network.Settle();
        _network.Kill(_network.Server);
        Restart();
        Assert.Equal(MemberState.Pending, Status("bob").State);

        Change(MemberChangeKind.Approve, Status("bob").PublicKey);
        Assert.True(_network.RunUntil(() => bob.IsUp, TimeSpan.FromMinutes(2)));
        Assert.Equal(1, Uses(token));
    }

    [Fact]
    public void Denied_IsToldSo_AsksRarely_AndCanBeApprovedNevertheless()
    {
        SimulatedNode bob = Join("bob", Invite());
        Assert.True(_network.RunUntil(() => bob.Node.State == TunnelState.AwaitingApproval, Soon));
        string key = Status("bob").PublicKey;
        Assert.True(Change(MemberChangeKind.Deny, key).IsCompletedSuccessfully);
        Assert.True(_network.RunUntil(() => bob.Node.LastError!.Contains("has denied this machine", StringComparison.Ordinal), Soon));
        Assert.Equal(MemberState.Denied, Status("bob").State);

        int sent = 0;
        _network.Filter = (in from, in _, _) =>
        {
            sent += from == bob.Endpoint ? 1 : 0;
            return true;
        };
        _network.Run(TimeSpan.FromHours(1));
        _network.Filter = null;
        Assert.InRange(sent, 1, 60);
        AssertKnowsNobody(bob);

        Change(MemberChangeKind.Approve, key);
        Assert.True(_network.RunUntil(() => bob.IsUp, TimeSpan.FromMinutes(12)));
    }

    [Fact]
    public void Removed_AsksAnew_AndABlockedOneIsHeardNoMore()
    {
        SimulatedNode bob = Join("bob", Invite());
        Assert.True(_network.RunUntil(() => bob.Node.State == TunnelState.AwaitingApproval, Soon));
        string key = Status("bob").PublicKey;
        Change(MemberChangeKind.Deny, key);
        Change(MemberChangeKind.Remove, key);
        Assert.True(_network.RunUntil(
            () => Administration.List().Any(member => member.PublicKey == key && member.State == MemberState.Pending),
            TimeSpan.FromMinutes(12)));

        Change(MemberChangeKind.Block, key);
        _network.Run(TimeSpan.FromMinutes(1));
        Assert.Equal(MemberState.Blocked, Status("bob").State);
        Assert.Null(_network.Server.Node.Links.Find(bob.Node.Links.PublicKey));
    }

    /// <summary>Written against the wire: it has a link, and sends all that members send, and what only servers do.</summary>
    [Fact]
    public void HostileNewcomer_GainsNothingByAnyMessage_NorByReplays()
    {
        InvitationToken token = Invite();
        SimulatedNode mallory = Join("mallory", token);
        Assert.True(_network.RunUntil(() => mallory.Node.State == TunnelState.AwaitingApproval && _alice.IsUp, TimeSpan.FromMinutes(1)));
        uint aliceId = _network.Server.Peer("alice").MemberId;
        var register = new RegisterMessage { Name = "mallory", Invitation = token };
        ControlMessage[] tries =
        [
            register,
            new RegisteredMessage
            {
                MemberId = aliceId, NetworkName = "hub", ServerName = "hub", Mtu = 1400,
                Addresses = [SimulatedNetwork.Parse("10.0.0.2/24")], ServerAddresses = [_network.Server.Address],
            },
            new FindMessage { Subjects = [MemberSubject.Of(_alice.Address)] },
            new ListMessage { Question = 1, Pattern = "*" },
            new IntroduceMessage { MemberId = aliceId, Reachability = new Reachability() },
            new ReachabilityMessage { Reachability = new Reachability() },
            register,
            register,
        ];
        for (uint conversation = 101; conversation < 160; conversation += 2)
        {
            uint number = 1;
            foreach (ControlMessage message in tries)
            {
                uint next = number++;
                uint within = conversation;
                mallory.Node.Post(() =>
                {
                    byte[] frame = new byte[ControlFrame.MaximumLength];
                    int length = new ControlFrame(ControlFrameKind.Data, within, next, ControlMessageCodec.Encode(message)).Write(frame);
                    Link link = mallory.Client.Server.Link!;
                    link.Path = new(_network.Server.Endpoint);
                    mallory.Node.Sender.Frame(link, frame.AsSpan(0, length));
                });
                mallory.MarkReady();
            }

            _network.Run(TimeSpan.FromMilliseconds(500));
        }

        Assert.Contains(
            _network.Server.Log.ReadSecurity(), entry => entry.Message.Contains("registers again and again", StringComparison.Ordinal));
        Assert.Equal((MemberState.Pending, 0), (Status("mallory").State, Uses(token)));
        AssertKnowsNobody(mallory);
        Assert.Single(_network.Store.Contents.Entries, IsApplicant);
        Assert.Single(_network.SavedLeases);

        // Approved, the use is counted once, however often what it sent before comes again.
        Change(MemberChangeKind.Approve, Status("mallory").PublicKey);
        Assert.True(_network.RunUntil(() => mallory.IsUp, TimeSpan.FromMinutes(1)));
        _network.Run(TimeSpan.FromMinutes(1));
        Assert.Equal(1, Uses(token));
        Assert.Equal(2, _network.SavedLeases.Count);
    }

    [Fact]
    public void Approval_IsToldOfWhenItIsInTheStore_AndNotWhenItCannotBeSaved()
    {
        InvitationToken token = Invite(maxUses: 1);
        SimulatedNode bob = Join("bob", token);
        Assert.True(_network.RunUntil(() => bob.Node.State == TunnelState.AwaitingApproval, Soon));
        _network.Settle();
        string key = Status("bob").PublicKey;
        _network.Store.Failure = "No space left on device";
        Task failed = Change(MemberChangeKind.Approve, key);
        _network.Run(TimeSpan.FromMinutes(1));
        Assert.Contains("No space left", failed.Exception!.InnerException!.Message, StringComparison.Ordinal);
        Assert.Equal((MemberState.Pending, 0), (Status("bob").State, Uses(token)));
        Assert.False(bob.IsUp);
        _network.Store.Failure = null;
        _network.Run(TimeSpan.FromMinutes(1));

        _network.Store.IsSlow = true;
        Task approved = Change(MemberChangeKind.Approve, key);
        _network.Run(TimeSpan.FromSeconds(30));
        Assert.False(approved.IsCompleted || bob.IsUp);
        _network.Store.IsSlow = false;
        _network.Store.Release();
        Assert.True(_network.RunUntil(() => bob.IsUp, TimeSpan.FromMinutes(1)));
        Assert.Equal(1, Uses(token));
    }

    [Fact]
    public void MemberThatWasRemoved_WaitsLikeAnybody_AndLetsGoOfOthers()
    {
        Assert.True(_network.RunUntil(() => _alice.IsUp, TimeSpan.FromMinutes(1)));
        SimulatedNode bob = Join("bob", Invite());
        Assert.True(_network.RunUntil(() => bob.Node.State == TunnelState.AwaitingApproval, Soon));
        Change(MemberChangeKind.Approve, Status("bob").PublicKey);
        Assert.True(_network.RunUntil(() => bob.IsUp && bob.Members.Any(), Soon));
        Change(MemberChangeKind.Remove, Status("bob").PublicKey);

        Assert.True(_network.RunUntil(() => bob.Node.State == TunnelState.AwaitingApproval, TimeSpan.FromMinutes(2)));
        _network.Run(Soon);
        AssertKnowsNobody(bob);
        Assert.Equal(MemberState.Pending, Status("bob").State);
    }

    [Fact]
    public void AddressThatIsTaken_IsRefusedBeforeAnybodyIsBothered()
    {
        SimulatedNode bob = Join("bob", Invite(), "10.0.0.2");
        Assert.True(_network.RunUntil(() => bob.Client.Connected.IsFaulted, Soon));
        Assert.DoesNotContain(Administration.List(), member => member.Name == "bob");
    }

    private static bool IsApplicant(StoreEntry entry) => StoreKeys.TryReadApplicant(entry.Key, out _) && entry.Value is not null;

    private void Restart()
    {
        _network.Kill(_network.Server);
        _network.StartServer(options => options with { AllowKeyOnly = null, RequireApproval = true });
    }

    private MemberStatus Status(string name) => Administration.List().Single(member => member.Name == name);

    private int Uses(InvitationToken token) => Role.Invitations.All.Single(record => record.Id == token.Id).Uses;

    private SimulatedNode Join(string name, InvitationToken token, string? address = null) =>
        _network.AddClient(name, address, change: options => options with { Invitation = token });

    private InvitationToken Invite(int maxUses = 0)
    {
        Task<Task<InvitationToken>> asked = _network.Server.Node.AskAsync(() => Role.Invitations.CreateAsync(
            new InvitationRecord { Id = 0, Digest = [], Created = default, MadeBy = "root", MaxUses = maxUses }));
        _network.Settle();
        return Wait(Wait(asked));
    }

    /// <summary>What the control loop has done already reaches its asker on another thread.</summary>
    private static T Wait<T>(Task<T> task)
    {
        Assert.True(((IAsyncResult)task).AsyncWaitHandle.WaitOne(TimeSpan.FromMinutes(2)));
        return task.GetAwaiter().GetResult();
    }

    private Task Change(MemberChangeKind kind, string key)
    {
        Task? changed = null;
        _network.Server.Node.Post(() => changed = Administration.ChangeAsync(new MemberChange(kind, key, "admin")));
        _network.Settle();
        return changed!;
    }

    private void AssertPasses(SimulatedNode from, SimulatedNode to)
    {
        to.TakeReceived();
        from.Send(to.Address, "passes");
        Assert.True(_network.RunUntil(() => to.TakeReceived().Contains("passes"), Soon));
    }

    /// <summary>It knows no member and has no address, no member knows it, and nothing that it sends arrives.</summary>
    private void AssertKnowsNobody(SimulatedNode newcomer)
    {
        Assert.Empty(newcomer.Members);
        Assert.DoesNotContain(_alice.Members, member => member.Key == newcomer.Node.Links.PublicKey);
        Assert.DoesNotContain(_network.Server.Node.Peers, peer => peer.Key == newcomer.Node.Links.PublicKey);
        Assert.Null(_alice.Node.Links.Find(newcomer.Node.Links.PublicKey));
        _alice.TakeReceived();
        _network.Server.TakeReceived();
        newcomer.Send(_network.Server.Address, "from nobody", source: SimulatedNetwork.Parse("10.0.0.200/24").Address);
        newcomer.Send(_alice.Address, "from nobody", source: SimulatedNetwork.Parse("10.0.0.200/24").Address);
        _network.Run(Soon);
        Assert.DoesNotContain("from nobody", _alice.TakeReceived());
        Assert.DoesNotContain("from nobody", _network.Server.TakeReceived());
    }
}
