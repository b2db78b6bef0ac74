using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Membership;
using LightTunnel.Membership.Store;
using Xunit;
using static LightTunnel.Tests.Membership.ControlMessageTests;

namespace LightTunnel.Tests.Membership;

/// <summary>Machines that wait for approval: what is kept of them, and that nobody can make it grow.</summary>
public sealed class ApplicantsTests
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly Leases _leases = new([Interface("10.0.0.1/16")], serverName: "hub");

    private Applicants Applicants => _leases.Applicants;

    [Fact]
    public void Entry_IsReadAsWritten_AndKeepsWhatOnlyANewerVersionKnows()
    {
        Applicant all = Make(1, place: 7) with
        {
            Addresses = [Address("10.0.0.9")], Invitation = 7, Version = "0.1.0", System = "Linux X64", Denied = Start.AddDays(1),
        };
        byte[] written = all.Write(null);
        Assert.True(Applicant.TryRead(StoreKeys.Applicant(Key(1)), written, out Applicant? read));
        Assert.Equal(all with { Addresses = read.Addresses }, read);
        Assert.Equal(all.Addresses, read.Addresses);
        byte[] newer = [(byte)(written[0] + 1), .. written[1..], 0x16, 0x03];
        Assert.Equal(newer, all.Write(newer));
        Assert.False(Applicant.TryRead($"r/{Key(1)}", written, out _));
        Assert.False(Applicant.TryRead("w/no key", written, out _));
    }

    [Fact]
    public void Entry_OfHostileBytes_NeverThrows_AndIsNoReasonToStop()
    {
        byte[] good = (Make(1, place: 7) with { Addresses = [Address("10.0.0.9")], Invitation = 7, Denied = Start }).Write(null);
        string key = StoreKeys.Applicant(Key(1));
        var mutator = new ByteMutator(5);
        int read = 0;
        for (int i = 0; i < Fuzz.Count(10_000); i++)
        {
            byte[] bytes = i % 20 == 0 ? mutator.Random(i % 200) : mutator.Mutate(good);
            var leases = new Leases([Interface("10.0.0.1/24")], serverName: "hub");
            leases.TakeOver(StoreContents.Empty.Apply(
                new StoreCommit(Guid.NewGuid(), [], [new StoreWrite(key, bytes)]), out _).ChangesAfter(0));
            read += leases.Applicants.All.Count;
        }

        Assert.InRange(read, 1, Fuzz.Count(10_000) - 1);
    }

    [Fact]
    public void OneThatAsksAgain_WaitsOnce_AndForWhatItAskedLast()
    {
        Assert.Null(Applicants.Ask(Make(1), out bool isNew));
        Assert.True(isNew);
        Assert.Null(Applicants.Ask(Make(1) with { Since = Start.AddDays(1) }, out isNew));
        Assert.False(isNew);
        Applicants.OnApplied();
        Applicants.Ask(Make(1), out _);
        Assert.False(Applicants.HasChanges);
        Applicants.Ask(Make(1) with { Name = "other" }, out _);
        Assert.True(Applicants.HasChanges);
        Assert.Equal(("other", Start), (Assert.Single(Applicants.All).Name, Applicants.All.Single().Since));
    }

    [Fact]
    public void OnePlace_CanHaveSixteenWait_AndNoMore()
    {
        for (int i = 0; i < Applicants.MostOfOnePlace; i++)
            Assert.Null(Applicants.Ask(Make(i, place: 1), out _));
        RefusedMessage? refused = Applicants.Ask(Make(100, place: 1), out _);
        Assert.Equal(RefusalReason.Other, refused?.Reason);
        Assert.Null(Applicants.Ask(Make(101, place: 2), out _));
        Assert.Null(Applicants.Ask(Make(3, place: 1), out _));
    }

    [Fact]
    public void Flood_PushesOutWhoHasNoInvitation_AndItsOldest_NeverTheOtherWayRound()
    {
        Applicants.Ask(Make(0, place: 0, since: 1), out _);
        for (int i = 1; i < Applicants.MostWaiting; i++)
            Applicants.Ask(Make(i, place: i, since: i + 1) with { Invitation = i < 100 ? 7u : 0 }, out _);
        Assert.Equal(Applicants.MostWaiting, Applicants.All.Count);

        // Key alone: the oldest of those goes.
        Assert.Null(Applicants.Ask(Make(1000, place: 1000, since: 1000), out _));
        Assert.Null(Applicants.Find(Key(0)));
        for (int i = 1001; i < 2000; i++)
            Assert.Null(Applicants.Ask(Make(i, place: i, since: i), out _));
        Assert.Equal(99, Applicants.All.Count(one => one.Invitation != 0));

        // With an invitation: all without make room, and then the oldest with one. Then nobody without gets in.
        for (int i = 2000; i < 2300; i++)
            Assert.Null(Applicants.Ask(Make(i, place: i, since: i) with { Invitation = 8 }, out _));
        Assert.Equal(Applicants.MostWaiting, Applicants.All.Count);
        Assert.Null(Applicants.Find(Key(1)));
        Assert.Equal(RefusalReason.Other, Applicants.Ask(Make(3000, place: 3000), out _)?.Reason);
        Assert.DoesNotContain(Applicants.All, one => one.Invitation == 0);
    }

    [Fact]
    public void InvitationForTwo_LetsTwoWait_WhichCountsNothingYet()
    {
        _leases.Invitations.Add(new InvitationRecord { Id = 7, Digest = new byte[32], Created = Start, MaxUses = 2 }, Start);
        Assert.Null(Applicants.Ask(Make(1) with { Invitation = 7 }, out _));
        Assert.Null(Applicants.Ask(Make(2) with { Invitation = 7 }, out _));
        Assert.Equal(RefusalReason.InvitationUsedUp, Applicants.Ask(Make(3) with { Invitation = 7 }, out _)?.Reason);
        Assert.Equal(0, _leases.Invitations.Find(7)!.Uses);

        _leases.Approve(Key(1), Start, out _);
        Assert.Equal(1, _leases.Invitations.Find(7)!.Uses);
        Assert.Equal(RefusalReason.InvitationUsedUp, Applicants.Ask(Make(3) with { Invitation = 7 }, out _)?.Reason);
        Applicants.Deny(Key(2), Start);
        Assert.Null(Applicants.Ask(Make(3) with { Invitation = 7 }, out _));
        Assert.Equal(1, _leases.Invitations.Find(7)!.Uses);
    }

    [Fact]
    public void Approval_NeedsAnInvitationThatWasNotTakenBack_AndAnAddressThatIsFree()
    {
        _leases.Invitations.Add(
            new InvitationRecord { Id = 7, Digest = new byte[32], Created = Start, Expires = Start.AddHours(1) }, Start);
        Applicants.Ask(Make(1) with { Invitation = 7 }, out _);
        Applicants.Ask(Make(2) with { Invitation = 7 }, out _);
        Applicants.Ask(Make(3) with { Addresses = [Address("10.0.0.9")] }, out _);
        Applicants.Ask(Make(4) with { Addresses = [Address("10.0.0.9")] }, out _);

        // It showed the invitation in time.
        _leases.Approve(Key(1), Start.AddDays(1), out _);
        Assert.NotNull(_leases.ByKey(Key(1)));
        _leases.Invitations.Remove(7, Start.AddDays(1));
        Assert.Contains("taken back", Fail(2).Message, StringComparison.Ordinal);
        _leases.Approve(Key(3), Start, out _);
        Assert.Contains("10.0.0.9 belongs to", Fail(4).Message, StringComparison.Ordinal);
        Assert.Equal(LightTunnelError.NotFound, Fail(3).Error);
        Assert.Equal([Key(2), Key(4)], Applicants.All.Select(one => one.PublicKey));

        LightTunnelException Fail(int key) => Assert.Throws<LightTunnelException>(() => _leases.Approve(Key(key), Start, out _));
    }

    [Fact]
    public void Denied_AreRememberedForAMonth_AndOnlySoMany()
    {
        for (int i = 0; i <= Applicants.MostDenied; i++)
        {
            Applicants.Ask(Make(i, place: i), out _);
            Applicants.Deny(Key(i), Start.AddMinutes(i));
        }

        Assert.Equal(Applicants.MostDenied, Applicants.All.Count);
        Assert.Equal(RefusalReason.Denied, Applicants.Ask(Make(5, place: 5), out _)?.Reason);
        Assert.Null(Applicants.Ask(Make(0, place: 0), out _));
        Assert.Throws<LightTunnelException>(() => Applicants.Deny(Key(9999), Start));
        Applicants.Prune(Start + Applicants.Keep + TimeSpan.FromMinutes(5));
        Assert.Null(Applicants.Find(Key(5)));
        Assert.NotNull(Applicants.Find(Key(6)));
    }

    private static Applicant Make(int key, int place = 0, int since = 0) => new()
    {
        PublicKey = Key(key), Name = $"n{key}", Since = Start.AddSeconds(since),
        Endpoint = UdpEndpoint.FromIPv4((uint)(0xC6330000 + (place == 0 ? key : place)), 4711),
    };
}
