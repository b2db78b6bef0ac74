using LightTunnel.Addressing;
using LightTunnel.Engine.Server;
using LightTunnel.Internet.Fakes;
using LightTunnel.Membership;
using LightTunnel.Membership.Store;
using LightTunnel.Tests.Simulation;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>
/// A client is told of its address when that is in the store, not before; and no trouble of the store gives an address away twice.
/// </summary>
public sealed class DurableLeaseTests : IDisposable
{
    private const string Full = "No space left on device";
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(4);

    private readonly SimulatedNetwork _network = new() { IsDirectBlocked = true };
    private string _aliceKey = string.Empty;

    private ServerRole Server => (ServerRole)_network.Server.Node.Role;

    private MemoryStore Store => _network.Store;

    public void Dispose() => _network.Dispose();

    [Fact]
    public void NewMember_IsAdmittedWhenItsLeaseIsInTheStore_AndNobodyIsToldOfItBefore()
    {
        SimulatedNode alice = StartWithAlice();
        Store.IsSlow = true;
        SimulatedNode bob = _network.AddClient("bob");
        _network.Run(Soon);
        Assert.False(bob.IsUp);
        Assert.DoesNotContain(alice.Node.Peers, peer => peer.Name == "bob");
        Assert.Equal(["alice"], SavedNames);

        Store.Release();
        Assert.Equal(["alice", "bob"], SavedNames);
        Assert.True(_network.RunUntil(() => bob.IsUp && alice.Node.Peers.Any(peer => peer.Name == "bob"), Soon));
    }

    [Fact]
    public void NewMember_ThatLeavesBeforeItsLeaseIsInTheStore_IsNotAdmitted()
    {
        SimulatedNode alice = StartWithAlice();
        Store.IsSlow = true;
        SimulatedNode bob = _network.AddClient("bob");
        _network.Run(Soon);
        _network.Stop(bob);
        _network.Settle();

        Store.Release();
        _network.Run(Soon);

        Assert.DoesNotContain(alice.Node.Peers, peer => peer is { Name: "bob", Online: true });
        Assert.DoesNotContain(_network.Server.Node.Peers, peer => peer is { Name: "bob", Online: true });
    }

    [Fact]
    public void KnownMember_ComesBack_WithoutWaitingForTheStore()
    {
        SimulatedNode alice = StartWithAlice();
        Store.IsSlow = true;
        _network.Stop(alice);
        SimulatedNode again = _network.AddClient("alice", identity: AliceKey());
        Assert.True(_network.RunUntil(() => again.IsUp, Soon));
        Assert.Equal("10.0.0.2", again.Address.ToString());
    }

    [Fact]
    public void DiskThatIsFull_RefusesNewMembers_KeepsThoseThatAreThere_AndGoesOnWhenItHasRoom()
    {
        SimulatedNode alice = StartWithAlice();
        Store.Failure = Full;
        SimulatedNode bob = _network.AddClient("bob");
        Assert.True(_network.RunUntil(() => bob.Client.Connected.IsFaulted, Soon));
        Assert.Contains(Full, bob.Client.Connected.Exception!.InnerException!.Message, StringComparison.Ordinal);
        Assert.Contains(Full, _network.Server.Node.LastError, StringComparison.Ordinal);
        SimulatedNode carol = _network.AddClient("carol");
        Assert.True(_network.RunUntil(() => carol.Client.Connected.IsFaulted, Soon));
        Assert.True(alice.IsUp);
        Assert.Equal(["alice"], Server.Peers.Select(peer => peer.Name));

        // It is tried again, more and more rarely.
        int before = Store.Commits;
        _network.Run(TimeSpan.FromMinutes(5));
        Assert.InRange(Store.Commits - before, 8, 15);
        Store.Failure = null;
        Assert.True(_network.RunUntil(() => _network.Server.Node.LastError is null, TimeSpan.FromSeconds(31)));
        Assert.Equal(["alice"], SavedNames);
        SimulatedNode dave = _network.AddClient("dave");
        Assert.True(_network.RunUntil(() => dave.IsUp, Soon));
        Assert.Equal(["alice", "dave"], SavedNames);
    }

