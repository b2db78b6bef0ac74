using System.Security.Cryptography;
using LightTunnel.WireGuard.Vectors;
using Xunit;

namespace LightTunnel.Tests.WireGuard;

public sealed class VectorChaCha20Poly1305Tests
{
    private const int TagSize = VectorChaCha20Poly1305.TagSize;
    private const int LongestMessage = 4096;

    /// <summary>Messages that share a key: .NET takes longer to set one up than to seal.</summary>
    private const int MessagesPerKey = 100;

    public static TheoryData<string> Paths => VectorPaths.OfThisProcessor;

    [Theory]
    [MemberData(nameof(Paths))]
    public void TryOpen_PublishedCase_OpensOnlyWhatIsAuthentic(string pathName)
    {
        VectorPath path = Enum.Parse<VectorPath>(pathName);
        int count = 0;
        foreach (string[] vector in ChaCha20Poly1305Vectors.Of("aead"))
        {
            byte[] key = ChaCha20Poly1305Vectors.Bytes(vector[1]);
            byte[] nonce = ChaCha20Poly1305Vectors.Bytes(vector[2]);
            byte[] associatedData = ChaCha20Poly1305Vectors.Bytes(vector[3]);
            byte[] plaintext = ChaCha20Poly1305Vectors.Bytes(vector[4]);
            byte[] expected = ChaCha20Poly1305Vectors.Bytes(vector[5]);
            bool valid = vector[6] == "valid";

            byte[] opened = new byte[plaintext.Length];
            Assert.True(valid == VectorChaCha20Poly1305.TryOpen(path, key, nonce, associatedData, expected, opened), vector[0]);
            byte[] ciphertext = new byte[plaintext.Length + TagSize];
            VectorChaCha20Poly1305.Seal(path, key, nonce, associatedData, plaintext, ciphertext);
            Assert.True(valid == ciphertext.AsSpan().SequenceEqual(expected), vector[0]);
            Assert.True(opened.AsSpan().SequenceEqual(valid ? plaintext : new byte[plaintext.Length]), vector[0]);
            count++;
        }

        Assert.Equal(318, count);
    }

    [Theory]
    [MemberData(nameof(Paths))]
    public void Seal_EveryLength_IsWhatDotNetComputes(string pathName)
    {
        VectorPath path = Enum.Parse<VectorPath>(pathName);
        using var messages = new Messages(new Random(8439));
        for (int length = 0; length <= LongestMessage; length++)
            messages.AssertSame(path, length);
    }

    [Theory]
    [MemberData(nameof(Paths))]
    public void Seal_RandomMessages_IsWhatDotNetComputes(string pathName)
    {
        VectorPath path = Enum.Parse<VectorPath>(pathName);
        var random = new Random(Fuzz.Seed(7539));
        using var messages = new Messages(random);
        for (int i = Fuzz.Count(100_000); i > 0; i--)
            messages.AssertSame(path, random.Next(random.Next(4) == 0 ? 1600 : 300));
    }

    [Theory]
    [MemberData(nameof(Paths))]
    public void TryOpen_AnyBitFlipped_IsRefusedAndWritesNothing(string pathName)
    {
        VectorPath path = Enum.Parse<VectorPath>(pathName);
        byte[] key = RandomNumberGenerator.GetBytes(32);
        byte[] nonce = RandomNumberGenerator.GetBytes(12);
        byte[] associatedData = RandomNumberGenerator.GetBytes(5);
        foreach (int length in (int[])[0, 24, 200, 1420])
        {
            byte[] plaintext = RandomNumberGenerator.GetBytes(length);
            byte[] ciphertext = new byte[length + TagSize];
            byte[] output = new byte[length];
            VectorChaCha20Poly1305.Seal(path, key, nonce, associatedData, plaintext, ciphertext);
            for (int bit = 0; bit < ciphertext.Length * 8; bit++)
            {
                ciphertext[bit / 8] ^= (byte)(1 << (bit % 8));
                Assert.False(VectorChaCha20Poly1305.TryOpen(path, key, nonce, associatedData, ciphertext, output));
                ciphertext[bit / 8] ^= (byte)(1 << (bit % 8));
            }

            Assert.False(VectorChaCha20Poly1305.TryOpen(path, key, nonce, associatedData.AsSpan(1), ciphertext, output));
            Assert.False(output.AsSpan().ContainsAnyExcept((byte)0));
            Assert.True(VectorChaCha20Poly1305.TryOpen(path, key, nonce, associatedData, ciphertext, output));
            Assert.Equal(plaintext, output);
        }
    }

