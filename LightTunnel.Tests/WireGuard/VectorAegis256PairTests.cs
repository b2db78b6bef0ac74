using LightTunnel.WireGuard.Vectors;
using Xunit;

namespace LightTunnel.Tests.WireGuard;

public sealed class VectorAegis256PairTests
{
    private const int TagSize = Aegis256State.TagSize;
    private const int LongestMessage = 2048;

    public VectorAegis256PairTests() => Assert.SkipUnless(AesInstructions.IsSupported, "This processor has no AES instructions.");

    [Fact]
    public void Seal_VectorsOfTheDraftWithoutAssociatedData_GiveCiphertextAndTag()
    {
        var cases = AegisCases.Published.Select(row => row.Data)
            .Where(vector => vector.Item4.Length == 0 && vector.Item5 is not null)
            .ToList();
        Assert.Equal(2, cases.Count);
        Assert.All(cases, vector =>
        {
            (_, string key, string nonce, _, string? plaintext, string expected) = vector;
            var pair = new Pair(plaintext!.Length / 2);
            Hex(key).CopyTo(pair.Key, 0);
            for (int i = 0; i < 2; i++)
            {
                Hex(nonce).CopyTo(pair.Nonces[i], 0);
                Hex(plaintext).CopyTo(pair.Texts[i], 0);
            }

            pair.Seal();
            Assert.All(pair.Sealed, actual => Assert.Equal(expected, Convert.ToHexStringLower(actual)));
            Assert.Equal((true, true), pair.Open());
            Assert.All(pair.Opened, actual => Assert.Equal(plaintext, Convert.ToHexStringLower(actual)));
        });
    }

    [Fact]
    public void Seal_WycheproofCasesWithoutAssociatedData_GiveCiphertextAndTag()
    {
        var cases = AegisCases.Wycheproof.Select(row => row.Data).Where(vector => vector.Item4.Length == 0).ToList();
        Assert.True(cases.Count > 10);
        Assert.All(cases, vector =>
        {
            (_, string key, string nonce, _, string plaintext, string ciphertext, string tag, bool valid) = vector;
            var pair = new Pair(plaintext.Length / 2);
            pair.Fill(new Random(1));
            Hex(key).CopyTo(pair.Key, 0);
            Hex(nonce).CopyTo(pair.Nonces[1], 0);
            Hex(plaintext).CopyTo(pair.Texts[1], 0);
            pair.Seal();
            byte[] shortTag = [.. pair.Sealed[1][^32..^16].Zip(pair.Sealed[1][^16..], (first, second) => (byte)(first ^ second))];
            Assert.Equal(ciphertext, Convert.ToHexStringLower(pair.Sealed[1][..^32]));
            Assert.Equal(valid, Convert.ToHexStringLower(shortTag) == tag);
        });
    }

    [Fact]
    public void Seal_EveryLength_IsWhatTheComputedOneComputes()
    {
        var random = new Random(256);
        for (int length = 0; length <= LongestMessage; length++)
            new Pair(length).AssertSame(random);
    }

    [Fact]
    public void Seal_RandomMessages_IsWhatTheComputedOneComputes()
    {
        var random = new Random(Fuzz.Seed(257));
        Pair[] pairs = [.. Enumerable.Range(0, 1600).Select(length => new Pair(length))];
        for (int i = Fuzz.Count(5_000); i > 0; i--)
            pairs[random.Next(random.Next(4) == 0 ? pairs.Length : 300)].AssertSame(random);
    }

    [Fact]
    public void TryOpen_AnyByteChanged_RefusesThatMessageAloneAndZeroesIt()
    {
        var random = new Random(258);
        foreach (int length in (int[])[0, 1, 16, 24, 200, 1420])
        {
            var pair = new Pair(length);
            pair.Fill(random);
            pair.Seal();
            for (int changed = 0; changed < 2; changed++)
            {
                for (int i = 0; i < length + TagSize; i++)
                {
                    byte before = pair.Sealed[changed][i];
                    pair.Sealed[changed][i] ^= (byte)(1 << random.Next(8));
                    Assert.Equal((changed != 0, changed != 1), pair.Open());
                    Assert.False(pair.Opened[changed].AsSpan().ContainsAnyExcept((byte)0));
                    Assert.Equal(pair.Texts[1 - changed], pair.Opened[1 - changed]);
                    pair.Sealed[changed][i] = before;
                }
            }

            Assert.Equal((true, true), pair.Open());
            pair.Sealed[0][^1] ^= 1;
            pair.Sealed[1][0] ^= 1;
            Assert.Equal((false, false), pair.Open());
        }
    }

    [Fact]
    public void TryOpen_NoncesExchanged_OpensNone()
    {
        var pair = new Pair(100);
        pair.Fill(new Random(259));
        pair.Seal();
        (pair.Nonces[0], pair.Nonces[1]) = (pair.Nonces[1], pair.Nonces[0]);
        Assert.Equal((false, false), pair.Open());
    }

