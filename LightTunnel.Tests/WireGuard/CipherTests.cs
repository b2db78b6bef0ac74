using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using LightTunnel.WireGuard;
using LightTunnel.WireGuard.Ciphers;
using LightTunnel.WireGuard.Vectors;
using Xunit;

namespace LightTunnel.Tests.WireGuard;

public sealed class CipherTests
{
    private const int LongestMessage = 2048;

    private static readonly byte[] Input = [.. Enumerable.Range(0, 100).Select(i => (byte)i)];

    /// <summary>
    /// Every cipher that a link may use: each implementation of AEGIS-256, and of ChaCha20-Poly1305 for all lengths and as links use it.
    /// </summary>
    public static TheoryData<string> Ciphers =>
        [.. AegisImplementations, .. Implementations.SelectMany(row => (string[])[row.Data, row.Data + " as used"])];

    public static TheoryData<string> AegisImplementations =>
        [.. Aegis256.All.Select(implementation => $"{Aegis} {implementation.Name}")];

    public static TheoryData<string> Implementations => [.. ChaChaPoly.All.Select(implementation => implementation.Name)];

    private const string Aegis = "AEGIS-256";

    [Theory]
    [MemberData(nameof(AegisImplementations))]
    public void Aegis256_VectorsOfTheDraft_OpenOnlyWhatIsAuthentic(string name)
    {
        SkipUnlessHere(name);
        Assert.All(AegisCases.Published, row =>
        {
            (_, string key, string nonce, string associatedData, string? plaintext, string sealedText) = row.Data;
            using TransportCipher cipher = Create(name, Hex(key));
            byte[] text = new byte[(sealedText.Length / 2) - cipher.TagSize];
            Assert.Equal(plaintext is not null, cipher.TryOpen(Hex(nonce), Hex(associatedData), Hex(sealedText), text));
            if (plaintext is null)
                return;
            Assert.Equal(plaintext, Convert.ToHexStringLower(text));
            byte[] again = new byte[sealedText.Length / 2];
            cipher.Seal(Hex(nonce), Hex(associatedData), text, again);
            Assert.Equal(sealedText, Convert.ToHexStringLower(again));
        });
    }

    [Theory]
    [MemberData(nameof(AegisImplementations))]
    public void Aegis256_WycheproofCases_GiveCiphertextAndTag(string name)
    {
        SkipUnlessHere(name);
        Assert.All(AegisCases.Wycheproof, row =>
        {
            (_, string key, string nonce, string associatedData, string plaintext, string ciphertext, string tag, bool valid) = row.Data;
            using TransportCipher cipher = Create(name, Hex(key));
            byte[] sealedText = new byte[(plaintext.Length / 2) + cipher.TagSize];
            cipher.Seal(Hex(nonce), Hex(associatedData), Hex(plaintext), sealedText);
            byte[] shortTag = [.. sealedText[^32..^16].Zip(sealedText[^16..], (first, second) => (byte)(first ^ second))];
            Assert.Equal(ciphertext, Convert.ToHexStringLower(sealedText[..^32]));
            Assert.Equal(valid, Convert.ToHexStringLower(shortTag) == tag);
            byte[] text = new byte[plaintext.Length / 2];
            Assert.True(cipher.TryOpen(Hex(nonce), Hex(associatedData), sealedText, text));
            Assert.Equal(plaintext, Convert.ToHexStringLower(text));
        });
    }

    [Theory]
    [MemberData(nameof(Ciphers))]
    public void Seal_ByCounter_IsSealUnderTheCounterAtTheNoncesEnd(string name)
    {
        using TransportCipher cipher = Create(name, Input.AsSpan(0, 32));
        byte[] nonce = new byte[cipher.NonceSize];
        BinaryPrimitives.WriteUInt64LittleEndian(nonce.AsSpan(nonce.Length - 8), 0x0102030405060708);
        byte[] expected = new byte[Input.Length + cipher.TagSize];
        byte[] actual = new byte[expected.Length];
        cipher.Seal(nonce, default, Input, expected);
        cipher.Seal(0x0102030405060708, default, Input, actual);
        Assert.Equal(expected, actual);
    }

