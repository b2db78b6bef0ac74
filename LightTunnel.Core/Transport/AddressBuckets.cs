using LightTunnel.Addressing;
using LightTunnel.Packets;
using LightTunnel.Timing;

namespace LightTunnel.Transport;

/// <summary>
/// A token bucket for each address that strangers name, in fixed memory however many they are: addresses that fall on one place share its
/// bucket, which ones nobody outside can know. For one thread.
/// </summary>
/// <param name="salt">What decides the places; seeded in simulations.</param>
/// <param name="ratePerSecond">Tokens that come back in a second.</param>
/// <param name="burst">Tokens of a full bucket.</param>
internal sealed class AddressBuckets(Random salt, double ratePerSecond, int burst)
{
    private const int Places = 4096;

    private readonly ulong _salt = (ulong)salt.NextInt64();
    private TokenBucket[]? _buckets;

    /// <summary>
    /// Takes one token of an address, as <see cref="UdpEndpoint.Subscriber"/> or <see cref="UdpEndpoint.MappedAddress"/> says it; false
    /// when there is none.
    /// </summary>
    public bool TryTake(UInt128 address, Timestamp now) => BucketOf(address).TryTake(now, ratePerSecond, burst);

    /// <summary>True when the address has a token.</summary>
    public bool HasToken(UInt128 address, Timestamp now) => BucketOf(address).HasToken(now, ratePerSecond, burst);

    private ref TokenBucket BucketOf(UInt128 address)
    {
        // Multiply and shift, twice: the upper bits depend on all of the address and of the salt.
        ulong mixed = ((ulong)(address >> 64) ^ _salt) * 0x9E37_79B9_7F4A_7C15;
        mixed = (mixed ^ (mixed >> 32) ^ (ulong)address) * (_salt | 1);
        mixed = (mixed ^ (mixed >> 29)) * 0xBF58_476D_1CE4_E5B9;
        return ref (_buckets ??= new TokenBucket[Places])[mixed >> 52];
    }
}
