using System.Security.Cryptography;

namespace LightTunnel.WireGuard.Ciphers;

/// <summary>What an implementation of AEGIS-256 must show before links use it.</summary>
internal static class Aegis256Check
{
    /// <summary>Many blocks with a rest.</summary>
    private const int PacketLength = 1421;

    /// <summary>
    /// draft-irtf-cfrg-aegis-aead, appendix A, the first test vector of AEGIS-256: a block of zeros, and its tag of 256 bits.
    /// </summary>
    private static readonly byte[] Published = Convert.FromHexString(
        "754fc3d8c973246dcc6d741412a4b2361181a1d18091082bf0266f66297d167d2e68b845f61a3b0527d31fc7b7b89f13");

    private static readonly byte[] PublishedKey = Convert.FromHexString("1001000000000000000000000000000000000000000000000000000000000000");
    private static readonly byte[] PublishedNonce = Convert.FromHexString(
        "1000020000000000000000000000000000000000000000000000000000000000");

    // SHA-256 of what libsodium 1.0.22 makes of the two packets below.
    private static readonly byte[] PacketHash = Convert.FromHexString("710a79ee55e73f5392b51e3762fbff4407ed5ff951c78879d97c3f19adc5b63f");
    private static readonly byte[] OtherPacketHash = Convert.FromHexString(
        "f1d5cfec5f6e9e9ab157bf52803e64959e3a8aca85f0be5018cc58a4bd18b807");

    /// <summary>
    /// True when it seals and opens, one by one and two at once, what the draft publishes, and two whole packets, in place, as others do,
    /// and refuses what was changed and nothing else.
    /// </summary>
    public static bool Passes(Func<ReadOnlySpan<byte>, TransportCipher> create)
    {
        using TransportCipher cipher = create(PublishedKey);
        byte[] zeros = new byte[Published.Length - Aegis256.TagSize];
        byte[] first = new byte[Published.Length], second = new byte[Published.Length];
        cipher.SealPair(PublishedNonce, PublishedNonce, zeros, zeros, first, second);
        if (!first.AsSpan().SequenceEqual(Published) || !second.AsSpan().SequenceEqual(Published))
            return false;

        byte[] text = [.. Enumerable.Range(0, PacketLength).Select(i => (byte)i)], otherText = [.. text.Reverse()];
        byte[] otherNonce = [.. PublishedNonce.Reverse()];
        byte[] expected = Packet(text), otherExpected = Packet(otherText);
        cipher.Seal(PublishedNonce, default, expected.AsSpan(0, PacketLength), expected);
        cipher.Seal(otherNonce, default, otherExpected.AsSpan(0, PacketLength), otherExpected);
        first = Packet(text);
        second = Packet(otherText);
        cipher.SealPair(PublishedNonce, otherNonce, first.AsSpan(0, PacketLength), second.AsSpan(0, PacketLength), first, second);
        return SHA256.HashData(expected).AsSpan().SequenceEqual(PacketHash)
            && SHA256.HashData(otherExpected).AsSpan().SequenceEqual(OtherPacketHash)
            && first.AsSpan().SequenceEqual(expected) && second.AsSpan().SequenceEqual(otherExpected)
            && OpensOne(change: false) && OpensOne(change: true)
            && Opens(changeFirst: false, changeSecond: false) && Opens(changeFirst: true, changeSecond: false)
            && Opens(changeFirst: false, changeSecond: true);

        bool OpensOne(bool change)
        {
            expected.CopyTo(first, 0);
            first[^1] ^= change ? (byte)1 : (byte)0;
            return cipher.TryOpen(PublishedNonce, default, first, first) == !change
                && (change || first.AsSpan(0, PacketLength).SequenceEqual(text));
        }

        bool Opens(bool changeFirst, bool changeSecond)
        {
            expected.CopyTo(first, 0);
            otherExpected.CopyTo(second, 0);
            first[^1] ^= changeFirst ? (byte)1 : (byte)0;
            second[^1] ^= changeSecond ? (byte)1 : (byte)0;
            cipher.TryOpenPair(PublishedNonce, otherNonce, first, second, first, second, out bool firstOpened, out bool secondOpened);
            return firstOpened == !changeFirst && (changeFirst || first.AsSpan(0, PacketLength).SequenceEqual(text))
                && secondOpened == !changeSecond && (changeSecond || second.AsSpan(0, PacketLength).SequenceEqual(otherText));
        }
    }

    /// <summary>A packet with room for its tag.</summary>
    private static byte[] Packet(byte[] text) => [.. text, .. new byte[Aegis256.TagSize]];
}
