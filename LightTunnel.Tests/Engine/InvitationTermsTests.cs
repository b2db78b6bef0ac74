using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Server;
using LightTunnel.Membership;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>What an invitation says of who comes by it: groups, an address, and that it is a member only while it is there.</summary>
public sealed class InvitationTermsTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(20);
    private static readonly InvitationRecord Plain = new() { Id = 0, Digest = [], Created = default, MadeBy = "root" };

    private readonly SimulatedNetwork _network = new() { IsDirectBlocked = true };

    public InvitationTermsTests() => Start();

    private ServerRole Role => (ServerRole)_network.Server.Node.Role;

    public void Dispose() => _network.Dispose();

    [Fact]
    public void WhoComesByIt_IsPutIntoItsGroups_WhichTheAdminChangesLater()
    {
        InvitationToken token = Invite(Plain with { Groups = ["build", "office"] });
        SimulatedNode alice = Join("alice", token);
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));
        MemberStatus status = Assert.Single(Role.Administration.List());
        Assert.Equal(["build", "office"], status.Groups);
        Assert.Equal(InvitationRecord.TextOf(token.Id), status.Invitation);
        Assert.False(status.IsEphemeral);

        _network.Server.Node.Post(() => _ = Role.Administration.ChangeAsync(
            new MemberChange(MemberChangeKind.Set, status.PublicKey, "root") { Groups = [] }));
        _network.Run(Soon);
        string key = status.PublicKey;
        _network.Kill(alice);
        Restart();
        Assert.Empty(Role.Administration.List().Single(member => member.PublicKey == key).Groups);
    }

    [Fact]
    public void Address_IsKeptForWhoComesByIt_WhateverItAsksFor_AndIsNobodyElsesMeanwhile()
    {
        InvitationToken token = Invite(Plain with { Addresses = [Address("10.0.0.2")] });
        InvitationToken open = Invite(Plain);

        // Who takes any gets another, and who asks for it is refused with the reason.
        SimulatedNode carol = Join("carol", open);
        Assert.True(_network.RunUntil(() => carol.IsUp, Soon));
        Assert.Equal("10.0.0.3", carol.Address.ToString());
        LightTunnelException refused = RefusalOf(Join("dave", open, address: "10.0.0.2"));
        Assert.Equal(LightTunnelError.AddressTaken, refused.Error);
        Assert.Contains(
            $"is kept for who comes by the invitation {InvitationRecord.TextOf(token.Id)}", refused.Message, StringComparison.Ordinal);

        SimulatedNode alice = Join("alice", token, address: "10.0.0.77");
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));
        Assert.Equal("10.0.0.2", alice.Address.ToString());
        Assert.Contains("used up", RefusalOf(Join("bob", token)).Message, StringComparison.Ordinal);
        Assert.Equal(1, Role.Invitations.All.Single(record => record.Id == token.Id).MaxUses);
    }

    [Fact]
    public void AddressOfAnInvitationThatHasEnded_IsAnybodys()
    {
        InvitationToken token = Invite(Plain with { Addresses = [Address("10.0.0.2")] });
        InvitationToken ends = Invite(Plain with { Addresses = [Address("10.0.0.3")], Expires = _network.Time.GetUtcNow().AddHours(1) });
        SimulatedNode first = Join("first", Invite(Plain));
        Assert.True(_network.RunUntil(() => first.IsUp, Soon));
        Assert.Equal("10.0.0.4", first.Address.ToString());
        Wait(Asked(() => Role.Invitations.RemoveAsync(token.Id, "root")));
        _network.Run(TimeSpan.FromHours(1));
        Assert.Equal(LightTunnelError.InvitationExpired, RefusalOf(Join("late", ends)).Error);

        SimulatedNode asks = Join("asks", Invite(Plain), address: "10.0.0.3");
        Assert.True(_network.RunUntil(() => asks.IsUp, Soon));
        Assert.Equal("10.0.0.3", asks.Address.ToString());
    }

    [Theory]
    [InlineData("10.0.0.1", 0, LightTunnelError.InvalidAddress)]
    [InlineData("10.0.1.7", 0, LightTunnelError.InvalidAddress)]
    [InlineData("10.0.0.2", 0, LightTunnelError.AddressTaken)]
    [InlineData("10.0.0.9", 0, LightTunnelError.AddressTaken)]
    [InlineData("10.0.0.50", 2, LightTunnelError.InvalidOption)]
    public void AddressThatCannotBe_IsRefusedAtOnce(string address, int maxUses, LightTunnelError error)
    {
        SimulatedNode alice = Join("alice", Invite(Plain));
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));
        Invite(Plain with { Addresses = [Address("10.0.0.9")] });
        int before = Role.Invitations.All.Count();

        LightTunnelException thrown = Assert.Throws<LightTunnelException>(
            () => Invite(Plain with { Addresses = [Address(address)], MaxUses = maxUses }));
        Assert.Equal(error, thrown.Error);
        Assert.Equal(before, Role.Invitations.All.Count());
    }

    [Fact]
    public void EphemeralMember_IsForgottenTenMinutesAfterItWent_AndOthersAreNot()
    {
        InvitationToken ephemeral = Invite(Plain with { IsEphemeral = true });
        SimulatedNode job = Join("job", ephemeral);
        SimulatedNode stays = Join("stays", Invite(Plain));
        SimulatedNode here = Join("here", ephemeral);
        Assert.True(_network.RunUntil(() => job.IsUp && stays.IsUp && here.IsUp, Soon));
        _network.Run(TimeSpan.FromMinutes(15));
        Assert.True(Role.Administration.List().Single(member => member.Name == "job").IsEphemeral);
        _network.Stop(job);
        _network.Stop(stays);
        _network.Run(TimeSpan.FromMinutes(9));
        Assert.Equal(["here", "job", "stays"], Names());

        Assert.True(_network.RunUntil(() => here.Node.Peers.All(peer => peer.Name != "job"), TimeSpan.FromMinutes(3)));
        Assert.Equal(["here", "stays"], Names());
        _network.Run(Soon);
        Assert.Equal(["here", "stays"], _network.SavedLeases.Select(lease => lease.Name).Order(StringComparer.Ordinal));
        Assert.Contains(
            _network.Server.LogLines,
            line => line.EndsWith("is forgotten: it was to be a member only while it is here", StringComparison.Ordinal));
    }

    /// <summary>It was the server that was away, not they: they have as long again to come back.</summary>
    [Fact]
    public void EphemeralMember_OutlivesAServerThatWasAway()
    {
        SimulatedNode job = Join("job", Invite(Plain with { IsEphemeral = true }));
        Assert.True(_network.RunUntil(() => job.IsUp, Soon));
        uint id = _network.Server.Peer("job").MemberId;
        _network.Run(TimeSpan.FromMinutes(5));
        _network.Kill(_network.Server);
        _network.Run(TimeSpan.FromHours(3));
        Start();

        Assert.True(_network.RunUntil(() => job.IsUp && _network.Server.Node.Peers.Any(peer => peer.Online), TimeSpan.FromMinutes(5)));
        Assert.Equal(id, _network.Server.Peer("job").MemberId);
        _network.Kill(job);
        Restart();
        Assert.True(_network.RunUntil(() => !_network.Server.Node.Peers.Any(), TimeSpan.FromMinutes(15)));
    }

    [Fact]
    public void EphemeralMember_ThatComesBackLater_JoinsAnew_WhichCounts()
    {
        InvitationToken token = Invite(Plain with { IsEphemeral = true, MaxUses = 2 });
        using PrivateKey key = _network.NewKey();
        for (int i = 0; i < 2; i++)
        {
            SimulatedNode job = Join("job", token, key: key);
            Assert.True(_network.RunUntil(() => job.IsUp, Soon));
            _network.Run(TimeSpan.FromMinutes(3));
            _network.Stop(job);
            Assert.True(_network.RunUntil(() => Names().Length == 0, TimeSpan.FromMinutes(15)));
        }

        Assert.Contains("used up", RefusalOf(Join("job", token, key: key)).Message, StringComparison.Ordinal);
    }

    private static TunnelAddress Address(string text) => SimulatedNetwork.Parse(text + "/32").Address;

    private void Start() => _network.StartServer(options => options with { AllowKeyOnly = null });

    private void Restart()
    {
        _network.Kill(_network.Server);
        Start();
    }

    private string[] Names() => [.. Role.Administration.List().Select(member => member.Name).Order(StringComparer.Ordinal)];

    private SimulatedNode Join(string name, InvitationToken token, string? address = null, PrivateKey? key = null)
    {
        PrivateKey? copy = null;
        Assert.True(key is null || PrivateKey.TryParse(key.Reveal(), out copy));
        return _network.AddClient(name, address, identity: copy, change: options => options with { Invitation = token });
    }

    private InvitationToken Invite(InvitationRecord wanted) => Wait(Asked(() => Role.Invitations.CreateAsync(wanted)));

    private T Asked<T>(Func<T> question)
        where T : Task
    {
        Task<T> asked = _network.Server.Node.AskAsync(question);
        _network.Settle();
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
