using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Server;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>An admin gives a member another name, address or groups: all learn of it at once, links stay, and it lasts.</summary>
public sealed class MemberSettingsTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(5);

    /// <summary>All members are told within this time.</summary>
    private static readonly TimeSpan Told = TimeSpan.FromSeconds(1);

    private readonly SimulatedNetwork _network = new();
    private readonly SimulatedNode _alice;
    private readonly PrivateKey _bobsKey;
    private SimulatedNode _server;
    private SimulatedNode _bob;

    public MemberSettingsTests()
    {
        _server = _network.StartServer();
        _bobsKey = _network.NewKey();
        _alice = _network.AddClient("alice");
        _bob = AddBob();
        Assert.True(_network.RunUntil(
            () => _bob.IsUp && _alice.Members.Any(member => member is { Name: "bob", DirectPath: not null })
                && _bob.Members.Any(member => member.DirectPath is not null), Soon));
    }

    private MemberStatus Bob => Administration.List().Single(member => member.PublicKey == _bobsKey.PublicKey.ToString());

    private MemberAdministration Administration => ((ServerRole)_server.Node.Role).Administration;

    public void Dispose()
    {
        _network.Dispose();
        _bobsKey.Dispose();
    }

    [Fact]
    public void Rename_IsKnownToAll_WhileLinksStay()
    {
        AssertPasses(_alice, _bob);
        Link link = _alice.Member("bob").Link!;
        Assert.True(Set(name: "reception").IsCompletedSuccessfully);
        Assert.True(_network.RunUntil(
            () => _alice.Members.Single().Name == "reception" && _bob.Client.MemberName == "reception" && _bob.IsUp, Told));

        Assert.Same(link, _alice.Member("reception").Link);
        AssertPasses(_alice, _bob);
        Assert.Equal(("reception", MemberState.Online), (Bob.Name, Bob.State));
        Assert.Contains("An administrator of hub has named this node reception; it asked for bob", _bob.LogLines);
        Assert.DoesNotContain(_server.LogLines, line => line.Contains("asked for the name", StringComparison.Ordinal));
        AuditEntry told = _server.Log.Audited.Read(0)[^1];
        Assert.Equal((AuditAction.Renamed, "admin", "bob"), (told.Action, told.By, told.Subject));
        Assert.Contains("was renamed to reception", told.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Address_IsTheMembersAtOnce_AndTheOldOneNobodys()
    {
        TunnelAddress before = _bob.Address;
        AssertPasses(_alice, _bob);
        Link link = _alice.Member("bob").Link!;
        Assert.True(Set(address: "10.0.0.50").IsCompletedSuccessfully);
        Assert.True(_network.RunUntil(
            () => _bob.IsUp && _bob.Address.ToString() == "10.0.0.50" && _alice.Member("bob").Addresses[0] == _bob.Address, Told));

        Assert.Same(link, _alice.Member("bob").Link);
        AssertPasses(_alice, _bob);
        AssertPasses(_bob, _server);
        _bob.TakeReceived();
        _server.TakeReceived();
        _alice.Send(before, "to the old one");
        _bob.Send(_server.Address, "from the old one", source: before);
        _network.Run(Soon);
        Assert.DoesNotContain("to the old one", _bob.TakeReceived());
        Assert.DoesNotContain("from the old one", _server.TakeReceived());

        SimulatedNode carol = _network.AddClient("carol", before.ToString());
        Assert.True(_network.RunUntil(() => carol.IsUp, Soon));
        Assert.Equal(before, carol.Address);
        AssertPasses(_alice, carol);
    }

    /// <summary>It asks for what it had, or what a person wrote there, and gets what the admin said; also after restarts of both.</summary>
    [Fact]
    public void MembersOwnWishes_DoNotUndoIt()
    {
        Set(name: "reception", address: "10.0.0.50", groups: ["office"]);
        _network.Run(Soon);
        _network.Kill(_bob);
        _network.Kill(_server);
        _server = _network.StartServer();
        _bob = AddBob("10.0.0.3");
        Assert.True(_network.RunUntil(() => _bob.IsUp, Soon));

        Assert.Equal(("reception", "10.0.0.50"), (_bob.Client.MemberName, _bob.Address.ToString()));
        Assert.Equal(["office"], Bob.Groups);
        Assert.Contains(
            "This node asked for 10.0.0.3; an administrator of hub has given it 10.0.0.50/24", _bob.LogLines);
        Assert.True(_network.RunUntil(
            () => _alice.IsUp && _bob.Members.Any(member => member.DirectPath is not null), TimeSpan.FromMinutes(1)));
        AssertPasses(_alice, _bob);
    }

    [Fact]
    public void MemberThatIsAway_HasItWhenItComesBack_AndOthersKnowItBefore()
    {
        _network.Stop(_bob);
        Assert.True(Set(name: "reception", address: "10.0.0.50").IsCompletedSuccessfully);
        Assert.True(_network.RunUntil(
            () => _alice.Members.Single() is { Name: "reception" } bob && bob.Addresses[0].ToString() == "10.0.0.50", Told));

        _bob = AddBob();
        Assert.True(_network.RunUntil(() => _bob.IsUp, Soon));
        Assert.Equal(("reception", "10.0.0.50"), (_bob.Client.MemberName, _bob.Address.ToString()));
    }

    [Fact]
    public void Change_IsToldOfWhenItIsInTheStore_AndNotWhenItCannotBeSaved()
    {
        _network.Store.IsSlow = true;
        Task changed = Set(name: "reception", address: "10.0.0.50");
        _network.Run(Soon);
        Assert.False(changed.IsCompleted);
        Assert.Equal("bob", _alice.Members.Single().Name);
        AssertPasses(_alice, _bob);

        // It registers meanwhile: nothing is promised that is not in the store.
        _network.Kill(_bob);
        _bob = AddBob();
        _network.Run(Soon);
        Assert.False(_bob.IsUp);
        _network.Store.IsSlow = false;
        _network.Store.Release();
        Assert.True(_network.RunUntil(() => _bob.IsUp && _alice.Members.Single().Name == "reception", TimeSpan.FromSeconds(20)));
        Assert.True(changed.IsCompletedSuccessfully);
        Assert.Equal("10.0.0.50", _bob.Address.ToString());

        _network.Store.Failure = "No space left on device";
        Task failed = Set(name: "other", address: "10.0.0.51", groups: ["office"]);
        _network.Run(Soon);
        var error = Assert.IsType<LightTunnelException>(failed.Exception!.InnerException);
        Assert.Contains("No space left on device", error.Message, StringComparison.Ordinal);
        Assert.Equal(("reception", "10.0.0.50", 0), (Bob.Name, Bob.Addresses[0].ToString(), Bob.Groups.Count));
        AssertPasses(_alice, _bob);
    }

    [Fact]
    public void Groups_AreTheServersToKnow_AndNobodyIsDisturbed()
    {
        uint conversation = _bob.Client.Session!.Conversation;
        Set(groups: ["Office", "printers", "office"]);
        _network.Run(Soon);

        Assert.Equal(["office", "printers"], Bob.Groups);
        Assert.Equal(conversation, _bob.Client.Session!.Conversation);
        Assert.Equal(["office", "printers"], _network.SavedLeases.Single(lease => lease.PublicKey == _bobsKey.PublicKey).Groups);
        Set(groups: []);
        _network.Run(Soon);
        Assert.Empty(Bob.Groups);
    }

    [Theory]
    [InlineData("alice", null, null, LightTunnelError.NameInUse)]
    [InlineData(null, "10.0.0.2", null, LightTunnelError.AddressTaken)]
    [InlineData(null, "10.0.0.1", null, LightTunnelError.InvalidAddress)]
    [InlineData(null, "10.0.0.5/24", null, LightTunnelError.InvalidAddress)]
    [InlineData(null, null, "no group", LightTunnelError.InvalidName)]
    public void WhatCannotBe_IsRefusedAtOnce(string? name, string? address, string? group, LightTunnelError error)
    {
        LightTunnelException? refused = null;
        _server.Node.Post(() => refused = Assert.Throws<LightTunnelException>(
            () => { _ = Administration.ChangeAsync(Change(name, address, group is null ? null : [group])); }));
        _network.Settle();
        Assert.Equal(error, refused?.Error);
        Assert.Equal(("bob", "10.0.0.3"), (Bob.Name, Bob.Addresses[0].ToString()));
    }

    private SimulatedNode AddBob(string? address = null)
    {
        Assert.True(PrivateKey.TryParse(_bobsKey.Reveal(), out PrivateKey? copy));
        return _network.AddClient("bob", address, identity: copy);
    }

    private MemberChange Change(string? name, string? address, string[]? groups) =>
        new(MemberChangeKind.Set, _bobsKey.PublicKey.ToString(), "admin")
        {
            Name = name, Addresses = address is null ? null : [address], Groups = groups,
        };

    private Task Set(string? name = null, string? address = null, string[]? groups = null)
    {
        Task? changed = null;
        _server.Node.Post(() => changed = Administration.ChangeAsync(Change(name, address, groups)));
        _network.Settle();
        return changed!;
    }

    private void AssertPasses(SimulatedNode from, SimulatedNode to)
    {
        to.TakeReceived();
        from.Send(to.Address, "passes");
        Assert.True(_network.RunUntil(() => to.TakeReceived().Contains("passes"), Soon));
    }
}
