using System.Formats.Cbor;
using FsCheck.Xunit;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Membership;
using LightTunnel.Membership.Cbor;
using LightTunnel.Membership.Store;
using LightTunnel.WireGuard;
using Xunit;
using static LightTunnel.Tests.Membership.ControlMessageTests;

namespace LightTunnel.Tests.Membership;

/// <summary>Leases and the store: what is committed for what, and that no two servers give one address away, whatever happens.</summary>
public sealed class LeasePlanTests
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void NewLease_ExpectsThatNothingOfItIsThere()
    {
        Leases leases = Create();
        leases.Acquire(Key(1), "a", [], Start);
        StoreCommit commit = leases.Plan();

        string[] keys = ["n", "m/2", $"k/{Key(1)}", "a/10.0.0.2", "a/fd00::2"];
        Assert.Equal(keys.Order(StringComparer.Ordinal), commit.Write.Select(write => write.Key).Order(StringComparer.Ordinal));
        Assert.Equal(commit.Write.Select(write => new StoreExpectation(write.Key, StoreExpectation.Absent)), commit.Expect);
    }

    [Fact]
    public void MemberThatIsSeen_WritesItsOwnEntryOnly_AndOneWhoseNothingChanged_None()
    {
        (Leases leases, StoreContents store) = WithMember();
        leases.SetOnline(Key(1), online: true, Start.AddHours(1));
        Assert.True(leases.HasChanges);
        StoreWrite write = Assert.Single(Apply(leases, ref store).Write);
        Assert.Equal("m/2", write.Key);
        Assert.Equal(Start.AddHours(1), Assert.Single(LeaseCodec.ReadAll(store)).LastSeen);

        Assert.False(leases.HasChanges);
        leases.Acquire(Key(1), "a", [], Start.AddHours(2));
        Assert.Empty(Apply(leases, ref store).Write);
    }

    [Fact]
    public void NotesOfMany_AreSpreadOverCommits_ButWhatWasGivenUpIsNot()
    {
        (Leases leases, StoreContents store) = WithMember();
        for (int i = 2; i <= 10; i++)
            leases.Acquire(Key(i), "x", [], Start);
        Apply(leases, ref store);
        for (int i = 1; i <= 10; i++)
            leases.SetOnline(Key(i), online: true, Start.AddHours(1));
        leases.Remove(Key(5));
        leases.Acquire(Key(11), "new", [], Start);

        StoreCommit first = Apply(leases, ref store, mostNotes: 3);
        Assert.Equal(3, LeaseCodec.ReadAll(store).Count(lease => lease.LastSeen == Start.AddHours(1)));
        Assert.Null(first.Write.Single(write => write.Key == "m/6").Value);
        Assert.Contains(first.Write, write => write.Key == "m/12");
        Apply(leases, ref store);
        Assert.Equal(9, LeaseCodec.ReadAll(store).Count(lease => lease.LastSeen == Start.AddHours(1)));
        Assert.False(leases.HasChanges);
    }

    [Fact]
    public void MemberThatTakesAnotherAddress_GivesTheOldOneBackInTheSameCommit()
    {
        (Leases leases, StoreContents store) = WithMember();
        leases.Acquire(Key(1), "renamed", [Address("10.0.0.50")], Start);
        StoreCommit commit = Apply(leases, ref store);

        Assert.Equal(["a/10.0.0.2", "a/10.0.0.50", "m/2"], commit.Write.Select(write => write.Key).Order(StringComparer.Ordinal));
        Assert.Null(commit.Write.Single(write => write.Key == "a/10.0.0.2").Value);
        Assert.Equal("renamed", Assert.Single(LeaseCodec.ReadAll(store)).Name);
    }

    [Fact]
    public void AddressOfAMemberThatIsGone_GoesToAnotherInOneCommit()
    {
        (Leases leases, StoreContents store) = WithMember();
        leases.Remove(Key(1));
        leases.Acquire(Key(2), "b", [Address("10.0.0.2")], Start);
        Apply(leases, ref store);

        Lease left = Assert.Single(LeaseCodec.ReadAll(store));
        Assert.Equal((Key(2), 3u), (left.PublicKey, left.MemberId));
        Assert.Equal(["a/10.0.0.2", "a/fd00::3", $"k/{Key(2)}", "m/3", "n"], Keys(store));
        leases.Remove(Key(2));
        Apply(leases, ref store);
        Assert.Equal(["n"], Keys(store));
    }

    [Fact]
    public void LeaseThatCouldNotBeCommitted_IsTakenBack_AndWhatWasNotedIsNot()
    {
        (Leases leases, StoreContents store) = WithMember();
        leases.Acquire(Key(2), "b", [], Start);
        Apply(leases, ref store);
        leases.NoteUsed(Key(2));
        leases.Acquire(Key(1), "a", [Address("10.0.0.9")], Start);
        leases.Acquire(Key(3), "c", [Address("10.0.0.2")], Start);
        leases.Plan();
        leases.OnFailed();
        leases.TakeBack([Key(1), Key(3)]);

        Assert.Equal([Address("10.0.0.2"), Address("fd00::2")], leases.ByKey(Key(1))!.Addresses);
        Assert.Null(leases.ByKey(Key(3)));
        Assert.Null(leases.ByAddress(Address("10.0.0.9")));
        // Ids are never used again.
        Assert.Equal(["m/3", "n"], Apply(leases, ref store).Write.Select(write => write.Key).Order(StringComparer.Ordinal));
        Assert.True(LeaseCodec.ReadAll(store)[1].Used);
    }

    [Fact]
    public void KeysOfANewerServer_SurviveRewriting()
    {
        (Leases leases, StoreContents store) = WithMember();
        foreach (string key in (string[])["m/2", "n"])
        {
            byte[] extended = Extend(Find(store, key)!);
            store = store.Apply(new StoreCommit(Guid.NewGuid(), [], [new StoreWrite(key, extended), new StoreWrite("r/new", [1])]), out _);
        }

        leases.TakeOver(store.ChangesAfter(leases.Revision));
        leases.Acquire(Key(1), "renamed", [], Start);
        leases.Acquire(Key(2), "b", [], Start);
        Apply(leases, ref store);

        foreach (string key in (string[])["m/2", "n"])
        {
            Assert.True(CborMap.TryRead(Find(store, key)!, out CborMap? map));
            Assert.True(map.TryGet(77, FieldKinds.Array(FieldKinds.Text, 2, 2), out IReadOnlyList<string>? added));
            Assert.Equal(["x", "y"], added);
        }

        Assert.Equal(["renamed", "b"], LeaseCodec.ReadAll(store).Select(lease => lease.Name));
        Assert.NotNull(Find(store, "r/new"));
    }

    [Fact]
    public void Groups_AreCommitted_SurviveWhatTheMemberDoes_AndAreTakenOver()
    {
        (Leases leases, StoreContents store) = WithMember();
        long generation = leases.Generation;
        leases.Set(Key(1), Groups("office"), Start);
        Assert.True(leases.Generation > generation);
        Assert.Equal("m/2", Assert.Single(Apply(leases, ref store).Write).Key);
        leases.Set(Key(1), Groups("office"), Start);
        Assert.Empty(leases.Plan().Write);
        leases.OnFailed();
        LightTunnelException unknown = Assert.Throws<LightTunnelException>(() => leases.Set(Key(7), Groups("office"), Start));
        Assert.Equal(LightTunnelError.NotFound, unknown.Error);

        generation = leases.Generation;
        leases.SetOnline(Key(1), online: true, Start.AddHours(1));
        leases.NoteUsed(Key(1));
        Assert.Equal(generation, leases.Generation);
        leases.Acquire(Key(1), "renamed", [Address("10.0.0.9")], Start);
        Assert.True(leases.Generation > generation);
        Apply(leases, ref store);
        Assert.Equal(["office"], Assert.Single(LeaseCodec.ReadAll(store)).Groups);

        Leases other = Create();
        other.TakeOver(store.ChangesAfter(0));
        generation = other.Generation;
        leases.Set(Key(1), Groups(), Start);
        Apply(leases, ref store);
        other.TakeOver(store.ChangesAfter(other.Revision));
        Assert.Empty(other.ByKey(Key(1))!.Groups);
        Assert.True(other.Generation > generation);
    }

    [Fact]
    public void WhatAnAdminSets_IsNotUndoneByTheMember()
    {
        (Leases leases, StoreContents store) = WithMember();
        leases.Set(Key(1), new MemberSettings { Name = "reception", Addresses = [Address("10.0.0.50")] }, Start);
        StoreCommit commit = Apply(leases, ref store);
        Assert.Equal(["a/10.0.0.2", "a/10.0.0.50", "m/2"], commit.Write.Select(write => write.Key).Order(StringComparer.Ordinal));

        LeaseResult result = leases.Acquire(Key(1), "a", [Address("10.0.0.2"), Address("fd00::2")], Start);
        Assert.Equal("reception", result.Lease!.Name);
        Assert.Equal([Address("10.0.0.50"), Address("fd00::2")], result.Lease.Addresses);
        Assert.Empty(leases.Plan().Write);
        leases.OnFailed();

        // What it has given up is another's to have.
        LeaseResult other = leases.Acquire(Key(2), "a", [Address("10.0.0.2")], Start);
        Assert.Equal(("a", Address("10.0.0.2")), (other.Lease!.Name, other.Lease.Addresses[0]));
    }

    [Theory]
    [InlineData("B", null, LightTunnelError.NameInUse)]
    [InlineData("hub", null, LightTunnelError.NameInUse)]
    [InlineData("no name", null, LightTunnelError.InvalidName)]
    [InlineData(null, "10.0.0.3", LightTunnelError.AddressTaken)]
    [InlineData(null, "10.0.0.1", LightTunnelError.InvalidAddress)]
    [InlineData(null, "10.0.0.255", LightTunnelError.InvalidAddress)]
    [InlineData(null, "10.0.1.5", LightTunnelError.InvalidAddress)]
    [InlineData(null, "10.0.0.5 10.0.0.6", LightTunnelError.InvalidAddress)]
    [InlineData("c", "10.0.0.3", LightTunnelError.AddressTaken)]
    public void WhatAnAdminCannotSet_IsAnError_AndChangesNothing(string? name, string? addresses, LightTunnelError error)
    {
        var leases = new Leases([Interface("10.0.0.1/24")], serverName: "hub");
        StoreContents store = StoreContents.Empty;
        leases.Acquire(Key(1), "a", [], Start);
        leases.Acquire(Key(2), "b", [], Start);
        Apply(leases, ref store);

        var settings = new MemberSettings { Name = name, Addresses = addresses?.Split(' ').Select(Address).ToArray() };
        LightTunnelException thrown = Assert.Throws<LightTunnelException>(() => leases.Set(Key(1), settings, Start));
        Assert.Equal(error, thrown.Error);
        Assert.NotEmpty(thrown.RecommendedAction);
        Assert.NotNull(thrown.Target);
        Assert.False(leases.HasChanges);
        Assert.Equal(("a", Address("10.0.0.2")), (leases.ByKey(Key(1))!.Name, leases.ByKey(Key(1))!.Addresses[0]));
        Assert.Null(leases.ByAddress(Address("10.0.0.5")));
    }

    [Fact]
    public void EntryOfAnyBytes_IsReadOrIsNot_AndIsNoReasonToStop()
    {
        (Leases leases, StoreContents store) = WithMember();
        MemberSettings all = Groups("office", "printers") with
        {
            Name = "named", Addresses = [Address("10.0.0.5")], ExpiresIn = TimeSpan.FromDays(1),
        };
        leases.Set(Key(1), all, Start);
        Apply(leases, ref store);
        var mutator = new ByteMutator(3);
        int read = 0;
        for (int i = 0; i < Fuzz.Count(5000); i++)
        {
            foreach (string key in (string[])["m/2", "n"])
            {
                byte[] value = i % 20 == 0 ? mutator.Random(i % 200) : mutator.Mutate(Find(store, key)!);
                StoreContents hostile = store.Apply(new StoreCommit(Guid.NewGuid(), [], [new StoreWrite(key, value)]), out _);
                Leases other = Create();
                other.TakeOver(hostile.ChangesAfter(0));
                read += other.Count;
                other.Acquire(Key(9), "new", [], Start);
                other.Plan();
            }
        }

        Assert.InRange(read, Fuzz.Count(5000), Fuzz.Count(10_000) - 1);
    }

    [Fact]
    public void TakeOver_TellsWhatOthersChanged_AndKeepsWhoIsOnline()
    {
        (Leases leases, StoreContents store) = WithMember();
        leases.SetOnline(Key(1), online: true, Start);
        Leases other = Create();
        other.TakeOver(store.ChangesAfter(0));
        other.Acquire(Key(1), "renamed", [], Start);
        other.Acquire(Key(2), "b", [], Start);
        Apply(other, ref store);

        LeaseNews news = leases.TakeOver(store.ChangesAfter(leases.Revision));
        Assert.Empty(news.Ended);
        Assert.Equal(["renamed", "b"], news.Current.Select(lease => lease.Name));
        Assert.True(leases.IsOnline(Key(1)));
        Assert.Equal(4u, leases.NextMemberId);

        other.Remove(Key(2));
        Apply(other, ref store);
        Assert.Equal([Key(2)], leases.TakeOver(store.ChangesAfter(leases.Revision)).Ended.Select(lease => lease.PublicKey));
        Assert.Empty(leases.TakeOver(store.ChangesAfter(leases.Revision)).Current);
    }

    [Fact]
    public void LastCommit_WhileOneIsUnderWay_HasWhatTheOtherHasNot()
    {
        (Leases leases, StoreContents store) = WithMember();
        leases.Acquire(Key(2), "b", [], Start);
        StoreCommit first = leases.Plan();
        leases.SetOnline(Key(1), online: false, Start.AddHours(1));
        leases.NoteUsed(Key(2));
        StoreCommit last = leases.Plan();

        Assert.Equal("m/2", Assert.Single(last.Write).Key);
        store = store.Apply(first, out CommitAnswer one).Apply(last, out CommitAnswer other);
        Assert.Equal((CommitOutcome.Applied, CommitOutcome.Applied), (one.Outcome, other.Outcome));
        Assert.Equal(2, LeaseCodec.ReadAll(store).Count);
    }

    [Property(MaxTest = 30)]
    public void Servers_ThatShareAStore_InAnyOrder_GrantEachAddressOnce(int seed)
    {
        var random = new Random(seed);
        StoreContents store = StoreContents.Empty;
        Leases[] servers = [Small(), Small(), Small()];
        StoreCommit?[] plans = new StoreCommit?[servers.Length];
        var joining = new PublicKey[servers.Length];
        int granted = 0;
        for (int step = 0; step < 400; step++)
        {
            int at = random.Next(servers.Length);
            Leases leases = servers[at];
            if (plans[at] is not { } plan)
            {
                joining[at] = Key(random.Next(40));
                TunnelAddress[] wanted = random.Next(3) == 0 ? [TunnelAddress.FromIPv4(0x0A000000 + (uint)random.Next(2, 14))] : [];
                if (random.Next(6) == 0)
                    leases.Remove(Key(random.Next(40)));
                else
                    leases.Acquire(joining[at], $"name{random.Next(4)}", wanted, Start.AddMinutes(step));
                plans[at] = leases.Plan();
                continue;
            }

            plans[at] = null;
            store = store.Apply(plan, out CommitAnswer answer);
            if (answer.Outcome == CommitOutcome.Applied)
            {
                leases.OnApplied(plan, answer.Revision);
                granted++;
            }
            else
            {
                leases.OnFailed();
                leases.TakeBack([joining[at]]);
                leases.TakeOver(store.ChangesAfter(leases.Revision));
            }

            AssertConsistent(store);
        }

        Assert.True(granted > 20);
        foreach (Leases leases in servers)
            leases.TakeOver(store.ChangesAfter(leases.Revision));
    }

    /// <summary>What older servers wrote is read, and the other way round.</summary>
    [Fact]
    public void Entries_HaveTheseBytes()
    {
        var lease = new Lease
        {
            MemberId = 2,
            PublicKey = Key(1),
            Name = "a",
            Addresses = [Address("10.0.0.2"), Address("fd00::2")],
            Created = Start,
            LastSeen = Start.AddHours(1),
            Used = true,
        };
        const string Begin = "01616102582046D086824097E4A395CFFF46699C73C4A1CD1034135B4EA36F84A54ADF7A0EA003";
        const string Address4And6 = "82440A00000250FD000000000000000000000000000002";
        const string Times = "041B08DE48C8B4F80000051B08DE48D116BC6800";
        Assert.Equal(["A5" + Begin + Address4And6 + Times, "02", "02", "02"], Bytes(lease, null));
        Assert.Equal("A6" + Begin + "80" + Times + "06F5", Bytes(lease with { Addresses = [], Used = false }, null).First());

        Assert.Equal(
            "A6" + Begin + Address4And6 + Times + "08826161666F6666696365", Bytes(lease with { Groups = ["a", "office"] }, null).First());
        Assert.Equal("A6" + Begin + Address4And6 + Times + "0CF5", Bytes(lease with { IsPlain = true }, null).First());

        Assert.Equal(
            "A7" + Begin + Address4And6 + Times + "09F50AF5", Bytes(lease with { IsNamed = true, IsPlaced = true }, null).First());

        Assert.Equal(
            "A7" + Begin + Address4And6 + Times + "0D1B08DE48D116BC68000EF5",
            Bytes(lease with { Expires = Start.AddHours(1), IsExpirySet = true }, null).First());

        // What was said and is so no more goes; what nobody here knows stays.
        Assert.Equal("A6" + Begin + Address4And6 + Times + "184D8261786179", Bytes(lease, "A206F5184D8261786179").First());
        Assert.Equal("A20164686F6D650207", Convert.ToHexString(LeaseCodec.WriteNetwork("home", 7, isInvitedOnly: false, null)));
        Assert.Equal("A30164686F6D65020703F5", Convert.ToHexString(LeaseCodec.WriteNetwork("home", 7, isInvitedOnly: true, null)));
        Assert.Equal(
            "A202081603",
            Convert.ToHexString(LeaseCodec.WriteNetwork(null, 8, isInvitedOnly: false, Convert.FromHexString("A30164686F6D6502071603"))));

        static IEnumerable<string> Bytes(Lease lease, string? before) =>
            LeaseCodec.EntriesOf(lease, before is null ? null : Convert.FromHexString(before))
                .Select(entry => Convert.ToHexString(entry.Value));
    }

    /// <summary>Every address and key has one owner, which says the same of itself.</summary>
    private static void AssertConsistent(StoreContents store)
    {
        IReadOnlyList<Lease> leases = LeaseCodec.ReadAll(store);
        Assert.Equal(leases.Count, leases.Select(lease => lease.PublicKey).Distinct().Count());
        TunnelAddress[] addresses = [.. leases.SelectMany(lease => lease.Addresses)];
        Assert.Equal(addresses.Length, addresses.Distinct().Count());
        IEnumerable<string> expected = leases.SelectMany(lease => LeaseCodec.EntriesOf(lease, null).Select(entry => entry.Key)).Append("n");
        Assert.Equal(expected.Order(StringComparer.Ordinal), Keys(store).Order(StringComparer.Ordinal));
        foreach (Lease lease in leases)
        {
            foreach ((string key, byte[] value) in LeaseCodec.EntriesOf(lease, null).Skip(1))
                Assert.Equal(value, Find(store, key));
        }
    }

    private static MemberSettings Groups(params string[] groups) => new() { Groups = groups };

    private static Leases Create() => new([Interface("10.0.0.1/24"), Interface("fd00::1/64")]);

    private static Leases Small() => new([Interface("10.0.0.1/28")]);

    private static (Leases Leases, StoreContents Store) WithMember()
    {
        Leases leases = Create();
        StoreContents store = StoreContents.Empty;
        leases.Acquire(Key(1), "a", [], Start);
        Apply(leases, ref store);
        return (leases, store);
    }

    private static StoreCommit Apply(Leases leases, ref StoreContents store, int mostNotes = int.MaxValue)
    {
        StoreCommit commit = leases.Plan(mostNotes);
        store = store.Apply(commit, out CommitAnswer answer);
        Assert.Equal(CommitOutcome.Applied, answer.Outcome);
        leases.OnApplied(commit, answer.Revision);
        return commit;
    }

    private static IEnumerable<string> Keys(StoreContents store) => store.Entries.Select(entry => entry.Key).Order(StringComparer.Ordinal);

    private static byte[]? Find(StoreContents store, string key) => store.Entries.SingleOrDefault(entry => entry.Key == key)?.Value;

    /// <summary>The map with a key that nobody knows yet.</summary>
    private static byte[] Extend(byte[] value)
    {
        Assert.True(CborMap.TryRead(value, out CborMap? map));
        var writer = new CborWriter(CborConformanceMode.Canonical);
        writer.WriteStartMap(map.Values.Count + 1);
        foreach ((int key, ReadOnlyMemory<byte> old) in map.Values)
        {
            writer.WriteInt32(key);
            writer.WriteEncodedValue(old.Span);
        }

        writer.WriteInt32(77);
        writer.WriteStartArray(2);
        writer.WriteTextString("x");
        writer.WriteTextString("y");
        writer.WriteEndArray();
        writer.WriteEndMap();
        return writer.Encode();
    }
}