    [Theory]
    [MemberData(nameof(Ciphers))]
    public void TryOpen_EveryBitFlipped_IsRefused(string name)
    {
        using TransportCipher cipher = Create(name, Input.AsSpan(0, 32));
        byte[] sealedText = new byte[24 + cipher.TagSize];
        byte[] associatedData = [1, 2, 3];
        cipher.Seal(7, associatedData, Input.AsSpan(0, 24), sealedText);
        for (int bit = 0; bit < sealedText.Length * 8; bit++)
        {
            byte[] forged = [.. sealedText];
            forged[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.False(cipher.TryOpen(7, associatedData, forged, new byte[24]));
        }

        Assert.False(cipher.TryOpen(8, associatedData, sealedText, new byte[24]));
        Assert.False(cipher.TryOpen(7, default, sealedText, new byte[24]));
        Assert.False(cipher.TryOpen(7, associatedData, sealedText.AsSpan(0, cipher.TagSize - 1), new byte[24]));
        Assert.True(cipher.TryOpen(7, associatedData, sealedText, new byte[24]));
    }

    [Theory]
    [MemberData(nameof(Ciphers))]
    public void Seal_EveryLengthInPlaceAndElsewhere_OpensAgain(string name)
    {
        var random = new Random(3);
        byte[] key = Bytes(random, 32);
        using TransportCipher cipher = Create(name, key);
        for (int length = 0; length <= LongestMessage; length++)
        {
            byte[] plaintext = Bytes(random, length);
            byte[] associatedData = Bytes(random, random.Next(40));
            byte[] elsewhere = new byte[length + cipher.TagSize];
            byte[] inPlace = [.. plaintext, .. new byte[cipher.TagSize]];
            cipher.Seal((ulong)length, associatedData, plaintext, elsewhere);
            cipher.Seal((ulong)length, associatedData, inPlace.AsSpan(0, length), inPlace);
            Assert.Equal(elsewhere, inPlace);
            byte[] opened = new byte[length];
            Assert.True(cipher.TryOpen((ulong)length, associatedData, elsewhere, opened)
                && cipher.TryOpen((ulong)length, associatedData, inPlace, inPlace));
            Assert.Equal(plaintext, opened);
            Assert.Equal(plaintext, inPlace[..length]);
        }
    }

    [Theory]
    [MemberData(nameof(Implementations))]
    public void ChaChaPoly_EveryLength_IsWhatTheClassOfDotNetComputes(string name)
    {
        var random = new Random(4);
        byte[] key = Bytes(random, 32);
        using TransportCipher cipher = Create(name, key);
        using var oracle = new ChaCha20Poly1305(key);
        for (int length = 0; length <= LongestMessage; length++)
        {
            byte[] plaintext = Bytes(random, length);
            byte[] associatedData = Bytes(random, random.Next(40));
            byte[] nonce = Bytes(random, 12);
            byte[] expected = new byte[length + 16];
            byte[] actual = new byte[length + 16];
            oracle.Encrypt(nonce, plaintext, expected.AsSpan(0, length), expected.AsSpan(length), associatedData);
            cipher.Seal(nonce, associatedData, plaintext, actual);
            Assert.Equal(expected, actual);
        }
    }

    [Theory]
    [MemberData(nameof(Implementations))]
    public void ChaChaPoly_WycheproofCases_OpenOnlyWhatIsAuthentic(string name)
    {
        SkipUnlessHere(name);
        Assert.All(WycheproofCases.ChaCha20Poly1305, row =>
        {
            (_, string key, string nonce, string associatedData, string plaintext, string sealedText, bool valid) = row.Data;
            using TransportCipher cipher = Create(name, Hex(key));
            byte[] output = new byte[plaintext.Length / 2];
            Assert.Equal(valid, cipher.TryOpen(Hex(nonce), Hex(associatedData), Hex(sealedText), output));
            if (!valid)
                return;
            Assert.Equal(plaintext, Convert.ToHexStringLower(output));
            byte[] again = new byte[sealedText.Length / 2];
            cipher.Seal(Hex(nonce), Hex(associatedData), output, again);
            Assert.Equal(sealedText, Convert.ToHexStringLower(again));
        });
    }

    [Theory]
    [MemberData(nameof(Implementations))]
    public void ChaChaPoly_Rfc8439AppendixA5_OpensAndSealsThePublishedMessage(string name)
    {
        byte[] sealedText = Hex(
            "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d26b0bdb7b73c321b0100"
            + "d4f03b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c8559797a06ef4f0ef61c186324e2b350638"
            + "3606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c523eaf4534d7f83fa115"
            + "5b0047718cbc546a0d072b04b3564eea1b422273f548271a0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a10"
            + "49e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b02709beead9d67890cbb22392336fea1851f38");
        byte[] associatedData = Hex("f33388860000000000004e91");
        const ulong Counter = 0x0807060504030201;
        using TransportCipher cipher = Create(name, Hex("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0"));

        byte[] buffer = [.. sealedText];
        Assert.True(cipher.TryOpen(Counter, associatedData, buffer, buffer));
        Assert.StartsWith("Internet-Drafts are draft documents valid", Encoding.UTF8.GetString(buffer), StringComparison.Ordinal);

        cipher.Seal(Counter, associatedData, buffer.AsSpan(0, buffer.Length - cipher.TagSize), buffer);
        Assert.Equal(sealedText, buffer);
    }

    [Theory]
    [MemberData(nameof(Ciphers))]
    public void SealAndOpen_ManyPackets_AllocateNothing(string name)
    {
        using TransportCipher cipher = Create(name, Input.AsSpan(0, 32));
        byte[] packet = new byte[1420 + cipher.TagSize];
        Allocation.AssertNone(warmUp: 2, count: 10, () =>
        {
            for (ulong i = 0; i < 1000; i++)
            {
                cipher.Seal(i, default, packet.AsSpan(0, 1420), packet);
                if (!cipher.TryOpen(i, default, packet, packet))
                    throw new CryptographicException("Not opened.");
            }
        });
    }

    [Theory]
    [MemberData(nameof(Ciphers))]
    public void Seal_ThreeThreadsAtOnceUntilDisposed_EachGetsTheRightBytes(string name)
    {
        TransportCipher cipher = Create(name, Input.AsSpan(0, 32));
        byte[] expected = new byte[1420 + cipher.TagSize];
        cipher.Seal(9, default, new byte[1420], expected);
        long wrong = 0;
        int disposed = 0;
        using var started = new CountdownEvent(3);
        Thread[] threads = [.. Enumerable.Range(0, 3).Select(number => new Thread(() =>
        {
            byte[] buffer = new byte[expected.Length];
            byte[] text = new byte[1420];
            for (int i = 0; Volatile.Read(ref disposed) == 0; i++)
            {
                cipher.Seal(9, default, text, buffer);
                bool opened = cipher.TryOpen(9, default, expected, buffer);
                cipher.Seal(9, default, text, buffer);
                // What is wrong here counts only if the key was not being destroyed: users look at a flag afterwards.
                if ((!opened || !buffer.AsSpan().SequenceEqual(expected)) && Volatile.Read(ref disposed) == 0)
                    Interlocked.Increment(ref wrong);
                if (i == 500)
                    started.Signal();
            }
        })
        { Name = "cipher " + number })];
        foreach (Thread thread in threads)
            thread.Start();
        Assert.True(started.Wait(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken));
        Volatile.Write(ref disposed, 1);
        cipher.Dispose();
        foreach (Thread thread in threads)
            thread.Join();
        Assert.Equal(0, wrong);
        Assert.True(cipher.IsZeroed);
    }

    [Theory]
    [MemberData(nameof(Ciphers))]
    public void Dispose_Twice_HasZeroedTheKeyAndLeavesNothingOfIt(string name)
    {
        TransportCipher cipher = Create(name, Input.AsSpan(0, 32));
        byte[] text = new byte[1420];
        byte[] packet = new byte[text.Length + cipher.TagSize];
        cipher.Seal(1, default, text, packet);
        Assert.False(cipher.IsZeroed);
        cipher.Dispose();
        cipher.Dispose();
        Assert.True(cipher.IsZeroed);

        // Also a library's own copy is gone: what is sealed now, is sealed under zeroes.
        using TransportCipher zeroes = Create(name, new byte[32]);
        byte[] underZeroes = new byte[packet.Length];
        zeroes.Seal(1, default, text, underZeroes);
        cipher.Seal(1, default, text, packet);
        Assert.Equal(underZeroes, packet);
    }

    [Fact]
    public void Choose_NameOfAnImplementation_IsThatOne()
    {
        ChaChaPolyImplementation[] working = [.. ChaChaPoly.All.Where(ChaChaPoly.Works)];
        Assert.Contains(working, implementation => implementation.Name == "own");
        Assert.All(working, implementation => Assert.Same(implementation, ChaChaPoly.Choose(implementation.Name)));
        Assert.Contains(ChaChaPoly.Choose("something new"), working);
        Assert.Contains(ChaChaPoly.Choose(null), working);
    }

    [Fact]
    public void Works_ImplementationThatIsWrongOrMissing_IsOut()
    {
        Assert.False(ChaChaPoly.Works(new ChaChaPolyImplementation("careless", static (key, _) => new CarelessCipher(key))));
        Assert.False(ChaChaPoly.Works(new ChaChaPolyImplementation("missing", static (_, _) => throw new DllNotFoundException())));
    }

    /// <summary>What skips a test must not happen within an assertion.</summary>
    private static void SkipUnlessHere(string name) => Create(name, new byte[32]).Dispose();

    private static TransportCipher Create(string name, ReadOnlySpan<byte> key)
    {
        if (name.StartsWith(Aegis, StringComparison.Ordinal))
        {
            Aegis256Implementation aegis = Aegis256.All.Single(
                implementation => name.EndsWith(implementation.Name, StringComparison.Ordinal));
            Assert.SkipUnless(Aegis256.Works(aegis), $"This machine has no AEGIS-256 by {aegis.Name}.");
            return aegis.Create(key);
        }

        ChaChaPolyImplementation implementation = ChaChaPoly.All.Single(implementation => implementation.Name == name.Split(' ')[0]);
        Assert.SkipUnless(ChaChaPoly.Works(implementation), $"This machine has no ChaCha20-Poly1305 by {implementation.Name}.");
        return name == implementation.Name ? implementation.CreateForAllLengths(key) : implementation.Create(key);
    }

    private static byte[] Bytes(Random random, int length)
    {
        byte[] bytes = new byte[length];
        random.NextBytes(bytes);
        return bytes;
    }

    private static byte[] Hex(string text) => Convert.FromHexString(text);

    /// <summary>Takes everything for authentic.</summary>
    private sealed class CarelessCipher(ReadOnlySpan<byte> key) : TransportCipher(key, ChaChaPoly.NonceSize, ChaChaPoly.TagSize)
    {
        internal override void Seal(
            ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> plaintext, Span<byte> ciphertext) =>
            VectorChaCha20Poly1305.Seal(Key, nonce, associatedData, plaintext, ciphertext);

        internal override bool TryOpen(
            ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associatedData, ReadOnlySpan<byte> ciphertext, Span<byte> plaintext)
        {
            if (VectorChaCha20Poly1305.TryOpen(Key, nonce, associatedData, ciphertext, plaintext))
                return true;
            ciphertext[..^TagSize].CopyTo(plaintext);
            return true;
        }
    }
}
