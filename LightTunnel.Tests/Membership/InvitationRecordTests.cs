using System.Globalization;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Membership;
using LightTunnel.Membership.Store;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Membership;

/// <summary>What a server keeps of its invitations: their bytes, their limits, and that it is never a secret.</summary>
public sealed class InvitationRecordTests
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private readonly StoreReplica _replica = new();

    [Fact]
    public void Record_ReadsWhatItHasWritten_AndKeepsWhatOnlyANewerVersionKnows()
    {
        InvitationToken token = InvitationTests.Token;
        InvitationRecord record = Make(token.Id) with
        {
            Digest = token.Digest(), Expires = Start.AddDays(1), MaxUses = 3, Uses = 2, Name = "for bob", MadeBy = "root",
            Removed = Start.AddHours(2), LastUsed = Start.AddHours(1), Groups = ["office"],
            Addresses = [ControlMessageTests.Address("10.0.0.5")], IsEphemeral = true,
        };
        byte[] written = record.Write(null);
        Assert.True(InvitationRecord.TryRead(Entry(record.Id, written), out InvitationRecord? read));
        Assert.Equal(record with { Digest = read.Digest, Groups = read.Groups, Addresses = read.Addresses }, read);
        Assert.Equal(["office"], read.Groups);
        Assert.Equal(record.Addresses, read.Addresses);
        Assert.Equal(record.Digest, read.Digest);
        Assert.True(token.Fits(read.Digest));
        Assert.False(InvitationToken.Generate(token.Id).Fits(read.Digest));
        Assert.False(token.Fits(null));

        // {22: 3} besides.
        byte[] newer = [(byte)(written[0] + 1), .. written[1..], 0x16, 0x03];
        Assert.Equal(newer, record.Write(newer));
        Assert.DoesNotContain(Convert.ToHexString(token.Digest()), token.Reveal(), StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain(token.Reveal(), $"{token} {record}", StringComparison.Ordinal);
    }

    [Fact]
    public void Record_OfHostileBytes_NeverThrows()
    {
        InvitationRecord record = Make(7) with
        {
            Expires = Start, MaxUses = 3, Name = "n", MadeBy = "root", LastUsed = Start, Groups = ["a", "b"],
            Addresses = [ControlMessageTests.Address("10.0.0.5")], IsEphemeral = true,
        };
        byte[] good = record.Write(null);
        var mutator = new ByteMutator(9);
        int read = 0;
        for (int i = 0; i < Fuzz.Count(20_000); i++)
        {
            byte[] bytes = i % 20 == 0 ? mutator.Random(i % 200) : mutator.Mutate(good);
            if (InvitationRecord.TryRead(Entry(7, bytes), out InvitationRecord? made))
            {
                read++;
                Assert.InRange(made.StateAt(Start), InvitationState.Active, InvitationState.Removed);
            }
        }

        Assert.InRange(read, 1, Fuzz.Count(20_000) - 1);
    }

    [Theory]
    [InlineData("i/1f2e3d4c", 0x1f2e3d4cu)]
    [InlineData("i/00000001", 1u)]
    [InlineData("i/1F2E3D4C", null)]
    [InlineData("i/1", null)]
    [InlineData("i/1f2e3d4c0", null)]
    [InlineData("m/1f2e3d4c", null)]
    [InlineData("i/", null)]
    public void Key_OfAnEntry_IsReadInOneSpellingOnly(string key, uint? id)
    {
        Assert.Equal(id is not null, StoreKeys.TryReadInvitation(key, out uint read));
        if (id is not null)
            Assert.Equal(id, read);
    }

    [Theory]
    [InlineData("AQIDBAUGBwgJCgsMDQ4PEBESExQ", true)]
    [InlineData(" AQIDBAUGBwgJCgsMDQ4PEBESExQ\n", true)]
    [InlineData("AQIDBAUGBwgJCgsMDQ4PEBESEx", false)]
    [InlineData("AQIDBAUGBwgJCgsMDQ4PEBESExQAA", false)]
    [InlineData("AQIDBAUGBwgJCgsMDQ4PEBESEx+", false)]
    [InlineData("", false)]
    [InlineData(null, false)]
    public void Secret_AsText_IsReadWholeOrNotAtAll(string? text, bool isValid) =>
        Assert.Equal(isValid, InvitationToken.TryParse(text, out _));

    [Fact]
    public void TooMany_MakeRoomWhenTheyHaveEnded_AndAreRefusedOtherwise()
    {
        var invitations = new Invitations(_replica);
        for (uint id = 1; id <= Invitations.MaximumCount; id++)
            invitations.Add(Make(id) with { Expires = id == 5 ? Start.AddDays(1) : null }, Start);
        LightTunnelException full = Assert.Throws<LightTunnelException>(() => invitations.Add(Make(5000), Start));
        Assert.Contains(Invitations.MaximumCount.ToString(CultureInfo.InvariantCulture), full.Message, StringComparison.Ordinal);

        invitations.Add(Make(5000), Start.AddDays(2));
        Assert.Null(invitations.Find(5));
        Assert.NotNull(invitations.Find(5000));
        Assert.Equal(Invitations.MaximumCount, invitations.All.Count);
        Assert.Throws<LightTunnelException>(() => invitations.Add(Make(5000), Start));
    }

    [Fact]
    public void WhatHasEnded_IsForgottenAMonthLater()
    {
        var invitations = new Invitations(_replica);
        invitations.Add(Make(1), Start);
        invitations.Add(Make(2) with { Expires = Start.AddDays(1) }, Start);
        invitations.Add(Make(3) with { MaxUses = 1 }, Start);
        invitations.Use(3, Start.AddDays(10));
        invitations.Add(Make(4), Start);
        invitations.Remove(4, Start.AddDays(20));

        invitations.Prune(Start.AddDays(30));
        Assert.Equal([1u, 2, 3, 4], Ids());
        invitations.Prune(Start.AddDays(32));
        Assert.Equal([1u, 3, 4], Ids());
        invitations.Prune(Start.AddDays(41));
        Assert.Equal([1u, 4], Ids());
        invitations.Prune(Start.AddDays(51));
        Assert.Equal([1u], Ids());

        IEnumerable<uint> Ids() => invitations.All.Select(record => record.Id).Order();
    }

    /// <summary>A store that has lost commits gets their uses again: nobody comes in a second time by them.</summary>
    [Fact]
    public void LostCommits_DoNotGiveUsesBack()
    {
        var leases = new Leases([ControlMessageTests.Interface("10.0.0.1/24")], serverName: "hub");
        StoreContents store = StoreContents.Empty;
        leases.TakeOver(store.ChangesAfter(INetworkStore.Everything));
        leases.Invitations.Add(Make(7) with { MaxUses = 2 }, Start);
        StoreContents early = Commit();
        leases.Acquire(ControlMessageTests.Key(1), "a", [], Start, 7);
        Commit();
        leases.Invitations.Remove(7, Start);
        Commit();

        leases.TakeOver(early.ChangesAfter(INetworkStore.Everything), isOtherHistory: true);
        store = early;
        Assert.True(leases.HasChanges);
        Commit();
        Assert.True(InvitationRecord.TryRead(
            store.Entries.Single(entry => entry.Key == "i/00000007"), out InvitationRecord? record));
        Assert.Equal((1, Start), (record.Uses, record.Removed));
        Assert.False(leases.Invitations.HasChanges);

        StoreContents Commit()
        {
            StoreCommit commit = leases.Plan();
            store = store.Apply(commit, out CommitAnswer answer);
            Assert.Equal(CommitOutcome.Applied, answer.Outcome);
            leases.OnApplied(commit, answer.Revision);
            return store;
        }
    }

    [Fact]
    public void StateFile_KeepsInvitations_AndTakesADamagedOneForDamage()
    {
        byte[] value = Make(7).Write(null);
        byte[] content = StateFile.Encode(State(value));
        StoreEntry entry = Assert.Single(StateFile.Decode(content, "x").Network.Entries);
        Assert.True(InvitationRecord.TryRead(entry, out InvitationRecord? record));
        Assert.Equal(7u, record.Id);

        LightTunnelException damage =
            Assert.Throws<LightTunnelException>(() => StateFile.Decode(StateFile.Encode(State([0xA0])), "x"));
        Assert.Equal(LightTunnelError.InvalidState, damage.Error);

        static NodeState State(byte[] value) => new()
        {
            Role = TunnelRole.Server,
            PrivateKey = new byte[32],
            NetworkKeys = new NetworkKeySet { Key = new byte[32] },
            Network = StoreContents.Restore([new StoreEntry("i/00000007", value, 1, 1)], 1),
        };
    }

    private static InvitationRecord Make(uint id) => new() { Id = id, Digest = new byte[32], Created = Start };

    private static StoreEntry Entry(uint id, byte[] value) => new(StoreKeys.Invitation(id), value, 1, 1);
}