    [Theory]
    [MemberData(nameof(Paths))]
    public void TryOpen_ForgeryInPlace_LeavesTheCiphertext(string pathName)
    {
        VectorPath path = Enum.Parse<VectorPath>(pathName);
        byte[] key = new byte[32];
        byte[] nonce = new byte[12];
        byte[] forged = [.. Enumerable.Range(0, 300).Select(i => (byte)i)];
        byte[] buffer = [.. forged];
        Assert.False(VectorChaCha20Poly1305.TryOpen(path, key, nonce, default, buffer, buffer));
        Assert.Equal(forged, buffer);
        Assert.False(VectorChaCha20Poly1305.TryOpen(path, key, nonce, default, buffer.AsSpan(0, TagSize - 1), buffer));
    }

    [Fact]
    public void Seal_SpansThatDoNotFit_AreRefused()
    {
        byte[] key = new byte[32];
        byte[] nonce = new byte[12];
        Assert.Throws<ArgumentOutOfRangeException>(() => VectorChaCha20Poly1305.Seal(key, nonce, default, new byte[10], new byte[25]));
        Assert.Throws<ArgumentOutOfRangeException>(() => VectorChaCha20Poly1305.TryOpen(key, nonce, default, new byte[26], new byte[9]));
        Assert.Throws<ArgumentOutOfRangeException>(() =>
            VectorChaCha20Poly1305.Seal(key.AsSpan(1), nonce, default, new byte[10], new byte[26]));
        Assert.Throws<ArgumentOutOfRangeException>(() =>
            VectorChaCha20Poly1305.TryOpen(key, nonce.AsSpan(1), default, new byte[26], new byte[10]));
    }

    [Theory]
    [MemberData(nameof(Paths))]
    public void SealAndTryOpen_AnyLength_AllocateNothing(string pathName)
    {
        VectorPath path = Enum.Parse<VectorPath>(pathName);
        byte[] key = new byte[32];
        byte[] nonce = new byte[12];
        byte[] buffer = new byte[1420 + TagSize];
        foreach (int length in (int[])[0, 64, 300, 1420])
        {
            Allocation.AssertNone(200, 1000, () =>
            {
                VectorChaCha20Poly1305.Seal(path, key, nonce, default, buffer.AsSpan(0, length), buffer);
                VectorChaCha20Poly1305.TryOpen(path, key, nonce, default, buffer.AsSpan(0, length + TagSize), buffer);
            });
        }
    }

    /// <summary>Random messages, sealed and opened by .NET and by a path, in place and out of place.</summary>
    private sealed class Messages(Random random) : IDisposable
    {
        private readonly byte[] _key = new byte[32];
        private readonly byte[] _nonce = new byte[12];
        private readonly byte[] _associatedData = new byte[70];
        private readonly byte[] _plaintext = new byte[LongestMessage];
        private readonly byte[] _expected = new byte[LongestMessage + TagSize];
        private readonly byte[] _actual = new byte[LongestMessage + TagSize];
        private readonly byte[] _opened = new byte[LongestMessage];
        private ChaCha20Poly1305? _reference;
        private int _count;

        public void Dispose() => _reference?.Dispose();

        public void AssertSame(VectorPath path, int length)
        {
            Assert.SkipUnless(ChaCha20Poly1305.IsSupported, "This system brings no ChaCha20-Poly1305 for .NET.");
            if (_count++ % MessagesPerKey == 0)
            {
                random.NextBytes(_key);
                _reference?.Dispose();
                _reference = new ChaCha20Poly1305(_key);
            }

            random.NextBytes(_nonce);
            random.NextBytes(_associatedData);
            random.NextBytes(_plaintext.AsSpan(0, length));
            ReadOnlySpan<byte> plaintext = _plaintext.AsSpan(0, length);
            ReadOnlySpan<byte> associatedData = _associatedData.AsSpan(0, random.Next(3) == 0 ? random.Next(_associatedData.Length) : 0);
            Span<byte> expected = _expected.AsSpan(0, length + TagSize), actual = _actual.AsSpan(0, length + TagSize);
            _reference!.Encrypt(_nonce, plaintext, expected[..length], expected[length..], associatedData);

            VectorChaCha20Poly1305.Seal(path, _key, _nonce, associatedData, plaintext, actual);
            Assert.True(actual.SequenceEqual(expected), $"{length} bytes, out of place");
            plaintext.CopyTo(actual);
            VectorChaCha20Poly1305.Seal(path, _key, _nonce, associatedData, actual[..length], actual);
            Assert.True(actual.SequenceEqual(expected), $"{length} bytes, in place");

            Assert.True(VectorChaCha20Poly1305.TryOpen(path, _key, _nonce, associatedData, expected, expected));
            Assert.True(expected[..length].SequenceEqual(plaintext), $"{length} bytes, opened in place");
            Assert.True(VectorChaCha20Poly1305.TryOpen(path, _key, _nonce, associatedData, actual, _opened.AsSpan(0, length)));
            Assert.True(_opened.AsSpan(0, length).SequenceEqual(plaintext), $"{length} bytes, opened out of place");
        }
    }
}
