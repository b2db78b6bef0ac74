using FsCheck.Xunit;
using LightTunnel.Addressing;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Packets;

public sealed class PrefixTableTests
{
    [Fact]
    public void TryLookup_NestedPrefixes_LongestWins()
    {
        PrefixTable<string> table = PrefixTable<string>.Empty
            .With(Prefix("0.0.0.0/0"), "default")
            .With(Prefix("10.0.0.0/8"), "site")
            .With(Prefix("10.0.0.20/32"), "host")
            .With(Prefix("fd00::/8"), "v6");
        Assert.Equal("host", Find(table, "10.0.0.20"));
        Assert.Equal("site", Find(table, "10.0.0.21"));
        Assert.Equal("default", Find(table, "192.0.2.1"));
        Assert.Equal("v6", Find(table, "fd12::1"));
        Assert.Null(Find(table, "2001:db8::1"));
        Assert.Equal(4, table.Count);
    }

    [Fact]
    public void TryLookup_SameBitsOfOtherFamily_AreNotFound()
    {
        PrefixTable<string> table = PrefixTable<string>.Empty.With(Prefix("10.0.0.0/8"), "v4").With(Prefix("::/0"), "v6");
        Assert.Equal("v6", Find(table, "a00::1"));
        Assert.Equal("v4", Find(table, "10.0.0.0"));
        Assert.Null(Find(table.Without(Prefix("::/0")), "a00::1"));
    }

    [Fact]
    public void WithAndWithout_ExistingTable_StaysAsItWas()
    {
        PrefixTable<string> one = PrefixTable<string>.Empty.With(Prefix("10.0.0.0/24"), "a");
        PrefixTable<string> two = one.With(Prefix("10.0.0.0/24"), "b");
        PrefixTable<string> none = two.Without(Prefix("10.0.0.0/24"));
        Assert.Equal(("a", "b", null), (Find(one, "10.0.0.1"), Find(two, "10.0.0.1"), Find(none, "10.0.0.1")));
        Assert.Equal((1, 1, 0), (one.Count, two.Count, none.Count));
        Assert.Same(one, one.Without(Prefix("10.0.0.0/25")));
    }

    [Property(MaxTest = 300)]
    public void RandomChanges_BehaveLikeAList(int seed, bool isIPv4)
    {
        var random = new Random(seed);
        var model = new Dictionary<IpPrefix, int>();
        PrefixTable<int> table = PrefixTable<int>.Empty;
        for (int step = 0; step < 80; step++)
        {
            IpPrefix prefix = RandomPrefix(random, isIPv4);
            if (random.Next(3) == 0)
            {
                IpPrefix removed = model.Count > 0 && random.Next(2) == 0 ? model.Keys.ElementAt(random.Next(model.Count)) : prefix;
                model.Remove(removed);
                table = table.Without(removed);
            }
            else
            {
                model[prefix] = step;
                table = table.With(prefix, step);
            }

            TunnelAddress address = RandomPrefix(random, isIPv4).Network;
            KeyValuePair<IpPrefix, int>[] containing = [.. model.Where(e => e.Key.Contains(address)).OrderByDescending(e => e.Key.Length)];
            Assert.Equal(containing.Length > 0, table.TryLookup(address, out int found));
            if (containing.Length > 0)
                Assert.Equal(containing[0].Value, found);
            Assert.Equal(model.TryGetValue(prefix, out int expected), table.TryGet(prefix, out int exact));
            Assert.Equal(expected, exact);
        }

        Assert.Equal(model.Count, table.Count);
        Assert.Equal(model.OrderBy(e => e.Key.Network).ThenBy(e => e.Key.Length), table);
        foreach (IpPrefix prefix in model.Keys.ToArray())
            table = table.Without(prefix);
        Assert.Empty(table);
        Assert.False(table.TryLookup(RandomPrefix(random, isIPv4).Network, out _));
    }

    [Fact]
    public void Enumeration_BothFamilies_IsInOrder()
    {
        string[] ordered = ["0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/24", "10.0.0.1/32", "192.0.2.0/24", "::/0", "fd00::/8", "fd00::/128"];
        PrefixTable<int> table = PrefixTable<int>.Empty;
        foreach (string text in ordered.Reverse())
            table = table.With(Prefix(text), 0);
        Assert.Equal(ordered, table.Select(e => e.Key.ToString()));
    }

    [Fact]
    public void TryLookup_TenThousandHosts_FindsAllWithoutAllocating()
    {
        PrefixTable<object> table = PrefixTable<object>.Empty;
        var values = new object[10_000];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = new object();
            table = table.With(IpPrefix.Host(TunnelAddress.FromIPv4(0x0A000000 + (uint)i)), values[i]);
        }

        Assert.Equal(values.Length, table.Count);
        bool all = true;
        Allocation.AssertNone(warmUp: 0, count: 1, () =>
        {
            for (int i = 0; i < values.Length; i++)
            {
                all &= table.TryLookup(TunnelAddress.FromIPv4(0x0A000000 + (uint)i), out object? value)
                    && ReferenceEquals(value, values[i]);
            }
        });
        Assert.True(all);
        Assert.False(table.TryLookup(TunnelAddress.FromIPv4(0x0A000000 + 10_000), out _));
    }

    private static string? Find(PrefixTable<string> table, string address) =>
        table.TryLookup(Address(address), out string? value) ? value : null;

    // Few distinct bits, so that prefixes nest and collide; for IPv6 at both ends of the address.
    private static IpPrefix RandomPrefix(Random random, bool isIPv4)
    {
        UInt128 bits = ((UInt128)(uint)random.Next(8) << 96) | ((UInt128)(uint)random.Next(4) << 126);
        if (!isIPv4)
            bits |= ((UInt128)(uint)random.Next(4) << 62) | (uint)random.Next(4);
        int[] lengths = isIPv4 ? [0, 1, 2, 8, 24, 29, 30, 31, 32] : [0, 1, 2, 32, 63, 64, 65, 66, 126, 127, 128];
        return new IpPrefix(TunnelAddress.FromBits(bits, isIPv4), lengths[random.Next(lengths.Length)]);
    }
}