    [Fact]
    public void TryOpen_ShorterThanATag_OpensNone()
    {
        byte[] key = new byte[32];
        VectorAegis256Pair<AesInstructions>.TryOpen(
            key, key, key, new byte[TagSize - 1], new byte[TagSize - 1], default, default, out bool first, out bool second);
        Assert.False(first || second);
    }

    [Fact]
    public void Seal_SpansThatDoNotFit_AreRefused()
    {
        byte[] key = new byte[32], text = new byte[10], room = new byte[10 + TagSize];
        Assert.Throws<ArgumentOutOfRangeException>(() =>
            VectorAegis256Pair<AesInstructions>.Seal(key, key, key, text, text.AsSpan(1), room, room));
        Assert.Throws<ArgumentOutOfRangeException>(() =>
            VectorAegis256Pair<AesInstructions>.Seal(key, key, key, text, text, room.AsSpan(1), room));
        Assert.Throws<ArgumentOutOfRangeException>(() =>
            VectorAegis256Pair<AesInstructions>.Seal(key, key, key, text, text, room, room.AsSpan(1)));
        Assert.Throws<ArgumentOutOfRangeException>(() =>
            VectorAegis256Pair<AesInstructions>.Seal(key.AsSpan(1), key, key, text, text, room, room));
        Assert.Throws<ArgumentOutOfRangeException>(() =>
            VectorAegis256Pair<AesInstructions>.Seal(key, key.AsSpan(1), key, text, text, room, room));
        Assert.Throws<ArgumentOutOfRangeException>(() =>
            VectorAegis256Pair<AesInstructions>.Seal(key, key, key.AsSpan(1), text, text, room, room));
        Assert.Throws<ArgumentOutOfRangeException>(() =>
            VectorAegis256Pair<AesInstructions>.TryOpen(key, key, key, room, room.AsSpan(1), text, text, out _, out _));
        Assert.Throws<ArgumentOutOfRangeException>(() =>
            VectorAegis256Pair<AesInstructions>.TryOpen(key, key, key, room, room, text.AsSpan(1), text, out _, out _));
        Assert.Throws<ArgumentOutOfRangeException>(() =>
            VectorAegis256Pair<AesInstructions>.TryOpen(key, key, key, room, room, text, text.AsSpan(1), out _, out _));
    }

    private static byte[] Hex(string text) => Convert.FromHexString(text);

    /// <summary>Two messages of one length with all that belongs to them.</summary>
    private sealed class Pair(int length)
    {
        private readonly byte[][] _expected = [new byte[length + TagSize], new byte[length + TagSize]];

        public byte[] Key { get; } = new byte[32];

        public byte[][] Nonces { get; } = [new byte[32], new byte[32]];

        public byte[][] Texts { get; } = [new byte[length], new byte[length]];

        public byte[][] Sealed { get; } = [new byte[length + TagSize], new byte[length + TagSize]];

        public byte[][] Opened { get; } = [new byte[length], new byte[length]];

        public void Fill(Random random)
        {
            foreach (byte[] bytes in (byte[][])[Key, .. Nonces, .. Texts])
                random.NextBytes(bytes);
        }

        public void Seal() => VectorAegis256Pair<AesInstructions>.Seal(Key, Nonces[0], Nonces[1], Texts[0], Texts[1], Sealed[0], Sealed[1]);

        public (bool First, bool Second) Open()
        {
            VectorAegis256Pair<AesInstructions>.TryOpen(
                Key, Nonces[0], Nonces[1], Sealed[0], Sealed[1], Opened[0], Opened[1], out bool first, out bool second);
            return (first, second);
        }

        /// <summary>
        /// Seals and opens new random messages, apart and in place, and compares with the code without AES instructions, one at a time.
        /// </summary>
        public void AssertSame(Random random)
        {
            Fill(random);
            for (int i = 0; i < 2; i++)
                VectorAegis256<ComputedAes>.Seal(Key, Nonces[i], default, Texts[i], _expected[i]);
            Seal();
            AssertEqual(_expected, Sealed, "sealed");
            Assert.Equal((true, true), Open());
            AssertEqual(Texts, Opened, "opened");

            VectorAegis256Pair<AesInstructions>.TryOpen(
                Key, Nonces[0], Nonces[1], Sealed[0], Sealed[1], Sealed[0], Sealed[1], out bool first, out bool second);
            Assert.True(first && second);
            AssertEqual(Texts, Sealed, "opened in place");
            VectorAegis256Pair<AesInstructions>.Seal(
                Key, Nonces[0], Nonces[1], Sealed[0].AsSpan(0, length), Sealed[1].AsSpan(0, length), Sealed[0], Sealed[1]);
            AssertEqual(_expected, Sealed, "sealed in place");
        }

        private void AssertEqual(byte[][] expected, byte[][] actual, string what)
        {
            for (int i = 0; i < 2; i++)
                Assert.True(actual[i].AsSpan(0, expected[i].Length).SequenceEqual(expected[i]), $"{length} bytes, message {i}, {what}");
        }
    }
}
