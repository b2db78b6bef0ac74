using System.Globalization;
using LightTunnel.WireGuard.Vectors;
using Xunit;

namespace LightTunnel.Tests.WireGuard;

public sealed class VectorChaCha20Tests
{
    public static TheoryData<string> Paths => VectorPaths.OfThisProcessor;

    [Theory]
    [MemberData(nameof(Paths))]
    public void Fill_Rfc8439Block_IsThePublishedOneHoweverManyFollow(string pathName)
    {
        VectorPath path = Enum.Parse<VectorPath>(pathName);
        byte[] keystream = new byte[VectorChaCha20.MaximumFill];
        int count = 0;
        foreach (string[] vector in ChaCha20Poly1305Vectors.Of("block"))
        {
            byte[] expected = ChaCha20Poly1305Vectors.Bytes(vector[4]);
            uint counter = uint.Parse(vector[3], CultureInfo.InvariantCulture);
            var cipher = new VectorChaCha20(path, ChaCha20Poly1305Vectors.Bytes(vector[1]), ChaCha20Poly1305Vectors.Bytes(vector[2]));
            for (int blocks = 1; blocks <= 16; blocks++)
            {
                Array.Clear(keystream);
                cipher.Fill(counter, blocks, keystream);
                Assert.True(keystream.AsSpan().StartsWith(expected), $"{vector[0]} of {blocks} blocks");
            }

            count++;
        }

        Assert.Equal(10, count);
    }

    [Theory]
    [MemberData(nameof(Paths))]
    public void Fill_Rfc8439Stream_EncryptsToThePublishedCiphertext(string pathName)
    {
        VectorPath path = Enum.Parse<VectorPath>(pathName);
        int count = 0;
        foreach (string[] vector in ChaCha20Poly1305Vectors.Of("stream"))
        {
            byte[] text = ChaCha20Poly1305Vectors.Bytes(vector[4]);
            uint counter = uint.Parse(vector[3], CultureInfo.InvariantCulture);
            byte[] keystream = Keystream(
                path, ChaCha20Poly1305Vectors.Bytes(vector[1]), ChaCha20Poly1305Vectors.Bytes(vector[2]), counter, text.Length);
            for (int i = 0; i < text.Length; i++)
                text[i] ^= keystream[i];
            Assert.Equal(vector[5], Convert.ToHexStringLower(text));
            count++;
        }

        Assert.Equal(4, count);
    }

    [Theory]
    [MemberData(nameof(Paths))]
    public void Fill_AnyNumberOfBlocks_IsOfOneStreamAndNeverLess(string pathName)
    {
        VectorPath path = Enum.Parse<VectorPath>(pathName);
        byte[] key = [.. Enumerable.Range(7, VectorChaCha20.KeySize).Select(i => (byte)(i * 11))];
        byte[] nonce = [.. Enumerable.Range(3, VectorChaCha20.NonceSize).Select(i => (byte)(i * 37))];
        byte[] keystream = new byte[VectorChaCha20.MaximumFill];
        foreach (uint counter in (uint[])[0, 1, 5, 255, uint.MaxValue - 16])
        {
            byte[] expected = Keystream(VectorPath.Portable, key, nonce, counter, VectorChaCha20.MaximumFill);
            int least = VectorChaCha20.BlockSize;
            for (int blocks = 1; blocks <= 20; blocks++)
            {
                int filled = new VectorChaCha20(path, key, nonce).Fill(counter, blocks, keystream);
                Assert.InRange(filled, least, VectorChaCha20.MaximumFill);
                least = filled;
                Assert.Equal(expected.AsSpan(0, filled), keystream.AsSpan(0, filled));
            }
        }
    }

    [Fact]
    public void Constructor_KeyOrNonceOfAnotherSize_IsRefused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() =>
            new VectorChaCha20(VectorPath.Portable, new byte[31], new byte[12]).Fill(0, 1, new byte[1024]));
        Assert.Throws<ArgumentOutOfRangeException>(() =>
            new VectorChaCha20(VectorPath.Portable, new byte[32], new byte[11]).Fill(0, 1, new byte[1024]));
    }

    /// <summary>The keystream, never more than one block asked for at a time.</summary>
    private static byte[] Keystream(VectorPath path, byte[] key, byte[] nonce, uint counter, int length)
    {
        byte[] result = new byte[length];
        byte[] blocks = new byte[VectorChaCha20.MaximumFill];
        var cipher = new VectorChaCha20(path, key, nonce);
        for (int i = 0; i < length; i += VectorChaCha20.BlockSize)
        {
            cipher.Fill(counter + (uint)(i / VectorChaCha20.BlockSize), 1, blocks);
            blocks.AsSpan(0, Math.Min(VectorChaCha20.BlockSize, length - i)).CopyTo(result.AsSpan(i));
        }

        return result;
    }
}
