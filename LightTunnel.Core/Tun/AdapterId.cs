using System.Security.Cryptography;

namespace LightTunnel.Tun;

/// <summary>
/// The GUID of a node's adapter on Windows, which knows networks by it: the same node's adapter is the same network at each start, with
/// the category and the firewall rules that it was given.
/// </summary>
/// <remarks>
/// Made from the node's public key as RFC 9562 makes identifiers of names, in its version 8 with SHA-256 (section 5.8, and appendix B.2 for
/// an example): the first 128 bits of the hash of <see cref="Namespace"/> and the key's 32 bytes, with version and variant put in.
/// </remarks>
internal static class AdapterId
{
    /// <summary>The name space: a random identifier that stands for "the adapter of the node with this public key".</summary>
    public static readonly Guid Namespace = new("6f0c8a4e-2d57-4b93-9e1a-c4b7d05f3e82");

    /// <summary>The identifier that belongs to a public key.</summary>
    public static Guid Of(ReadOnlySpan<byte> publicKey)
    {
        Span<byte> name = stackalloc byte[16 + publicKey.Length];
        Namespace.TryWriteBytes(name, bigEndian: true, out _);
        publicKey.CopyTo(name[16..]);
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(name, hash);
        const byte Version = 0x80, Variant = 0x80;
        hash[6] = (byte)((hash[6] & 0x0F) | Version);
        hash[8] = (byte)((hash[8] & 0x3F) | Variant);
        return new Guid(hash[..16], bigEndian: true);
    }
}
