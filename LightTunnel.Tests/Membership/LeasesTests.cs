using FsCheck.Xunit;
using LightTunnel.Addressing;
using LightTunnel.Membership;
using LightTunnel.Membership.Store;
using LightTunnel.WireGuard;
using Xunit;
using static LightTunnel.Tests.Membership.ControlMessageTests;

namespace LightTunnel.Tests.Membership;

public sealed class LeasesTests
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private static Leases Create(params string[] prefixes) => new([.. prefixes.Select(Interface)]);

    private static StoreChanges Stored(uint nextMemberId, params Lease[] leases) =>
        LeaseCodec.ToContents(null, nextMemberId, leases).ChangesAfter(0);

    private static string[] Texts(LeaseResult result)
    {
        Assert.True(result.Granted, result.Refusal?.Text);
        return [.. result.Lease.Addresses.Select(address => address.ToString())];
    }

    [Theory]
    [InlineData("10.0.0.1/29", "10.0.0.2,10.0.0.3,10.0.0.4,10.0.0.5,10.0.0.6")]
    [InlineData("10.0.0.3/30", "10.0.0.1,10.0.0.2")]
    [InlineData("10.0.0.2/29", "10.0.0.1,10.0.0.3,10.0.0.4,10.0.0.5,10.0.0.6")]
    [InlineData("10.0.0.0/31", "10.0.0.1")]
    [InlineData("10.0.0.1/32", "")]
    [InlineData("fd00::1/126", "fd00::2,fd00::3")]
    [InlineData("fd00::1/127", "fd00::")]
    public void TryTakeAny_SmallPrefix_GivesEveryHostAddressOnce(string own, string expected)
    {
        var pool = new AddressPool(Interface(own));
        var given = new List<string>();
        while (pool.TryTakeAny(out TunnelAddress address))
            given.Add(address.ToString());
        Assert.Equal(expected, string.Join(',', given));
        foreach (string text in given)
        {
            pool.Return(Address(text));
            Assert.True(pool.TryTakeAny(out TunnelAddress again));
            Assert.Equal(text, again.ToString());
        }
    }

    [Theory]
    [InlineData("0.0.0.1/0")]
    [InlineData("10.0.0.1/8")]
    [InlineData("fd00::1/64")]
    [InlineData("::1/0")]
    public void TryTakeAny_HugePrefix_CostsWhatItLeases(string own)
    {
        var pool = new AddressPool(Interface(own));
        var given = new HashSet<TunnelAddress>();
        for (int i = 0; i < 20_000; i++)
        {
            Assert.True(pool.TryTakeAny(out TunnelAddress address));
            Assert.True(pool.Prefix.Contains(address));
            Assert.True(given.Add(address));
        }

        Assert.DoesNotContain(Interface(own).Address, given);
    }

    [Fact]
    public void TryTake_LastAddressOfAllIPv6_IsPossible()
    {
        var pool = new AddressPool(Interface("::1/0"));
        TunnelAddress last = TunnelAddress.FromIPv6(UInt128.MaxValue);
        Assert.True(pool.TryTake(last));
        Assert.False(pool.TryTake(last));
    }

    [Fact]
    public void TryTakeAny_ReturnedAddress_RestsUntilNothingElseIsLeft()
    {
        var pool = new AddressPool(Interface("10.0.0.1/29"));
        Assert.True(pool.TryTakeAny(out TunnelAddress first));
        pool.Return(first);
        for (int i = 3; i <= 6; i++)
        {
            Assert.True(pool.TryTakeAny(out TunnelAddress next));
            Assert.Equal($"10.0.0.{i}", next.ToString());
        }

        Assert.True(pool.TryTakeAny(out TunnelAddress again));
        Assert.Equal(first, again);
    }

    /// <summary>Members know who had it, and take whoever has it now for somebody in between.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Acquire_AddressOfARemovedMember_IsNotTheNextOnes_AlsoAfterARestart(bool isRemovedFirst)
    {
        Leases before = Create("10.0.0.1/24", "fd00::1/64");
        foreach (byte key in (byte[])[1, 2, 3])
            before.Acquire(Key(key), $"m{key}", [], Start);
        if (isRemovedFirst)
            Assert.True(before.Remove(Key(2)));
        Leases after = Create("10.0.0.1/24", "fd00::1/64");
        after.TakeOver(Stored(before.NextMemberId, [.. before.All]));
        if (!isRemovedFirst)
            Assert.True(after.Remove(Key(2)));
        Assert.Equal(["10.0.0.5", "fd00::5"], Texts(after.Acquire(Key(4), "m4", [], Start)));

        // A chosen one, too.
        after.Acquire(Key(5), "m5", [Address("10.0.0.6")], Start);
        after.Remove(Key(5));
        Assert.Equal("10.0.0.7", after.Acquire(Key(6), "m6", [], Start).Lease!.Addresses[0].ToString());
        Assert.Equal("10.0.0.3", after.Acquire(Key(7), "m7", [Address("10.0.0.3")], Start).Lease!.Addresses[0].ToString());
    }

    [Property(MaxTest = 100)]
    public void Pool_AnyOrderOfTakingAndReturning_NeverGivesAnAddressTwice(int seed)
    {
        var random = new Random(seed);
        var pool = new AddressPool(Interface("10.0.0.9/28"));
        var taken = new HashSet<TunnelAddress>();
        for (int i = 0; i < 300; i++)
        {
            TunnelAddress some = TunnelAddress.FromIPv4(0x0A000000 + (uint)random.Next(18));
            switch (random.Next(3))
            {
                case 0:
                    Assert.Equal(taken.Count < 13, pool.TryTakeAny(out TunnelAddress any));
                    if (taken.Count < 13)
                        Assert.True(taken.Add(any));
                    break;
                case 1:
                    if (pool.TryTake(some))
                        Assert.True(taken.Add(some));
                    break;
                default:
                    pool.Return(some);
                    taken.Remove(some);
                    break;
            }
        }

        Assert.DoesNotContain(Address("10.0.0.0"), taken);
        Assert.DoesNotContain(Address("10.0.0.9"), taken);
        Assert.DoesNotContain(Address("10.0.0.15"), taken);
        Assert.DoesNotContain(Address("10.0.0.16"), taken);
    }

    [Fact]
    public void Acquire_Automatic_GivesOneAddressOfEachPrefixAndTheSameAgain()
    {
        Leases leases = Create("10.0.0.1/24", "fd00::1/64");
        LeaseResult first = leases.Acquire(Key(1), "a", [], Start);
        Assert.Equal(["10.0.0.2", "fd00::2"], Texts(first));
        Assert.Equal(2u, first.Lease!.MemberId);
        Assert.Equal(["10.0.0.3", "fd00::3"], Texts(leases.Acquire(Key(2), "b", [], Start)));
        LeaseResult again = leases.Acquire(Key(1), "renamed", [], Start.AddDays(1));
        Assert.Equal(["10.0.0.2", "fd00::2"], Texts(again));
        Assert.Equal((2u, "renamed", Start), (again.Lease!.MemberId, again.Lease.Name, again.Lease.Created));
        Assert.Equal(2, leases.Count);
    }

    [Fact]
    public void Acquire_AskedFor_IsGivenUnlessItBelongsToAnother()
    {
        Leases leases = Create("10.0.0.1/24");
        Assert.Equal(["10.0.0.20"], Texts(leases.Acquire(Key(1), "a", [Address("10.0.0.20")], Start)));
        LeaseResult refused = leases.Acquire(Key(2), "b", [Address("10.0.0.20")], Start.AddDays(400));
        Assert.False(refused.Granted);
        Assert.Equal(RefusalReason.AddressTaken, refused.Refusal.Reason);
        Assert.Contains(
            string.Create(
                System.Globalization.CultureInfo.InvariantCulture,
                $"10.0.0.20 belongs to a, offline since {Start.UtcDateTime:yyyy-MM-dd HH:mm} UTC"),
            refused.Refusal.Text, StringComparison.Ordinal);
        leases.SetOnline(Key(1), online: true, Start);
        Assert.Contains(
            "which is online", leases.Acquire(Key(2), "b", [Address("10.0.0.20")], Start).Refusal!.Text, StringComparison.Ordinal);
        leases.SetOnline(Key(1), online: false, Start);
        Assert.Null(leases.ByKey(Key(2)));
        Assert.Equal(Key(1), leases.ByAddress(Address("10.0.0.20"))!.PublicKey);
        Assert.Equal(["10.0.0.2"], Texts(leases.Acquire(Key(2), "b", [], Start)));
        Assert.Equal(3u, leases.ByKey(Key(2))!.MemberId);
    }

    [Fact]
    public void Acquire_MemberAsksForAnotherFreeAddress_ChangesItAndFreesTheOldOne()
    {
        Leases leases = Create("10.0.0.1/24", "fd00::1/64");
        leases.Acquire(Key(1), "a", [], Start);
        Assert.Equal(["10.0.0.50", "fd00::2"], Texts(leases.Acquire(Key(1), "a", [Address("10.0.0.50")], Start)));
        Assert.Null(leases.ByAddress(Address("10.0.0.2")));
        Assert.Equal(["10.0.0.2", "fd00::9"], Texts(leases.Acquire(Key(2), "b", [Address("fd00::9"), Address("10.0.0.2")], Start)));
        Assert.Equal(RefusalReason.AddressTaken, leases.Acquire(Key(1), "a", [Address("10.0.0.2")], Start).Refusal!.Reason);
        Assert.Equal(["10.0.0.50", "fd00::2"], Texts(leases.Acquire(Key(1), "a", [], Start)));
    }

    [Theory]
    [InlineData("10.0.0.1")]
    [InlineData("10.0.0.0")]
    [InlineData("10.0.0.255")]
    [InlineData("10.0.1.5")]
    [InlineData("fd00::5")]
    [InlineData("10.0.0.5,10.0.0.6")]
    public void Acquire_AddressThatNoMemberCanHave_IsRefused(string requested)
    {
        Leases leases = Create("10.0.0.1/24");
        LeaseResult result = leases.Acquire(Key(1), "a", [.. requested.Split(',').Select(Address)], Start);
        Assert.Equal(RefusalReason.AddressUnusable, result.Refusal!.Reason);
        Assert.Equal(0, leases.Count);
    }

    [Fact]
    public void Acquire_PoolExhausted_EvictsTheLongestOfflineAfterSevenDays()
    {
        Leases leases = Create("10.0.0.1/29");
        for (int i = 0; i < 5; i++)
        {
            PublicKey id = leases.Acquire(Key(i), $"m{i}", [], Start).Lease!.PublicKey;
            leases.SetOnline(id, true, Start);
            leases.SetOnline(id, i == 0, Start.AddHours(10 - i)); // Member 0 stays online; 4 left first.
        }

        DateTimeOffset early = Start.AddHours(6).AddDays(7);
        LeaseResult refused = leases.Acquire(Key(9), "new", [], early);
        Assert.Equal(RefusalReason.AddressPoolExhausted, refused.Refusal!.Reason);
        Assert.Equal(5, leases.Count);

        LeaseResult granted = leases.Acquire(Key(9), "new", [], early.AddSeconds(1));
        Assert.Equal(["10.0.0.6"], Texts(granted));
        Assert.Equal("m4", granted.Evicted!.Name);
        Assert.Null(leases.ByKey(Key(4)));
        Assert.Equal(7u, granted.Lease!.MemberId);

        for (int i = 0; i < 4; i++)
            leases.SetOnline(Key(i), true, early);
        leases.SetOnline(granted.Lease.PublicKey, true, early);
        Assert.False(leases.Acquire(Key(10), "newer", [], early.AddYears(1)).Granted);
    }

    [Fact]
    public void Acquire_TooManyKeys_IsBounded()
    {
        var leases = new Leases([Interface("fd00::1/64")], TimeSpan.FromDays(1), maximumCount: 3);
        for (int i = 0; i < 3; i++)
            leases.NoteUsed(leases.Acquire(Key(i), "x", [], Start.AddHours(i)).Lease!.PublicKey);
        Assert.Equal(RefusalReason.AddressPoolExhausted, leases.Acquire(Key(8), "x", [], Start.AddHours(24)).Refusal!.Reason);
        LeaseResult granted = leases.Acquire(Key(8), "x", [], Start.AddHours(24.5));
        Assert.Equal(Key(0), granted.Evicted!.PublicKey);
        Assert.Equal(3, leases.Count);
    }

    [Fact]
    public void Restore_AfterARestart_GivesTheSameAddressesAndNewIds()
    {
        Leases before = Create("10.0.0.1/24", "fd00::1/64");
        before.Acquire(Key(1), "a", [Address("10.0.0.77")], Start);
        before.Acquire(Key(2), "b", [], Start);
        before.RemoveOfflineSince(Start);
        Leases after = Create("10.0.0.1/24", "fd00::1/64");
        after.TakeOver(Stored(before.NextMemberId, [.. before.All]));
        Assert.Equal(["10.0.0.77", "fd00::2"], Texts(after.Acquire(Key(1), "a", [], Start)));
        Assert.Equal(4u, after.Acquire(Key(3), "c", [], Start).Lease!.MemberId);
        Assert.Equal("10.0.0.4", after.ByKey(Key(3))!.Addresses[0].ToString());
    }

    [Fact]
    public void Restore_PrefixChangedOrListDamaged_KeepsIdsAndGivesNewAddresses()
    {
        Lease lease = new()
        {
            MemberId = 5,
            PublicKey = Key(1),
            Name = "a",
            Addresses = [Address("10.0.0.7")],
            Created = Start,
            LastSeen = Start,
        };
        Leases leases = Create("10.9.0.1/24");
        leases.TakeOver(Stored(
            2, lease, lease, lease with { MemberId = 1, PublicKey = Key(2) },
            lease with { MemberId = 6, PublicKey = Key(3), Addresses = [Address("10.9.0.1")] }));
        Assert.Equal(2, leases.Count);
        LeaseResult result = leases.Acquire(Key(1), "a", [], Start);
        Assert.Equal(["10.9.0.2"], Texts(result));
        Assert.Equal(5u, result.Lease!.MemberId);
        Assert.Equal(7u, leases.NextMemberId);
        Assert.Equal(["10.9.0.3"], Texts(leases.Acquire(Key(3), "c", [], Start)));
    }

    [Fact]
    public void RemoveOfflineSince_LongGone_AreForgottenAndOnlineOnesKept()
    {
        Leases leases = Create("10.0.0.1/24");
        for (int i = 0; i < 4; i++)
            leases.Acquire(Key(i), "x", [], Start.AddDays(i));
        leases.SetOnline(Key(0), true, Start);
        Assert.True(leases.IsOnline(Key(0)));
        Assert.Equal([3u, 4u], leases.RemoveOfflineSince(Start.AddDays(2.5)).Select(lease => lease.MemberId));
        Assert.Equal(2, leases.Count);
        Assert.NotNull(leases.ById(2));
        Assert.Null(leases.ByAddress(Address("10.0.0.3")));
        Assert.Null(leases.SetOnline(Key(1), true, Start));
    }

    [Fact]
    public void Acquire_NameOfAnother_GetsANumber_AndKeepsIt()
    {
        var leases = new Leases([Interface("10.0.0.1/24")], serverName: "hub");
        Assert.Equal("laptop", NameOf(1, "laptop"));
        Assert.Equal("LAPTOP-1", NameOf(2, "LAPTOP"));
        Assert.Equal("laptop-2", NameOf(3, "laptop"));
        Assert.Equal("laptop-2", NameOf(3, "laptop"));
        Assert.Equal("Hub-1", NameOf(4, "Hub"));
        Assert.Equal("laptop-2-1", NameOf(5, "laptop-2"));
        Assert.Equal("desk", NameOf(1, "desk"));
        Assert.Equal("laptop", NameOf(3, "laptop"));
        Assert.Equal("laptop-2", NameOf(5, "laptop-2"));
        Assert.Equal(leases.ByKey(Key(3)), leases.ByName("Laptop"));
        Assert.Null(leases.ByName("hub"));
        string longest = new('n', NodeName.MaximumLength);
        Assert.Equal(longest, NameOf(6, longest));
        Assert.Equal(longest[..^2] + "-1", NameOf(7, longest));

        string NameOf(int key, string asked) => leases.Acquire(Key(key), asked, [], Start).Lease!.Name;
    }

    [Fact]
    public void Acquire_ThousandsOfOneName_AreAllUnique()
    {
        Leases leases = Create("fd00::1/64");
        for (int i = 0; i < 5000; i++)
            leases.Acquire(Key(i), "x", [], Start);
        Assert.Equal(5000, leases.All.Select(lease => lease.Name).Distinct(StringComparer.OrdinalIgnoreCase).Count());
        Assert.All(leases.All, lease => Assert.True(NodeName.IsValid(lease.Name)));
    }

    [Fact]
    public void Restore_TwoOfOneName_AreToldApart()
    {
        Lease lease = new()
        {
            MemberId = 5,
            PublicKey = Key(1),
            Name = "a",
            Addresses = [Address("10.0.0.7")],
            Created = Start,
            LastSeen = Start,
            Used = true,
        };
        var leases = new Leases([Interface("10.0.0.1/24")], serverName: "hub");
        leases.TakeOver(Stored(
            8, lease, lease with { MemberId = 6, PublicKey = Key(2) }, lease with { MemberId = 7, PublicKey = Key(3), Name = "hub" }));
        Assert.Equal(["a", "a-1", "hub-1"], leases.All.Select(each => each.Name));
    }

    [Fact]
    public void PlainClient_KeepsItsLease_WhateverTimePasses_AndIsNeverInTheWayOfRemoval()
    {
        Leases leases = Create("10.0.0.1/30");
        Lease plain = leases.Acquire(Key(1), "phone", [], Start, isPlain: true).Lease!;
        DateTimeOffset later = Start.AddYears(1);
        Assert.Empty(leases.RemoveUnused(later, _ => false));
        Assert.Empty(leases.RemoveOfflineSince(later));
        LeaseResult another = leases.Acquire(Key(2), "x", [], later);
        Assert.Equal((false, RefusalReason.AddressPoolExhausted), (another.Granted, another.Refusal!.Reason));

        // Nor after a restart, and after it came and went.
        Leases restarted = Create("10.0.0.1/30");
        restarted.TakeOver(Stored(3, plain));
        Assert.True(restarted.ByKey(Key(1))!.IsPlain);
        restarted.SetOnline(Key(1), online: true, later);
        restarted.SetOnline(Key(1), online: false, later);
        Assert.Empty(restarted.RemoveOfflineSince(later.AddYears(1)));
        Assert.True(restarted.Remove(Key(1)));
        Assert.True(restarted.Acquire(Key(2), "x", [], later).Granted);
    }

    [Fact]
    public void RemoveUnused_WhoCameForAMomentOnly_LosesItsLeaseAfterMinutes()
    {
        Leases leases = Create("10.0.0.1/24");
        for (int i = 0; i < 5; i++)
            leases.SetOnline(leases.Acquire(Key(i), "x", [], Start).Lease!.PublicKey, true, Start);
        leases.SetOnline(Key(0), false, Start.AddSeconds(30)); // A ghost.
        leases.SetOnline(Key(1), false, Start.AddMinutes(2)); // Was here long enough.
        leases.NoteUsed(Key(2));
        leases.SetOnline(Key(2), false, Start.AddSeconds(30));
        leases.SetOnline(Key(3), false, Start.AddSeconds(30));

        Assert.Empty(leases.RemoveUnused(Start.AddMinutes(5), _ => false));
        Assert.Equal([Key(0)], leases.RemoveUnused(Start.AddMinutes(6), member => member == Key(3)).Select(lease => lease.PublicKey));
        Assert.Empty(leases.RemoveUnused(Start.AddDays(1), _ => false));
        Assert.Null(leases.ByAddress(Address("10.0.0.2")));
        Assert.Null(leases.ByName("x"));
        Assert.All(leases.All, lease => Assert.True(lease.Used));
        Assert.Equal(4, leases.Count);
    }

    [Fact]
    public void Acquire_PoolExhausted_UnusedLeasesGoFirst()
    {
        Leases leases = Create("10.0.0.1/29");
        for (int i = 0; i < 5; i++)
        {
            leases.SetOnline(leases.Acquire(Key(i), "x", [], Start).Lease!.PublicKey, true, Start);
            leases.SetOnline(Key(i), false, Start.AddSeconds(60 - i));
        }

        leases.NoteUsed(Key(4));
        LeaseResult granted = leases.Acquire(Key(9), "new", [], Start.AddSeconds(61));
        Assert.Equal(Key(3), granted.Evicted!.PublicKey);
        Assert.Equal(["10.0.0.5"], Texts(granted));
    }

    [Theory]
    [InlineData("10.0.0.1/24", 253)]
    [InlineData("10.0.0.0/31", 1)]
    [InlineData("10.0.0.1/32", 0)]
    [InlineData("fd00::1/64", Leases.DefaultMaximumCount)]
    [InlineData("::1/0", Leases.DefaultMaximumCount)]
    public void Capacity_OfAPrefix_IsWhatMembersCanHave(string own, int expected) => Assert.Equal(expected, Create(own).Capacity);

    [Property(MaxTest = 60)]
    public void Leases_AnyHistory_AddressesBelongToOneKeyAndIdsAreStable(int seed)
    {
        var random = new Random(seed);
        Leases leases = Create("10.0.0.1/28", "fd00::1/124");
        var ids = new Dictionary<uint, PublicKey>();
        for (int i = 0; i < 200; i++)
        {
            PublicKey key = Key(random.Next(25));
            DateTimeOffset now = Start.AddDays(i);
            TunnelAddress[] requested = random.Next(3) switch
            {
                0 => [TunnelAddress.FromIPv4(0x0A000000 + (uint)random.Next(17))],
                1 => [TunnelAddress.FromIPv6((UInt128)0xfd00 << 112 | (UInt128)(uint)random.Next(17))],
                _ => [],
            };
            LeaseResult result = leases.Acquire(key, "n", requested, now);
            if (result.Lease is { } lease)
            {
                Assert.True(ids.TryAdd(lease.MemberId, key) || ids[lease.MemberId] == key);
                Assert.Equal(2, lease.Addresses.Count);
                Assert.All(requested, address => Assert.Contains(address, lease.Addresses));
                leases.SetOnline(key, random.Next(2) == 0, now);
            }

            List<TunnelAddress> all = [.. leases.All.SelectMany(each => each.Addresses)];
            Assert.Equal(all.Count, all.Distinct().Count());
            Assert.Equal(leases.Count, leases.All.Select(each => each.Name).Distinct(StringComparer.OrdinalIgnoreCase).Count());
            Assert.All(leases.All, each => Assert.Equal(each, leases.ByName(each.Name)));
            Assert.All(leases.All, each => Assert.All(each.Addresses, address => Assert.Equal(each, leases.ByAddress(address))));
        }
    }
}
