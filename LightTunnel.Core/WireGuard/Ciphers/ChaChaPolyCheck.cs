using System.Security.Cryptography;

namespace LightTunnel.WireGuard.Ciphers;

/// <summary>What an implementation of ChaCha20-Poly1305 must show before links use it.</summary>
internal static class ChaChaPolyCheck
{
    /// <summary>Long enough for the parts of an implementation that work on many blocks at once, with a rest.</summary>
    private const int PacketLength = 1421;

    /// <summary>RFC 8439 section 2.8.2: the ciphertext, 114 bytes, and its tag.</summary>
    private static readonly byte[] Published = Convert.FromHexString(
        "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
        + "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b6116"
        + "1ae10b594f09e26a7e902ecbd0600691");

    private static readonly byte[] PublishedKey = Convert.FromHexString("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
    private static readonly byte[] PublishedNonce = Convert.FromHexString("070000004041424344454647");
    /// <summary>SHA-256 of what libsodium 1.0.22 makes of the published text, repeated up to the packet's length.</summary>
    private static readonly byte[] PacketHash = Convert.FromHexString("b05abf452c1658e9311ee88e497d42381883515413371c18841b9a981ee3fc3d");

    private static readonly byte[] PublishedData = Convert.FromHexString("50515253c0c1c2c3c4c5c6c7");

    /// <summary>
    /// True when it opens and seals what the RFC publishes, and a whole packet, in place, as others do, and refuses what was changed.
    /// </summary>
    public static bool Passes(ChaChaPolyImplementation implementation)
    {
        using TransportCipher cipher = implementation.CreateForAllLengths(PublishedKey);
        byte[] text = new byte[Published.Length - ChaChaPoly.TagSize];
        byte[] again = new byte[Published.Length];
        if (!cipher.TryOpen(PublishedNonce, PublishedData, Published, text))
            return false;
        cipher.Seal(PublishedNonce, PublishedData, text, again);
        if (!again.AsSpan().SequenceEqual(Published))
            return false;

        byte[] packet = new byte[PacketLength + ChaChaPoly.TagSize];
        for (int i = 0; i < PacketLength; i++)
            packet[i] = text[i % text.Length];
        byte[] plain = packet[..PacketLength];
        cipher.Seal(PublishedNonce, default, packet.AsSpan(0, PacketLength), packet);
        byte[] changed = [.. packet];
        if (!SHA256.HashData(packet).AsSpan().SequenceEqual(PacketHash) || !cipher.TryOpen(PublishedNonce, default, packet, packet)
            || !packet.AsSpan(0, PacketLength).SequenceEqual(plain))
        {
            return false;
        }

        changed[PacketLength / 2] ^= 1;
        return !cipher.TryOpen(PublishedNonce, default, changed, plain);
    }
}
