using System.Runtime.Intrinsics;
using LightTunnel.WireGuard.Ciphers;
using LightTunnel.WireGuard.Vectors;
using Xunit;

namespace LightTunnel.Tests.WireGuard;

/// <summary>AEGIS-256 without AES instructions, which no other code has computed before; the published cases are in
/// <see cref="CipherTests"/>.</summary>
public sealed class VectorAegis256Tests
{
    [Fact]
    public void SubBytes_EveryByteAtEveryPlace_IsThatOfFips197()
    {
        for (int value = 0; value < 256; value++)
        {
            byte expected = ReferenceAegis256.SubByte((byte)value), zero = ReferenceAegis256.SubByte(0);
            for (int place = 0; place < 16; place++)
            {
                Vector128<byte> result = ComputedAes.SubBytes(Vector128<byte>.Zero.WithElement(place, (byte)value));
                for (int i = 0; i < 16; i++)
                    Assert.Equal(i == place ? expected : zero, result[i]);
            }
        }
    }

    [Fact]
    public void Round_RandomBlocks_IsThatOfTheInstructions()
    {
        Assert.SkipUnless(AesInstructions.IsSupported, "This processor has no AES instructions.");
        var random = new Random(Fuzz.Seed(197));
        byte[] bytes = new byte[32];
        for (int i = Fuzz.Count(20_000); i > 0; i--)
        {
            random.NextBytes(bytes);
            Vector128<byte> block = Vector128.Create(bytes.AsSpan(0, 16)), key = Vector128.Create(bytes.AsSpan(16));
            Assert.Equal(AesInstructions.Round(block, key), ComputedAes.Round(block, key));
        }
    }

    [Fact]
    public void Seal_EveryLength_IsWhatTheDraftSays()
    {
        var random = new Random(258);
        byte[] key = new byte[32], nonce = new byte[32];
        for (int length = 0; length <= 100; length++)
        {
            byte[] text = new byte[length], actual = new byte[length + Aegis256.TagSize];
            foreach (byte[] bytes in (byte[][])[key, nonce, text])
                random.NextBytes(bytes);
            byte[] expected = ReferenceAegis256.Seal(key, nonce, text);
            foreach (Aegis256Implementation implementation in Aegis256.All.Where(Aegis256.Works))
            {
                using var cipher = implementation.Create(key);
                cipher.Seal(nonce, default, text, actual);
                Assert.Equal(expected, actual);
            }
        }
    }
}
