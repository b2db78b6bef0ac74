using System.Buffers.Binary;
using System.Buffers.Text;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using LightTunnel.Membership.Cbor;

namespace LightTunnel.Membership;

/// <summary>
/// What an invitation proves itself with: its id, and a random secret of its own. Who joins shows it to the server inside their link; the
/// server keeps only a digest (<see cref="Digest"/>), which nobody can join with.
/// </summary>
internal sealed class InvitationToken : IEquatable<InvitationToken>
{
    /// <summary>Bytes of the secret: too many to be guessed, so that a plain digest is enough to check it.</summary>
    public const int SecretSize = 16;

    /// <summary>Bytes of id and secret.</summary>
    public const int Size = sizeof(uint) + SecretSize;

    private static readonly byte[] NoDigest = new byte[SHA256.HashSizeInBytes];

    private readonly byte[] _bytes;

    private InvitationToken(ReadOnlySpan<byte> bytes) => _bytes = bytes.ToArray();

    /// <summary>How it stands in messages and invitations.</summary>
    public static CborKind<InvitationToken?> Kind { get; } =
        new CborBytes<InvitationToken?>("invitation's secret", Size, static (token, to) => token!.WriteTo(to), TryRead);

    /// <summary>Which invitation it is.</summary>
    public uint Id => BinaryPrimitives.ReadUInt32BigEndian(_bytes);

    /// <summary>A new secret for an invitation.</summary>
    public static InvitationToken Generate(uint id)
    {
        Span<byte> bytes = stackalloc byte[Size];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, id);
        RandomNumberGenerator.Fill(bytes[sizeof(uint)..]);
        var token = new InvitationToken(bytes);
        CryptographicOperations.ZeroMemory(bytes);
        return token;
    }

    /// <summary>Reads what <see cref="Reveal"/> made.</summary>
    public static bool TryParse(string? text, [NotNullWhen(true)] out InvitationToken? token)
    {
        Span<byte> bytes = stackalloc byte[Size];
        token = text?.Trim() is { Length: (Size * 4 + 2) / 3 } trimmed && Base64Url.IsValid(trimmed)
            && Base64Url.TryDecodeFromChars(trimmed, bytes, out int length) && length == Size
            ? new InvitationToken(bytes)
            : null;
        CryptographicOperations.ZeroMemory(bytes);
        return token is not null;
    }

    /// <summary>The secret as text, for the configuration file of a service.</summary>
    public string Reveal() => Base64Url.EncodeToString(_bytes);

    /// <summary>What a server keeps of it.</summary>
    public byte[] Digest() => SHA256.HashData(_bytes);

    /// <summary>True when the digest is of this one; null, which none is, takes as long.</summary>
    public bool Fits(byte[]? digest) => CryptographicOperations.FixedTimeEquals(Digest(), digest ?? NoDigest) && digest is not null;

    /// <inheritdoc/>
    public bool Equals(InvitationToken? other) => other is not null && CryptographicOperations.FixedTimeEquals(_bytes, other._bytes);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as InvitationToken);

    /// <inheritdoc/>
    public override int GetHashCode() => (int)Id;

    /// <summary>Never the secret.</summary>
    public override string ToString() => "(secret of an invitation)";

    private static bool TryRead(ReadOnlySpan<byte> bytes, out InvitationToken? token)
    {
        token = bytes.Length == Size ? new InvitationToken(bytes) : null;
        return token is not null;
    }

    private int WriteTo(Span<byte> destination)
    {
        _bytes.CopyTo(destination);
        return Size;
    }
}
