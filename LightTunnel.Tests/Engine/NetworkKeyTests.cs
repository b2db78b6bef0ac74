using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Server;
using LightTunnel.Membership;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>The network's key is changed: who follows, who comes in later, who does not any more, and what a restart finds.</summary>
public sealed class NetworkKeyTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Grace = TimeSpan.FromHours(5);

    /// <summary>Each link has agreed on new keys by then.</summary>
    private static readonly TimeSpan Rekeyed = TimeSpan.FromSeconds(150);

    private readonly SimulatedNetwork _network = new();
    private readonly Dictionary<string, (PrivateKey Identity, MemoryKeyStore Keys)> _members = [];

    public void Dispose() => _network.Dispose();

    [Theory]
    [InlineData(false, 5)]
    [InlineData(true, 5)]
    [InlineData(true, 0)]
    [InlineData(false, 0)]
    public void OnlineMembers_Follow_AndLoseNoPacket(bool isDirectBlocked, int graceHours)
    {
        _network.IsDirectBlocked = isDirectBlocked;
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = Join("alice");
        SimulatedNode bob = Join("bob");
        SimulatedNode[] all = [server, alice, bob];
        foreach (SimulatedNode from in all)
        {
            foreach (SimulatedNode to in all.Where(other => other != from))
                _network.AssertPasses(from, to);
        }

        var lost = new Packets(_network);
        lost.Talk(all, TimeSpan.FromSeconds(2));
        NetworkKeyReport report = _network.ChangeKey(TimeSpan.FromHours(graceHours));
        lost.Talk(all, TimeSpan.FromSeconds(2));

        Assert.Equal(["alice", "bob"], _network.Followers(report).MembersFollowed);
        Assert.Empty(_network.Followers(report).MembersWaiting);
        Assert.NotEqual(0, _network.KeyNumber());
        foreach ((PrivateKey _, MemoryKeyStore keys) in _members.Values)
        {
            Assert.Equal(_network.KeyStore.Keys.Key, keys.Keys.Key);
            Assert.Equal(graceHours == 0 ? 0 : 1, keys.Keys.Former.Count);
        }

        lost.Talk(all, Rekeyed);
        lost.AssertNone();
        Assert.Equal(_network.KeyNumber(), alice.AgreedWith("bob"));
        Assert.Equal(_network.KeyNumber(), server.AgreedWith("alice"));
        Assert.Equal(0, all.Sum(node => node.Node.Links.Counters[LinkEvent.ResponseForged]));
        Assert.Contains(_network.Server.Log.Audited.Read(0), entry => entry is { Action: AuditAction.NetworkKeyChanged, By: "admin" });
    }

    [Fact]
    public void OfflineMember_ComesInByItsKnownKey_IsToldTheNextOne_AndTalksToAll()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = Join("alice");
        Join("bob");
        Stop("bob");
        NetworkKeyReport report = _network.ChangeKey(Grace);
        Assert.True(_network.RunUntil(() => _network.HasKey("alice"), Soon));
        Assert.Equal(["bob"], _network.Followers(report).MembersWaiting);
        Assert.False(_network.HasKey("bob"));

        // Somebody new has the next key only.
        SimulatedNode carol = Join("carol", key: _network.CurrentKey());
        SimulatedNode bob = Join("bob");
        Assert.True(_network.RunUntil(() => _network.HasKey("bob"), Soon));
        _network.Run(Soon); // Others notice that it is another process now.
        foreach (SimulatedNode from in new[] { server, alice, bob, carol })
        {
            foreach (SimulatedNode to in new[] { server, alice, bob, carol }.Where(other => other != from))
                _network.AssertPasses(from, to, TimeSpan.FromSeconds(1));
        }

        // It was tried with no key that did not fit.
        Assert.Equal(0, bob.Node.Links.Counters[LinkEvent.ResponseForged]);
        Assert.Equal(0, carol.Node.Links.Counters[LinkEvent.ResponseForged]);
        Assert.True(_network.RunUntil(() => bob.Member("carol").DirectPath is not null, Soon));
        Assert.True(_network.RunUntil(() => bob.Member("alice").DirectPath is not null, Soon));
    }

    [Fact]
    public void AfterTheGracePeriod_TheFormerKeyIsNowhere_AndWhoHasNoOtherIsToldWhatToDo()
    {
        _network.StartServer();
        Join("alice");
        Join("bob");
        byte[] former = [.. _network.KeyStore.Keys.Key];
        Stop("bob");
        _network.ChangeKey(Grace);
        _network.Run(Grace - TimeSpan.FromHours(1));
        Assert.Single(_network.KeyStore.Keys.Former);
        _network.Run(TimeSpan.FromHours(2));

        Assert.Empty(_network.KeyStore.Keys.Former);
        Assert.Empty(_members["alice"].Keys.Keys.Former);
        Assert.False(_network.KeyStore.Keys.Has(former));
        Assert.Contains(_network.Server.LogLines, line => line.Contains("1 members have no other", StringComparison.Ordinal)
            && line.Contains("bob", StringComparison.Ordinal));

        SimulatedNode late = Start("bob");
        Assert.True(_network.RunUntil(() => late.Client.Connected.IsFaulted, Soon));
        var failure = Assert.IsType<LightTunnelException>(late.Client.Connected.Exception!.InnerException);
        Assert.Equal(LightTunnelError.InvalidKey, failure.Error);
        Assert.Contains("New-LtInvitation", failure.RecommendedAction, StringComparison.Ordinal);
        _network.Kill(late);

        // With a new invitation it is who it was.
        _members["bob"].Keys.Restore(new NetworkKeySet { Key = [.. _network.KeyStore.Keys.Key] });
        SimulatedNode back = Join("bob");
        Assert.Equal("10.0.0.3", back.Address.ToString());
        Assert.True(_network.RunUntil(() => _network.HasKey("bob"), Soon));
    }

    /// <summary>A tunnel that was cut off all the while, and runs on.</summary>
    [Fact]
    public void WhoIsCutOffUntilTheGracePeriodIsOver_IsToldWhatToDo()
    {
        _network.StartServer();
        SimulatedNode alice = Join("alice");
        _network.Filter = (in from, in to, _) => from != alice.Endpoint && to != alice.Endpoint;
        _network.ChangeKey(TimeSpan.Zero);
        _network.Run(TimeSpan.FromMinutes(10));
        _network.Filter = null;
        Assert.True(_network.RunUntil(
            () => alice.Node.LastError?.Contains("New-LtInvitation", StringComparison.Ordinal) == true, TimeSpan.FromMinutes(3)));
        Assert.Equal(TunnelState.Reconnecting, alice.Node.State);
    }

    [Fact]
    public void MemberThatWasOfflineThroughTwoChanges_ComesIn()
    {
        _network.StartServer();
        SimulatedNode alice = Join("alice");
        Join("bob");
        Stop("bob");
        _network.ChangeKey(Grace);
        _network.Run(TimeSpan.FromMinutes(5));
        SimulatedNode carol = Join("carol", key: _network.CurrentKey());
        _network.ChangeKey(Grace);
        _network.Run(TimeSpan.FromMinutes(5));

        SimulatedNode bob = Join("bob");
        Assert.True(_network.RunUntil(() => _network.HasKey("bob"), Soon));
        _network.AssertPasses(bob, alice, TimeSpan.FromSeconds(1));
        _network.AssertPasses(bob, carol, TimeSpan.FromSeconds(1));
        Assert.Equal(0, bob.Node.Links.Counters[LinkEvent.ResponseForged]);
        Assert.Equal(2, _network.KeyStore.Keys.Former.Count);
    }

    [Fact]
    public void MoreKeysThanCanBeGoodAtOnce_AreRefused_UntilAllEnd()
    {
        _network.StartServer();
        Join("alice");
        for (int i = 0; i < NetworkKeySet.MostFormer; i++)
            _network.ChangeKey(Grace);
        LightTunnelException refused = Assert.Throws<LightTunnelException>(() => _network.ChangeKey(Grace));
        Assert.Contains("-GracePeriod 0", refused.RecommendedAction, StringComparison.Ordinal);

        NetworkKeyReport report = _network.ChangeKey(TimeSpan.Zero);
        Assert.Null(report.GraceEnds);
        Assert.Empty(_network.KeyStore.Keys.Former);
        Assert.True(_network.RunUntil(() => _network.HasKey("alice"), Soon));
        foreach (TimeSpan wrong in new[] { TimeSpan.FromSeconds(-1), TimeSpan.FromDays(5000) })
            Assert.Equal(wrong, Assert.Throws<LightTunnelException>(() => _network.ChangeKey(wrong)).Target);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void MemberThatWasPutBackToABackup_ComesInWithinTheGracePeriod_AndNotAfterwards(bool isLate)
    {
        _network.StartServer();
        Join("alice");
        NetworkKeySet backup = _members["alice"].Keys.Load();
        _network.ChangeKey(Grace);
        Assert.True(_network.RunUntil(() => _network.HasKey("alice"), Soon));
        Stop("alice");
        _members["alice"].Keys.Restore(backup);
        if (isLate)
            _network.Run(Grace + TimeSpan.FromHours(1));

        SimulatedNode again = Start("alice");
        Assert.True(_network.RunUntil(() => again.IsUp || again.Client.Connected.IsFaulted, TimeSpan.FromMinutes(1)));
        Assert.Equal(!isLate, again.IsUp);
        if (isLate)
            return;
        Assert.True(_network.RunUntil(() => _members["alice"].Keys.Keys.Number == _network.KeyNumber(), Soon));
        Assert.True(_network.HasKey("alice"));
    }

    /// <summary>The server as it was before the change, with members that have followed it.</summary>
    [Fact]
    public void ServerThatWasPutBackToABackup_IsFollowed_AndItsNextKeyIsAnotherOne()
    {
        _network.StartServer();
        Join("alice");
        NetworkKeySet backup = _network.KeyStore.Load();
        _network.ChangeKey(Grace);
        Assert.True(_network.RunUntil(() => _network.HasKey("alice"), Soon));
        int lost = _network.KeyNumber();
        _network.Kill(_network.Server);
        _network.KeyStore.Restore(backup);
        _network.StartServer();

        SimulatedNode alice = _network.Nodes.Single(node => node.Name == "alice");
        Assert.True(_network.RunUntil(() => alice.Node.NetworkKeys.Number == 0, TimeSpan.FromMinutes(3)));
        _network.Run(TimeSpan.FromMinutes(2));
        _network.ChangeKey(Grace);
        Assert.NotEqual(lost, _network.KeyNumber());
        Assert.True(_network.RunUntil(() => _network.HasKey("alice"), Soon));
        Assert.Equal(_network.KeyStore.Keys.Key, alice.Node.NetworkKeys.Newest.Key.Bytes);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void ServerKilledInTheMidst_HasChangedItOrNot_AndEverybodyComesBack(bool isKept)
    {
        SimulatedNode server = _network.StartServer(options => options with { AllowKeyOnly = false });
        InvitationToken token = Invite();
        Join("alice", change: KeyNetwork.By(token));
        byte[] before = [.. _network.KeyStore.Keys.Key];
        _network.KeyStore.LosesAnswers = isKept;
        _network.KeyStore.Failure = isKept ? null : "No space left on device";
        Task<NetworkKeyReport> changing = _network.BeginKeyChange(Grace);
        if (!isKept)
        {
            Assert.Contains(
                "No space left", Assert.Throws<LightTunnelException>(() => changing.GetAwaiter().GetResult()).Message,
                StringComparison.Ordinal);
            Assert.Equal(before, server.Node.NetworkKeys.Newest.Key.Bytes);
        }

        _network.Kill(server);
        (_network.KeyStore.LosesAnswers, _network.KeyStore.Failure) = (false, null);
        Assert.Equal(!isKept, _network.KeyStore.Keys.Has(before));
        _network.StartServer(options => options with { AllowKeyOnly = false });
        SimulatedNode alice = _network.Nodes.Single(node => node.Name == "alice");
        Assert.True(_network.RunUntil(
            () => alice.IsUp && alice.Node.NetworkKeys.Number == _network.KeyNumber() && _network.HasKey("alice"),
            TimeSpan.FromMinutes(3)));
        _network.Run(Soon);

        // Its invitations have ended, if they have the former key.
        InvitationRecord record = Assert.Single(_network.Store.Contents.Entries
            .Select(entry => InvitationRecord.TryRead(entry, out InvitationRecord? read) ? read : null).OfType<InvitationRecord>());
        Assert.Equal(isKept, record.Removed is not null);
    }

    [Fact]
    public void MemberKilledBeforeItHasKeptTheKey_ComesInByTheOneBefore()
    {
        _network.StartServer();
        Join("alice");
        _members["alice"].Keys.Failure = "No space left on device";
        _members["alice"].Keys.LosesAnswers = true; // A disk that is full is tried again until it is not.
        _network.ChangeKey(Grace);
        _network.Run(Soon);
        Assert.False(_network.HasKey("alice"));
        _network.Kill(_network.Nodes.Single(node => node.Name == "alice"));

        (_members["alice"].Keys.Failure, _members["alice"].Keys.LosesAnswers) = (null, false);
        SimulatedNode again = Join("alice");
        Assert.Equal(0, again.Node.Links.Counters[LinkEvent.ResponseForged]);
        Assert.True(_network.RunUntil(() => _network.HasKey("alice"), Soon));
    }

    [Fact]
    public void Applicant_WaitsOnThroughTheChange_AndIsToldTheKeyWhenItIsApproved()
    {
        _network.StartServer(options => options with { RequireApproval = true });
        SimulatedNode alice = Start("alice");
        Assert.True(_network.RunUntil(() => alice.Node.State == TunnelState.AwaitingApproval, Soon));
        _network.ChangeKey(Grace);
        _network.Run(TimeSpan.FromMinutes(10));
        Assert.Equal(0, alice.Node.NetworkKeys.Number); // Nobody who is no member is told.

        _network.Change(MemberChangeKind.Approve, alice.Node.Links.PublicKey);
        Assert.True(_network.RunUntil(() => alice.IsUp && _network.HasKey("alice"), TimeSpan.FromMinutes(1)));
    }

    [Fact]
    public void RestartsOfAll_FindWhatWasKept()
    {
        _network.StartServer();
        Join("alice");
        _network.ChangeKey(Grace);
        Assert.True(_network.RunUntil(() => _network.HasKey("alice"), Soon));
        _network.Run(Soon);
        int number = _network.KeyNumber();
        Stop("alice");
        _network.Stop(_network.Server);
        _network.StartServer();
        Assert.Equal(number, _network.KeyNumber());
        Assert.True(_network.HasKey("alice"));
        int kept = _members["alice"].Keys.Count;

        SimulatedNode again = Join("alice");
        Assert.Equal(0, again.Node.Links.Counters[LinkEvent.ResponseForged]);
        Assert.Equal(number, _network.Server.AgreedWith("alice"));
        _network.Run(Soon);
        Assert.Equal(kept, _members["alice"].Keys.Count); // Nothing is told twice.
    }

    private InvitationToken Invite()
    {
        Task<InvitationToken>? making = null;
        var wanted = new InvitationRecord { Id = 0, Digest = [], Created = default };
        _network.Server.Node.Post(() => making = ((ServerRole)_network.Server.Node.Role).Invitations.CreateAsync(wanted));
        _network.Settle();
        return making!.GetAwaiter().GetResult();
    }

    private SimulatedNode Join(string name, PresharedKey? key = null, Func<ClientOptions, ClientOptions>? change = null)
    {
        SimulatedNode node = Start(name, key, change);
        Assert.True(_network.RunUntil(() => node.IsUp, TimeSpan.FromMinutes(1)), string.Join('\n', node.LogLines));
        return node;
    }

    private SimulatedNode Start(string name, PresharedKey? key = null, Func<ClientOptions, ClientOptions>? change = null)
    {
        if (!_members.TryGetValue(name, out (PrivateKey Identity, MemoryKeyStore Keys) member))
            _members[name] = member = (_network.NewKey(), (key ?? _network.NetworkKey).Keys());
        return _network.AddClient(name, identity: member.Identity, keys: member.Keys, change: change);
    }

    private void Stop(string name)
    {
        _network.Run(TimeSpan.FromMinutes(3)); // So that it counts as one that will come back.
        _network.Stop(_network.Nodes.Single(node => node.Name == name));
    }

    /// <summary>Packets that everybody sends everybody, each of which has to arrive.</summary>
    private sealed class Packets(SimulatedNetwork network)
    {
        private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

        private readonly HashSet<string> _under = [];
        private int _count;

        public void Talk(SimulatedNode[] all, TimeSpan duration)
        {
            for (TimeSpan passed = TimeSpan.Zero; passed < duration; passed += Interval)
            {
                foreach (SimulatedNode from in all)
                {
                    foreach (SimulatedNode to in all.Where(other => other != from))
                    {
                        string body = $"{from.Name} > {to.Name} {++_count}";
                        _under.Add(body);
                        from.Send(to.Address, body);
                    }
                }

                network.Run(Interval);
                foreach (SimulatedNode node in all)
                    _under.ExceptWith(node.TakeReceived());
            }
        }

        public void AssertNone() => Assert.Empty(_under);
    }
}
