namespace LightTunnel.WireGuard.Ciphers;

/// <summary>What sealing and opening of AEGIS-256 in pairs must show before links use it.</summary>
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

    /// <summary>
    /// True when it seals and opens twice what the draft publishes, and two whole packets, in place, as libsodium does, and refuses what
    /// was changed and nothing else.
    /// </summary>
    public static bool Passes(Func<ReadOnlySpan<byte>, TransportCipher> create)
    {
        using TransportCipher cipher = create(PublishedKey);
        byte[] zeros = new byte[Published.Length - Sodium.AegisTagSize];
        byte[] first = new byte[Published.Length], second = new byte[Published.Length];
        cipher.SealPair(PublishedNonce, PublishedNonce, zeros, zeros, first, second);
        if (!first.AsSpan().SequenceEqual(Published) || !second.AsSpan().SequenceEqual(Published))
            return false;

        byte[] text = [.. Enumerable.Range(0, PacketLength).Select(i => (byte)i)], otherText = [.. text.Reverse()];
        byte[] otherNonce = [.. PublishedNonce.Reverse()];
        byte[] expected = new byte[PacketLength + Sodium.AegisTagSize], otherExpected = new byte[expected.Length];
        Sodium.SealAegis(PublishedKey, PublishedNonce, default, text, expected);
        Sodium.SealAegis(PublishedKey, otherNonce, default, otherText, otherExpected);
        first = [.. text, .. new byte[Sodium.AegisTagSize]];
        second = [.. otherText, .. new byte[Sodium.AegisTagSize]];
        cipher.SealPair(PublishedNonce, otherNonce, first.AsSpan(0, PacketLength), second.AsSpan(0, PacketLength), first, second);
        return first.AsSpan().SequenceEqual(expected) && second.AsSpan().SequenceEqual(otherExpected)
            && Opens(changeFirst: false, changeSecond: false) && Opens(changeFirst: true, changeSecond: false)
            && Opens(changeFirst: false, changeSecond: true);

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
}
