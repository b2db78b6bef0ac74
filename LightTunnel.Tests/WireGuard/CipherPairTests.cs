using LightTunnel.WireGuard;
using LightTunnel.WireGuard.Ciphers;
using LightTunnel.WireGuard.Vectors;
using Xunit;

namespace LightTunnel.Tests.WireGuard;

/// <summary>Two messages at once by the ciphers that links use.</summary>
public sealed class CipherPairTests
{
    private static readonly byte[] Key = [.. Enumerable.Range(0, 32).Select(i => (byte)i)];

    /// <summary>AEGIS-256 by each implementation, of which one has nothing of its own for pairs, and WireGuard's cipher.</summary>
    public static TheoryData<string> Ciphers => [.. Aegis256.All.Select(implementation => implementation.Name), "ChaCha20-Poly1305"];

    [Theory]
    [MemberData(nameof(Ciphers))]
    public void SealPair_AnyCounter_IsSealUnderItAndTheNextOne(string name)
    {
        using TransportCipher cipher = Create(name);
        foreach (ulong counter in (ulong[])[0, 7, uint.MaxValue, 0x0102030405060708])
        {
            byte[] first = Text(1421, 1), second = Text(1421, 2);
            byte[] expected = new byte[first.Length + cipher.TagSize], secondExpected = new byte[expected.Length];
            byte[] actual = new byte[expected.Length], secondActual = new byte[expected.Length];
            cipher.Seal(counter, default, first, expected);
            cipher.Seal(counter + 1, default, second, secondExpected);
            cipher.SealPair(counter, first, second, actual, secondActual);
            Assert.Equal(expected, actual);
            Assert.Equal(secondExpected, secondActual);
        }
    }

    [Theory]
    [MemberData(nameof(Ciphers))]
    public void TryOpenPair_ForgedOrWrongCounter_RefusesThatMessageAlone(string name)
    {
        using TransportCipher cipher = Create(name);
        byte[] first = new byte[200 + cipher.TagSize], second = new byte[first.Length];
        byte[] text = new byte[200], secondText = new byte[200];
        cipher.Seal(3, default, Text(200, 1), first);
        cipher.Seal(1000, default, Text(200, 2), second);

        Assert.Equal((true, true), Open(3, 1000));
        Assert.Equal(Text(200, 1), text);
        Assert.Equal(Text(200, 2), secondText);
        Assert.Equal((false, true), Open(4, 1000));
        Assert.Equal(Text(200, 2), secondText);
        Assert.Equal((true, false), Open(3, 3));
        Assert.Equal(Text(200, 1), text);
        second[^1] ^= 1;
        Assert.Equal((true, false), Open(3, 1000));

        (bool First, bool Second) Open(ulong counter, ulong secondCounter)
        {
            cipher.TryOpenPair(counter, secondCounter, first, second, text, secondText, out bool firstOpened, out bool secondOpened);
            return (firstOpened, secondOpened);
        }
    }

    [Theory]
    [MemberData(nameof(Ciphers))]
    public void Pairs_SpansThatDoNotFit_AreRefused(string name)
    {
        using TransportCipher cipher = Create(name);
        byte[] text = new byte[10], room = new byte[10 + cipher.TagSize], secondRoom = new byte[room.Length];
        Assert.Throws<ArgumentException>(() => cipher.SealPair(0, text, text.AsSpan(1), room, secondRoom));
        Assert.Throws<ArgumentException>(() => cipher.SealPair(0, text, text, room.AsSpan(1), secondRoom));
        Assert.Throws<ArgumentException>(() => cipher.SealPair(0, text, text, room, secondRoom.AsSpan(1)));
        Assert.Throws<ArgumentException>(() => cipher.TryOpenPair(0, 1, room, secondRoom.AsSpan(1), text, text, out _, out _));
        Assert.Throws<ArgumentException>(() => cipher.TryOpenPair(0, 1, room, secondRoom, text.AsSpan(1), text, out _, out _));
        Assert.Throws<ArgumentException>(() => cipher.TryOpenPair(0, 1, room, secondRoom, text, text.AsSpan(1), out _, out _));
        byte[] tooShort = new byte[cipher.TagSize - 1];
        cipher.TryOpenPair(0, 1, tooShort, tooShort, default, default, out bool first, out bool second);
        Assert.False(first || second);
    }

