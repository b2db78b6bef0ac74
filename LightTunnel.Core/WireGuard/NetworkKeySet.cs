using System.Security.Cryptography;

namespace LightTunnel.WireGuard;

/// <summary>A key that a network had before, and that is good for known members until its time is over.</summary>
/// <param name="Number">Which of the network's keys it is; 0 where that is not known.</param>
/// <param name="Key">32 bytes.</param>
/// <param name="Until">When it ends, by this node's clock.</param>
internal sealed record FormerNetworkKey(int Number, byte[] Key, DateTimeOffset Until)
{
    /// <summary>Never the secret.</summary>
    public override string ToString() => $"(former network key {Number})";
}

/// <summary>
/// The keys of a network as a node keeps them across restarts: the one of now, those before it whose time is not over, and what earlier
/// ones are recognised by. Immutable; the bytes are shared by copies, and zeroed by who lets go of the last one that has them.
/// </summary>
internal sealed record NetworkKeySet
{
    /// <summary>Most former keys that are good at one time: a handshake and a probe are tried with each.</summary>
    public const int MostFormer = 3;

    /// <summary>
    /// Most earlier keys that are recognised: the first of all is the one that stands in files, so it is not to be forgotten.
    /// </summary>
    public const int MostReplaced = 512;

    /// <summary>The network's key, 32 bytes.</summary>
    public required byte[] Key { get; init; }

    /// <summary>
    /// Which of the network's keys it is (<see cref="NumberOf"/>); 0 for one that was never changed, or of which nothing is known.
    /// </summary>
    public int Number { get; init; }

    /// <summary>When the key was last changed; null for never.</summary>
    public DateTimeOffset? Changed { get; init; }

    /// <summary>Keys of before that known members may still have, the latest first.</summary>
    public IReadOnlyList<FormerNetworkKey> Former { get; init; } = [];

    /// <summary>SHA-256 of keys that others took the place of: who is started with one of them is not meant to go back to it.</summary>
    public IReadOnlyList<byte[]> Replaced { get; init; } = [];

    /// <summary>When the first of the former keys ends; null when there is none.</summary>
    public DateTimeOffset? NextEnd => Former.Count == 0 ? null : Former.Min(key => key.Until);

    /// <summary>
    /// What a node goes on with that is started with a key: those that it keeps, unless the given one is none of theirs. That one comes
    /// first then, as a newer invitation is the likeliest place that it is from.
    /// </summary>
    /// <param name="kept">The keys that the node keeps; null for none.</param>
    /// <param name="given">The key that it is started with, 32 bytes.</param>
    /// <param name="now">The current time.</param>
    /// <param name="keepFormer">How long the ones that it keeps are tried as well.</param>
    public static NetworkKeySet Merge(NetworkKeySet? kept, ReadOnlySpan<byte> given, DateTimeOffset now, TimeSpan keepFormer)
    {
        if (kept is null)
            return new NetworkKeySet { Key = given.ToArray() };
        return kept.Has(given) || kept.IsReplaced(given) ? kept.At(now) : kept.Follow(given, 0, now, keepFormer) with { Changed = null };
    }

    /// <summary>
    /// The number of a key that takes the place of another: above all before it, and the minute of the change, so that a server that was
    /// put back to an earlier state gives its next key another number than the one that is lost.
    /// </summary>
    public static int NumberOf(int before, DateTimeOffset now) =>
        (int)Math.Clamp(now.ToUnixTimeSeconds() / 60, Math.Min((long)before + 1, int.MaxValue), int.MaxValue);

    /// <summary>True when the key is the one of now.</summary>
    public bool Has(ReadOnlySpan<byte> key) => CryptographicOperations.FixedTimeEquals(Key, key);

    /// <summary>True when the key is one that another took the place of.</summary>
    public bool IsReplaced(ReadOnlySpan<byte> key)
    {
        byte[] digest = SHA256.HashData(key);
        return Replaced.Any(one => one.AsSpan().SequenceEqual(digest));
    }

    /// <summary>The keys once another one has taken the place of the one of now.</summary>
    /// <param name="key">The other one, 32 bytes.</param>
    /// <param name="number">Which of the network's keys it is.</param>
    /// <param name="now">The current time.</param>
    /// <param name="grace">How long the one of now, and those before it, are good at most from here on; zero for no longer.</param>
    public NetworkKeySet Follow(ReadOnlySpan<byte> key, int number, DateTimeOffset now, TimeSpan grace)
    {
        byte[] next = key.ToArray();
        DateTimeOffset until = grace > DateTimeOffset.MaxValue - now ? DateTimeOffset.MaxValue : now + grace;
        FormerNetworkKey[] former =
            [new(Number, Key, until), .. Former.Select(one => one with { Until = one.Until < until ? one.Until : until })];
        byte[] digest = SHA256.HashData(next);
        return new NetworkKeySet
        {
            Key = next,
            Number = number,
            Changed = now,
            Former = [.. former.Where(one => one.Until > now && !one.Key.AsSpan().SequenceEqual(next)).Take(MostFormer)],
            Replaced =
            [
                .. Replaced.Prepend(SHA256.HashData(Key)).Where(one => !one.AsSpan().SequenceEqual(digest)).Take(MostReplaced),
            ],
        };
    }

    /// <summary>The keys that are good at a time: this itself when all of them are.</summary>
    public NetworkKeySet At(DateTimeOffset now) =>
        NextEnd <= now ? this with { Former = [.. Former.Where(key => key.Until > now)] } : this;

    /// <summary>Zeroes what this has and another one has not.</summary>
    public void ZeroOthersThan(NetworkKeySet? kept)
    {
        foreach (byte[] key in Former.Select(one => one.Key).Append(Key))
        {
            if (kept is null || (kept.Key != key && kept.Former.All(one => one.Key != key)))
                CryptographicOperations.ZeroMemory(key);
        }
    }

    /// <summary>Never the secrets.</summary>
    public override string ToString() => $"(network key {Number}, and {Former.Count} before it)";
}