    [Fact]
    public void MemberThatAsksForAnotherAddress_KeepsItsOwn_WhenThatCannotBeSaved()
    {
        SimulatedNode alice = StartWithAlice();
        _network.Stop(alice);
        Store.Failure = Full;
        SimulatedNode again = _network.AddClient("alice", "10.0.0.77", identity: AliceKey());
        Assert.True(_network.RunUntil(() => again.Client.Connected.IsFaulted, Soon));
        _network.Kill(again);

        SimulatedNode third = _network.AddClient("alice", identity: AliceKey());
        Assert.True(_network.RunUntil(() => third.IsUp, Soon));
        Assert.Equal("10.0.0.2", third.Address.ToString());
        Store.Failure = null;
        Assert.True(_network.RunUntil(() => _network.Server.Node.LastError is null, TimeSpan.FromSeconds(31)));
        Assert.Equal("10.0.0.2", Assert.Single(_network.SavedLeases).Addresses[0].ToString());
    }

    [Theory]
    [InlineData((int)StoreFault.AnswerLost)]
    [InlineData((int)StoreFault.CommitLost)]
    public void CommitOfWhichNothingIsHeard_IsSentAgain_AndMadeOnce(int fault)
    {
        StartWithAlice();
        long before = Store.Contents.Revision;
        var ids = new List<Guid>();
        Store.Fault = commit =>
        {
            ids.Add(commit.Id);
            return ids.Count == 1 ? (StoreFault)fault : StoreFault.None;
        };
        SimulatedNode bob = _network.AddClient("bob");
        Assert.True(_network.RunUntil(() => bob.IsUp, Soon));

        Assert.Equal(ids[0], ids[1]);
        Assert.Equal(before + 1, Store.Contents.Entries.Single(entry => entry.Key == "a/10.0.0.3").Revision);
        Assert.Null(_network.Server.Node.LastError);
    }

    [Fact]
    public void StoreThatIsNotHeardOf_RefusesNewMembers_AndItsCommitIsMadeWhenItIsBack()
    {
        StartWithAlice();
        Store.Fault = _ => StoreFault.CommitLost;
        PrivateKey key = _network.NewKey();
        string bobKey = key.Reveal();
        SimulatedNode bob = _network.AddClient("bob", identity: key);
        Assert.True(_network.RunUntil(() => bob.Client.Connected.IsFaulted, Soon));
        Assert.Contains("Nothing was heard of it", _network.Server.Node.LastError, StringComparison.Ordinal);

        // What is planned for it is not its own yet, however often it asks.
        _network.Kill(bob);
        Assert.True(PrivateKey.TryParse(bobKey, out PrivateKey? copy));
        SimulatedNode again = _network.AddClient("bob", identity: copy);
        Assert.True(_network.RunUntil(() => again.IsUp || again.Client.Connected.IsFaulted, Soon));
        Assert.False(again.IsUp);

        Store.Fault = null;
        Assert.True(_network.RunUntil(() => _network.Server.Node.LastError is null, TimeSpan.FromSeconds(31)));
        Assert.Equal(["alice", "bob"], SavedNames);
        SimulatedNode carol = _network.AddClient("carol");
        Assert.True(_network.RunUntil(() => carol.IsUp, Soon));
        Assert.Equal("10.0.0.4", carol.Address.ToString());
    }

    [Fact]
    public void AddressThatAnotherServerGaveAwayMeanwhile_IsLeftToIt_AndItsMemberIsKnownHere()
    {
        StartWithAlice();
        Store.IsSlow = true;
        SimulatedNode bob = _network.AddClient("bob");
        Assert.True(_network.RunUntil(() => Store.Waiting == 1, Soon));
        Assert.Equal("10.0.0.3", JoinElsewhere("theirs"));
        Store.IsSlow = false;
        Store.Release();

        Assert.True(_network.RunUntil(() => bob.IsUp, Soon));
        Assert.Equal("10.0.0.4", bob.Address.ToString());
        Assert.Equal(["alice", "bob", "theirs"], Server.Peers.Select(peer => peer.Name).Order(StringComparer.Ordinal));
        Assert.Equal(3, _network.SavedLeases.Select(lease => lease.MemberId).Distinct().Count());
    }