    [Theory]
    [MemberData(nameof(Ciphers))]
    public void Pairs_ManyPackets_AllocateNothing(string name)
    {
        using TransportCipher cipher = Create(name);
        byte[] packet = new byte[1420 + cipher.TagSize], second = new byte[packet.Length];
        foreach (int length in (int[])[0, 64, 1420])
        {
            Allocation.AssertNone(warmUp: 200, count: 1000, () =>
            {
                cipher.SealPair(5, packet.AsSpan(0, length), second.AsSpan(0, length), packet, second);
                int sealedLength = length + cipher.TagSize;
                cipher.TryOpenPair(
                    5, 6, packet.AsSpan(0, sealedLength), second.AsSpan(0, sealedLength), packet, second, out bool opened,
                    out bool secondOpened);
                Assert.True(opened && secondOpened);
            });
        }
    }

    [Fact]
    public void Choose_NameOfAnImplementation_IsThatOne()
    {
        Aegis256Implementation[] working = [.. Aegis256.All.Where(Aegis256.Works)];
        Assert.Equal(AesInstructions.IsSupported, working.Any(implementation => implementation.Name == "instructions"));
        Assert.Contains(working, implementation => implementation.Name == "computed");
        Assert.All(working, implementation => Assert.Same(implementation, Aegis256.Choose(implementation.Name)));
        Assert.Same(working[0], Aegis256.Choose("something new"));
        Assert.Same(working[0], Aegis256.Choose(null));
        Assert.Equal(AesInstructions.IsSupported, Aegis256.Choose(null).IsFast);
    }

    [Fact]
    public void Passes_CipherThatIsWrong_IsOut()
    {
        Assert.True(Aegis256Check.Passes(static key => new FaultyCipher(key, null)));
        foreach (Fault fault in Enum.GetValues<Fault>())
            Assert.False(Aegis256Check.Passes(key => new FaultyCipher(key, fault)), fault.ToString());
    }

    private static TransportCipher Create(string name)
    {
        if (name == "ChaCha20-Poly1305")
            return TransportCipher.Create(CipherSuite.WireGuard, Key);
        Aegis256Implementation implementation = Aegis256.All.Single(implementation => implementation.Name == name);
        Assert.SkipUnless(Aegis256.Works(implementation), "This processor has no AES instructions.");
        return implementation.Create(Key);
    }

    private static byte[] Text(int length, int seed)
    {
        byte[] text = new byte[length];
        new Random(seed).NextBytes(text);
        return text;
    }

    private enum Fault
    {
        SecondUnderFirstNonce,
        LongPacketsWrong,
        BothRefusedForOne,
        TagIgnored,
        FirstTagIgnored,
        SecondTagIgnored,
    }

    /// <summary>AEGIS-256 with one fault.</summary>
    private sealed class FaultyCipher(ReadOnlySpan<byte> key, Fault? fault)
        : TransportCipher(key, Aegis256.NonceSize, Aegis256.TagSize)
    {
        internal override void Seal(
            ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> plaintext, Span<byte> ciphertext)
        {
            VectorAegis256<ComputedAes>.Seal(Key, nonce, associatedData, plaintext, ciphertext);
            if (fault == Fault.LongPacketsWrong && plaintext.Length > 1000)
                ciphertext[1000] ^= 1;
        }

        internal override bool TryOpen(
            ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> ciphertext, Span<byte> plaintext) =>
            VectorAegis256<ComputedAes>.TryOpen(Key, nonce, associatedData, ciphertext, plaintext) || fault == Fault.TagIgnored;

        internal override void SealPair(
            ReadOnlySpan<byte> firstNonce, ReadOnlySpan<byte> secondNonce,
            ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, Span<byte> firstCiphertext, Span<byte> secondCiphertext) =>
            base.SealPair(
                firstNonce, fault == Fault.SecondUnderFirstNonce ? firstNonce : secondNonce, first, second, firstCiphertext,
                secondCiphertext);

        internal override void TryOpenPair(
            ReadOnlySpan<byte> firstNonce, ReadOnlySpan<byte> secondNonce,
            ReadOnlySpan<byte> firstCiphertext, ReadOnlySpan<byte> secondCiphertext, Span<byte> firstPlaintext, Span<byte> secondPlaintext,
            out bool first, out bool second)
        {
            base.TryOpenPair(
                firstNonce, secondNonce, firstCiphertext, secondCiphertext, firstPlaintext, secondPlaintext, out first, out second);
            if (fault == Fault.BothRefusedForOne)
                first = second = first && second;
            first |= fault == Fault.FirstTagIgnored;
            second |= fault == Fault.SecondTagIgnored;
        }
    }
}
