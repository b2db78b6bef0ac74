using System.Numerics;
using LightTunnel.WireGuard.Vectors;
using Xunit;

namespace LightTunnel.Tests.WireGuard;

public sealed class VectorPoly1305Tests
{
    private const int BlockSize = 16;

    /// <summary>Longer than what any path needs to use its widest vectors some times.</summary>
    private const int LongestMessage = 2100;

    private static readonly BigInteger Prime = BigInteger.Pow(2, 130) - 5;

    public static TheoryData<string> Paths => VectorPaths.OfThisProcessor;

    [Theory]
    [MemberData(nameof(Paths))]
    public void Finish_Rfc8439Message_GivesThePublishedTag(string pathName)
    {
        VectorPath path = Enum.Parse<VectorPath>(pathName);
        int count = 0;
        foreach (string[] vector in ChaCha20Poly1305Vectors.Of("tag"))
        {
            byte[] message = ChaCha20Poly1305Vectors.Bytes(vector[2]);
            var authenticator = new VectorPoly1305(path, ChaCha20Poly1305Vectors.Bytes(vector[1]));
            int whole = message.Length / BlockSize * BlockSize;
            authenticator.AddPadded(message.AsSpan(0, whole));
            if (whole < message.Length)
                authenticator.AddShortBlock(message.AsSpan(whole));
            byte[] tag = new byte[VectorPoly1305.TagSize];
            authenticator.Finish(tag);
            Assert.True(vector[3] == Convert.ToHexStringLower(tag), vector[0]);
            count++;
        }

        Assert.Equal(12, count);
    }

    [Theory]
    [MemberData(nameof(Paths))]
    public void Finish_ExtremeKeysAndMessages_GivesTheTagOfBigNumbers(string pathName)
    {
        VectorPath path = Enum.Parse<VectorPath>(pathName);
        // r and message of all ones make the largest sums of products; r of 0, 1 and 2 leave the message's own carries; the last message
        // makes remainders near the prime.
        byte[] ones = [.. Enumerable.Repeat((byte)0xff, LongestMessage)];
        byte[] nearPrime = [.. Enumerable.Range(0, LongestMessage).Select(i => i % BlockSize == 0 ? (byte)0xfb : (byte)0xff)];
        foreach (byte[] message in (byte[][])[ones, new byte[LongestMessage], nearPrime])
        {
            foreach (byte first in (byte[])[0, 1, 2, 0xff])
            {
                byte[] key = new byte[VectorPoly1305.KeySize];
                key.AsSpan(0, 16).Fill(first == 0xff ? first : (byte)0);
                key[0] = first;
                key.AsSpan(16).Fill(0xff);
                for (int length = 0; length <= LongestMessage; length += length < 160 ? 1 : 29)
                    AssertTag(path, key, message.AsSpan(0, length));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Paths))]
    public void Finish_RandomMessages_GivesTheTagOfBigNumbers(string pathName)
    {
        VectorPath path = Enum.Parse<VectorPath>(pathName);
        var random = new Random(Fuzz.Seed(8439));
        byte[] key = new byte[VectorPoly1305.KeySize];
        byte[] message = new byte[LongestMessage];
        for (int i = Fuzz.Count(1000); i > 0; i--)
        {
            random.NextBytes(key);
            random.NextBytes(message);
            AssertTag(path, key, message.AsSpan(0, random.Next(LongestMessage)));
        }
    }

    /// <summary>RFC 8439 section 2.5.1 by big numbers, the message padded with zeroes, in one part and in two.</summary>
    private static void AssertTag(VectorPath path, byte[] key, ReadOnlySpan<byte> message)
    {
        byte[] clamped = [.. key.AsSpan(0, 16)];
        foreach (int i in (int[])[3, 7, 11, 15])
            clamped[i] &= 15;
        foreach (int i in (int[])[4, 8, 12])
            clamped[i] &= 252;
        var r = new BigInteger(clamped, isUnsigned: true);
        BigInteger sum = BigInteger.Zero;
        byte[] block = new byte[BlockSize + 1];
        for (int i = 0; i < message.Length; i += BlockSize)
        {
            Array.Clear(block);
            message.Slice(i, Math.Min(BlockSize, message.Length - i)).CopyTo(block);
            block[BlockSize] = 1;
            sum = (sum + new BigInteger(block, isUnsigned: true)) * r % Prime;
        }

        sum = (sum + new BigInteger(key.AsSpan(16), isUnsigned: true)) % BigInteger.Pow(2, 128);
        byte[] expected = new byte[VectorPoly1305.TagSize];
        sum.TryWriteBytes(expected, out _, isUnsigned: true);

        byte[] tag = new byte[VectorPoly1305.TagSize];
        var authenticator = new VectorPoly1305(path, key);
        authenticator.AddPadded(message);
        authenticator.Finish(tag);
        Assert.Equal(expected, tag);

        int half = message.Length / 2 / BlockSize * BlockSize;
        authenticator = new VectorPoly1305(path, key);
        authenticator.AddPadded(message[..half]);
        authenticator.AddPadded(message[half..]);
        authenticator.Finish(tag);
        Assert.Equal(expected, tag);
    }
}