    [Fact]
    public void OtherServersThatAreAlwaysFaster_AreTriedEightTimes_ThenTheMemberIsRefused()
    {
        StartWithAlice();
        int others = 0;
        Store.Fault = commit =>
        {
            if (commit.Write.Any(write => write.Key.StartsWith("k/", StringComparison.Ordinal)))
                JoinElsewhere($"other{others++}");
            return StoreFault.None;
        };
        SimulatedNode bob = _network.AddClient("bob");
        Assert.True(_network.RunUntil(() => bob.Client.Connected.IsFaulted, Soon));
        Assert.Equal(9, others);
        Assert.Contains("Other servers", bob.Client.Connected.Exception!.InnerException!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void StoreThatLostCommits_GetsTheLeasesAgain_ButThoseThatSomebodyElseGotMeanwhile()
    {
        StartWithAlice();
        StoreContents earlier = Store.Contents;
        SimulatedNode bob = _network.AddClient("bob");
        Assert.True(_network.RunUntil(() => bob.IsUp, Soon));
        SimulatedNode carol = _network.AddClient("carol");
        Assert.True(_network.RunUntil(() => carol.IsUp, Soon));
        _network.Run(TimeSpan.FromSeconds(2));
        Store.Contents = earlier;
        Assert.Equal(bob.Address.ToString(), JoinElsewhere("theirs"));

        SimulatedNode dave = _network.AddClient("dave");
        Assert.True(_network.RunUntil(() => dave.IsUp, Soon));
        string[] all = ["alice", "bob", "carol", "dave", "theirs"];
        Assert.True(_network.RunUntil(() => SavedNames.SequenceEqual(all), Soon));
        Assert.Equal(5, _network.SavedLeases.SelectMany(lease => lease.Addresses).Distinct().Count());
        Assert.Equal(5, _network.SavedLeases.Select(lease => lease.MemberId).Distinct().Count());
        Assert.Equal(carol.Address, SavedAddressOf("carol"));
        Assert.True(_network.RunUntil(() => bob.IsUp && SavedAddressOf("bob") == bob.Address, Soon));
    }

    [Fact]
    public void StoreThatLostCommits_AndHasMoreThanBeforeByNow_IsFoundOut()
    {
        StartWithAlice();
        StoreContents earlier = Store.Contents;
        SimulatedNode bob = _network.AddClient("bob");
        Assert.True(_network.RunUntil(() => bob.IsUp, Soon));
        _network.Run(TimeSpan.FromSeconds(2));
        long known = Store.Contents.Revision;
        Store.Contents = earlier;
        for (int i = 0; Store.Contents.Revision <= known; i++)
            JoinElsewhere($"theirs{i}");

        // What was read is newer than all that this server knows; that bob was seen is not as expected all the same.
        _network.Stop(bob);
        Assert.True(_network.RunUntil(() => _network.Server.Node.Peers.All(peer => peer.Name != "bob"), Soon));
        Assert.Contains(_network.Server.Node.Peers, peer => peer.Name == "theirs0");
    }

    [Fact]
    public void ManyWhoJoinAtOnce_AreCommittedInGroups()
    {
        StartWithAlice();
        var groups = new List<int>();
        Store.Fault = commit =>
        {
            groups.Add(commit.Write.Count(write => write.Key.StartsWith("k/", StringComparison.Ordinal)));
            return StoreFault.None;
        };
        Store.IsSlow = true;
        SimulatedNode first = _network.AddClient("first");
        Assert.True(_network.RunUntil(() => Store.Waiting == 1, Soon));
        SimulatedNode[] many = [.. Enumerable.Range(0, 100).Select(number => _network.AddClient($"m{number}"))];
        _network.Run(Soon);
        Store.IsSlow = false;
        Store.Release();

        Assert.True(_network.RunUntil(() => first.IsUp && many.All(member => member.IsUp), Soon));
        Assert.Equal([1, LeaseCommits.GroupSize, 100 - LeaseCommits.GroupSize], groups.Where(count => count > 0));
        Assert.Equal(102, _network.SavedLeases.Select(lease => lease.Addresses[0]).Distinct().Count());
    }

    [Fact]
    public void StoreWithEveryTroubleAtOnce_GivesNoAddressTwice_AndAllIsWellAfterwards() => Seeds.Run(6, seed =>
    {
        using var network = new SimulatedNetwork(seed) { IsDirectBlocked = true };
        network.StartServer();
        var random = new Random(seed);
        var made = new List<SimulatedNode>();
        network.Store.Fault = commit => random.Next(6) switch
        {
            0 => StoreFault.Unavailable,
            1 => StoreFault.AnswerLost,
            2 => StoreFault.CommitLost,
            _ => StoreFault.None,
        };
        for (int step = 0; step < 120; step++)
        {
            switch (random.Next(12))
            {
                case < 4:
                    made.Add(network.AddClient($"m{step}"));
                    break;
                case 4:
                    JoinElsewhere(network, $"theirs{step}");
                    break;
                case 5 when made.Count > 0:
                    SimulatedNode gone = made[random.Next(made.Count)];
                    made.Remove(gone);
                    network.Stop(gone);
                    break;
                case 6:
                    network.Store.IsSlow = !network.Store.IsSlow;
                    break;
            }

            if (!network.Store.IsSlow)
                network.Store.Release();
            network.Run(TimeSpan.FromMilliseconds(random.Next(1000)));
        }

        network.Store.Fault = null;
        network.Store.IsSlow = false;
        network.Store.Release();
        SimulatedNode last = network.AddClient("last");
        SimulatedNode[] stay = [.. made.Where(node => !node.Client.Connected.IsFaulted), last];
        Assert.True(network.RunUntil(() => stay.All(node => node.IsUp || node.Client.Connected.IsFaulted), TimeSpan.FromMinutes(3)));
        network.Run(TimeSpan.FromSeconds(40));

        Lease[] leases = [.. network.SavedLeases];
        Assert.Equal(leases.Length, leases.SelectMany(lease => lease.Addresses).Distinct().Count());
        Assert.Equal(leases.Length, leases.Select(lease => lease.PublicKey).Distinct().Count());
        Assert.All(
            stay.Where(node => node.IsUp),
            node => Assert.Equal(node.Address, leases.Single(lease => lease.Name == node.Client.MemberName).Addresses[0]));
        Assert.Null(network.Server.Node.LastError);
    });

    private IEnumerable<string> SavedNames => _network.SavedLeases.Select(lease => lease.Name).Order(StringComparer.Ordinal);

    private TunnelAddress SavedAddressOf(string name) => _network.SavedLeases.Single(lease => lease.Name == name).Addresses[0];

    private PrivateKey AliceKey()
    {
        Assert.True(PrivateKey.TryParse(_aliceKey, out PrivateKey? key));
        return key;
    }

    /// <summary>Another server admits a member; returns its address.</summary>
    private string JoinElsewhere(string name) => JoinElsewhere(_network, name);

    private static string JoinElsewhere(SimulatedNetwork network, string name)
    {
        var other = new Leases([SimulatedNetwork.Parse("10.0.0.1/24")], serverName: "hub");
        other.TakeOver(network.Store.Contents.ChangesAfter(0));
        using PrivateKey key = network.NewKey();
        string address = other.Acquire(key.PublicKey, name, [], network.Time.GetUtcNow()).Lease!.Addresses[0].ToString();
        network.Store.Contents = network.Store.Contents.Apply(other.Plan(), out CommitAnswer answer);
        Assert.Equal(CommitOutcome.Applied, answer.Outcome);
        return address;
    }

    private SimulatedNode StartWithAlice()
    {
        _network.StartServer();
        PrivateKey key = _network.NewKey();
        _aliceKey = key.Reveal();
        SimulatedNode alice = _network.AddClient("alice", identity: key);
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));
        _network.Run(TimeSpan.FromSeconds(2));
        return alice;
    }
}
