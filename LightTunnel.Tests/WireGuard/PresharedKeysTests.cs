using LightTunnel.Tests.Membership;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.WireGuard;

/// <summary>A network's keys as they change, and which of them a handshake is made with.</summary>
public sealed class PresharedKeysTests : IDisposable
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly TimeSpan Day = TimeSpan.FromDays(1);

    private readonly LinkWorld _world = new();
    private readonly List<PresharedKeyRing> _rings = [];

    public void Dispose()
    {
        _world.Dispose();
        _rings.ForEach(ring => ring.Dispose());
    }

    [Fact]
    public void Follow_KeepsTheFormerOnes_ForTheirTime_AndNoLonger()
    {
        NetworkKeySet keys = Set(1).Follow(Key(2), 20, Now, 2 * Day).Follow(Key(3), 30, Now + Day, 5 * Day);
        Assert.Equal([Key(3), Key(2), Key(1)], keys.Former.Select(former => former.Key).Prepend(keys.Key));
        Assert.Equal([Now + (6 * Day), Now + (2 * Day)], keys.Former.Select(former => former.Until));
        Assert.Equal(Now + (2 * Day), keys.NextEnd);
        Assert.Same(keys, keys.At(Now + Day));
        Assert.Equal([20], keys.At(Now + (3 * Day)).Former.Select(former => former.Number));
        Assert.Null(keys.At(Now + (7 * Day)).NextEnd);

        // At once ends those before as well.
        Assert.Empty(keys.Follow(Key(4), 40, Now + Day, TimeSpan.Zero).Former);
        Assert.Equal([true, true, false, false], Enumerable.Range(1, 4).Select(seed => keys.IsReplaced(Key(seed))));
        Assert.DoesNotContain(Convert.ToBase64String(Key(3)), $"{keys} {keys.Former[0]}", StringComparison.Ordinal);
    }

    [Fact]
    public void Follow_ForEver_KeepsNoMoreThanCanBeTried()
    {
        NetworkKeySet keys = Set(0);
        for (int i = 1; i < 50; i++)
            keys = keys.Follow(Key(i), i, Now, TimeSpan.MaxValue);
        Assert.True(keys.IsReplaced(Key(0))); // Who is started with the first key of all is known by it.
        Assert.Equal(NetworkKeySet.MostFormer, keys.Former.Count);
        Assert.Equal(49, keys.Replaced.Count);
        Assert.All(keys.Former, former => Assert.Equal(DateTimeOffset.MaxValue, former.Until));

        // One that comes back is none of those before any more.
        keys = keys.Follow(Key(48), 60, Now, Day);
        Assert.DoesNotContain(keys.Former, former => former.Key.AsSpan().SequenceEqual(Key(48)));
        Assert.False(keys.IsReplaced(Key(48)));
    }

    [Fact]
    public void NumberOf_RisesAlways_AndIsOfItsMinute()
    {
        Assert.Equal(Now.ToUnixTimeSeconds() / 60, NetworkKeySet.NumberOf(0, Now));
        int next = NetworkKeySet.NumberOf(0, Now);
        Assert.Equal(next + 1, NetworkKeySet.NumberOf(next, Now));
        Assert.Equal(next + 1, NetworkKeySet.NumberOf(next, Now - (100 * Day)));
        Assert.Equal(int.MaxValue, NetworkKeySet.NumberOf(int.MaxValue, Now));
        Assert.True(NetworkKeySet.NumberOf(0, DateTimeOffset.MinValue) > 0);
    }

    [Fact]
    public void Merge_GoesBackToNoKeyOfBefore_AndTriesAnUnknownOneFirst()
    {
        NetworkKeySet kept = Set(1).Follow(Key(2), 20, Now, Day);
        Assert.Equal(Key(5), NetworkKeySet.Merge(null, Key(5), Now, Day).Key);
        Assert.Same(kept, NetworkKeySet.Merge(kept, Key(1), Now, Day));
        Assert.Same(kept, NetworkKeySet.Merge(kept, Key(2), Now, Day));
        NetworkKeySet late = NetworkKeySet.Merge(kept, Key(1), Now + (2 * Day), Day);
        Assert.Equal(Key(2), late.Key);
        Assert.Empty(late.Former);
        NetworkKeySet unknown = NetworkKeySet.Merge(kept, Key(3), Now, Day);
        Assert.Equal((0, 20), (unknown.Number, unknown.Former[0].Number));
        Assert.Equal([Key(3), Key(2), Key(1)], unknown.Former.Select(former => former.Key).Prepend(unknown.Key));
    }

    [Theory]
    [InlineData(0, 10)]
    [InlineData(9, 10)]
    [InlineData(10, 10)]
    [InlineData(19, 10)]
    [InlineData(20, 20)]
    [InlineData(29, 20)]
    [InlineData(30, 30)]
    [InlineData(int.MaxValue, 30)]
    public void IndexFor_IsTheNewestThatThePeerHas(int peer, int expected)
    {
        PresharedKeyRing ring = Ring((Set(1) with { Number = 10 }).Follow(Key(2), 20, Now, Day).Follow(Key(3), 30, Now, Day));
        Assert.Equal(expected, ring.All[ring.IndexFor(peer)].Number);
        Assert.Equal([30], ring.NewestOnly.All.Select(key => key.Number));
    }

    [Fact]
    public void Take_ZeroesWhatItLetsGoOf()
    {
        PresharedKeyRing ring = Ring(Set(1).Follow(Key(2), 20, Now, Day));
        NumberedKey[] before = [.. ring.All];
        ring.Take(ring.Set.At(Now + (2 * Day)));
        Assert.All(before, key => Assert.Equal(new byte[PresharedKey.Size], key.Key.Bytes));
        Assert.Equal(Key(2), Assert.Single(ring.All).Key.Bytes);
        Assert.Equal(Key(2), ring.NewestOnly.Newest.Key.Bytes);
    }

    /// <summary>Whatever the two have, and whatever the responder thinks that the other has: one common key is enough.</summary>
    [Theory]
    [InlineData(new[] { 1 }, new[] { 2, 1 }, 0, 1)]
    [InlineData(new[] { 1 }, new[] { 2, 1 }, 20, 2)] // It was put back to what it had before.
    [InlineData(new[] { 2 }, new[] { 2, 1 }, 0, 2)] // Nobody has told that it has the next one.
    [InlineData(new[] { 2, 1 }, new[] { 1 }, 0, 1)]
    [InlineData(new[] { 1 }, new[] { 4, 3, 2, 1 }, 40, 4)]
    [InlineData(new[] { 4, 2 }, new[] { 3, 2 }, 40, 2)]
    [InlineData(new[] { 3, 1 }, new[] { 4, 3, 2, 1 }, 30, 1)]
    public void Handshake_ComesAboutByACommonKey(int[] initiators, int[] responders, int told, int attempts)
    {
        (LinkNode a, LinkNode b) = Pair(initiators, responders);
        b.LinkTo(a).PeerKeyNumber = told;
        a.Send(b, 1);
        _world.Advance(6 * attempts);
        Assert.Equal(attempts - 1, a.Table.Counters[LinkEvent.ResponseForged]);
        Assert.Equal(1, Assert.Single(b.Received)[0]);
        Assert.Equal(a.LinkTo(b).AgreedKeyNumber, b.LinkTo(a).AgreedKeyNumber);
        Assert.Contains(b.LinkTo(a).AgreedKeyNumber, initiators.Intersect(responders).Select(key => 10 * key));
        Assert.True(b.LinkTo(a).PeerKeyNumber >= b.LinkTo(a).AgreedKeyNumber);
    }

    [Fact]
    public void Handshake_WithoutACommonKey_NeverComesAbout()
    {
        (LinkNode a, LinkNode b) = Pair([1], [3, 2]);
        a.Send(b, 1);
        _world.Advance(60);
        Assert.False(a.LinkTo(b).HasSession);
        Assert.Empty(b.Received);
    }

    [Fact]
    public void Session_GoesOn_WhenItsKeyIsNoneAnyMore()
    {
        (LinkNode a, LinkNode b) = Pair([1], [1]);
        a.Send(b, 1);
        _world.Deliver();
        foreach (PresharedKeyRing ring in _rings)
            ring.Take(ring.Set.Follow(Key(2), 20, Now, TimeSpan.Zero));
        a.Send(b, 2);
        b.Send(a, 3);
        _world.Deliver();
        Assert.Equal([1, 2], b.Received.Select(packet => packet[0]));
        Assert.Equal(3, Assert.Single(a.Received)[0]);

        a.LinkTo(b).RequestHandshake();
        _world.Advance(6);
        Assert.Equal(20, b.LinkTo(a).AgreedKeyNumber);
    }

    private static byte[] Key(int seed) => new ByteMutator(seed).Random(PresharedKey.Size);

    private static NetworkKeySet Set(int seed) => new() { Key = Key(seed) };

    /// <summary>A node's keys, the newest first; the number of each is ten times what it is made from.</summary>
    private PresharedKeyRing Ring(params int[] seeds)
    {
        NetworkKeySet keys = Set(seeds[^1]) with { Number = 10 * seeds[^1] };
        foreach (int seed in seeds.Reverse().Skip(1))
            keys = keys.Follow(Key(seed), 10 * seed, Now, Day);
        return Ring(keys);
    }

    private PresharedKeyRing Ring(NetworkKeySet keys)
    {
        var ring = new PresharedKeyRing(keys);
        _rings.Add(ring);
        return ring;
    }

    private (LinkNode A, LinkNode B) Pair(int[] first, int[] second)
    {
        LinkNode a = _world.AddNode();
        LinkNode b = _world.AddNode();
        a.Table.Add(b.Key, Ring(first)).Path = b.Address;
        b.Table.Add(a.Key, Ring(second)).Path = a.Address;
        return (a, b);
    }
}
