using LightTunnel.Engine.Server;
using LightTunnel.Membership;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>A client is told of its address when that is on the server's disk, not before.</summary>
public sealed class DurableLeaseTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(4);

    private readonly SimulatedNetwork _network = new() { IsDirectBlocked = true };
    private readonly List<IReadOnlyList<Lease>> _saves = [];
    private string _aliceKey = string.Empty;

    private ServerNode Server => (ServerNode)_network.Server.Node;

    public void Dispose() => _network.Dispose();

    [Fact]
    public void NewMember_IsAdmittedWhenItsLeaseIsOnTheDisk_AndNobodyIsToldOfItBefore()
    {
        SimulatedNode alice = StartWithAlice();
        SimulatedNode bob = _network.AddClient("bob");
        _network.Run(Soon);
        Assert.False(bob.IsUp);
        Assert.DoesNotContain(alice.Node.Peers, peer => peer.Name == "bob");
        Assert.Contains(_saves[^1], lease => lease.Name == "bob");

        Written(_saves.Count - 1);
        _network.Run(TimeSpan.FromMilliseconds(500));
        Assert.False(bob.IsUp);
        Written(_saves.Count);
        Assert.True(_network.RunUntil(() => bob.IsUp && alice.Node.Peers.Any(peer => peer.Name == "bob"), Soon));
    }

    [Fact]
    public void KnownMember_ComesBack_WithoutWaitingForTheDisk()
    {
        SimulatedNode alice = StartWithAlice();
        _network.Stop(alice);
        SimulatedNode again = _network.AddClient("alice", identity: AliceKey());
        Assert.True(_network.RunUntil(() => again.IsUp, Soon));
        Assert.Equal("10.0.0.2", again.Address.ToString());
    }

    [Fact]
    public void DiskThatIsFull_RefusesNewMembers_KeepsThoseThatAreThere_AndGoesOnWhenItHasRoom()
    {
        SimulatedNode alice = StartWithAlice();
        SimulatedNode bob = _network.AddClient("bob");
        Assert.True(_network.RunUntil(() => _saves[^1].Count == 2, Soon));
        Written(_saves.Count, "No space left on device");
        Assert.True(_network.RunUntil(() => bob.Client.Connected.IsFaulted, Soon));
        Assert.Contains("No space left on device", bob.Client.Connected.Exception!.InnerException!.Message, StringComparison.Ordinal);
        Assert.Contains("No space left on device", Server.LastError, StringComparison.Ordinal);
        SimulatedNode carol = _network.AddClient("carol");
        Assert.True(_network.RunUntil(() => carol.Client.Connected.IsFaulted, Soon));
        Assert.True(alice.IsUp);
        Assert.Equal(["alice"], Server.Peers.Select(peer => peer.Name));

        // What is tried again later no longer has who was refused.
        _network.Run(TimeSpan.FromSeconds(2));
        Assert.Equal(["alice"], _saves[^1].Select(lease => lease.Name));
        Written(_saves.Count);
        _network.Settle();
        Assert.Null(Server.LastError);
        SimulatedNode dave = _network.AddClient("dave");
        Assert.True(_network.RunUntil(() => _saves[^1].Count == 2, Soon));
        Written(_saves.Count);
        Assert.True(_network.RunUntil(() => dave.IsUp, Soon));
    }

    [Fact]
    public void MemberThatAsksForAnotherAddress_KeepsItsOwn_WhenThatCannotBeSaved()
    {
        SimulatedNode alice = StartWithAlice();
        _network.Stop(alice);
        SimulatedNode again = _network.AddClient("alice", "10.0.0.77", identity: AliceKey());
        Assert.True(_network.RunUntil(() => _saves[^1][0].Addresses[0].ToString() == "10.0.0.77", Soon));
        Written(_saves.Count, "No space left on device");
        Assert.True(_network.RunUntil(() => again.Client.Connected.IsFaulted, Soon));
        _network.Run(TimeSpan.FromSeconds(2));
        Assert.Equal("10.0.0.2", _saves[^1][0].Addresses[0].ToString());
    }

    private PrivateKey AliceKey()
    {
        Assert.True(PrivateKey.TryParse(_aliceKey, out PrivateKey? key));
        return key;
    }

    private SimulatedNode StartWithAlice()
    {
        _network.StartServer();
        PrivateKey key = _network.NewKey();
        _aliceKey = key.Reveal();
        SimulatedNode alice = _network.AddClient("alice", identity: key);
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));
        _network.Disk = leases =>
        {
            _saves.Add([.. leases.All]);
            return _saves.Count;
        };
        _network.Run(TimeSpan.FromSeconds(2));
        if (_saves.Count == 0)
            _saves.Add(_network.Saved.Leases);
        return alice;
    }

    private void Written(long number, string? failure = null) => Server.OnSaved(number, failure);
}
