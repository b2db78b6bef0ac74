using System.Buffers.Binary;
using System.Buffers.Text;
using System.Diagnostics.CodeAnalysis;
using LightTunnel.Membership.Cbor;

namespace LightTunnel.Membership.Signing;

/// <summary>
/// An admin's signature of a member as it travels: who made it, when, until when it is good, and the signature of a
/// <see cref="MemberStatement"/>. Nothing of it is proven before it was checked. Immutable.
/// </summary>
/// <remarks>
/// Bytes: 1 the form, now 1 | 4 the signing key's first bytes | 8 signed at | 8 good until, or 0 for ever (both in seconds since 1970) | 64
/// Ed25519's signature. One of another form is a newer version's: it is passed on as it is, and is nobody's signature here.
/// </remarks>
internal sealed class MemberSignature : IEquatable<MemberSignature>
{
    /// <summary>Longest signature that is passed on, of whatever form.</summary>
    public const int MaximumSize = 128;

    private const int Size = SignatureAt + 64;
    private const byte Form = 1;
    private const int HintAt = 1;
    private const int IssuedAt = 5;
    private const int ExpiresAt = 13;
    private const int SignatureAt = 21;

    /// <summary>The last second that .NET can tell.</summary>
    private static readonly ulong LastSecond = (ulong)DateTimeOffset.MaxValue.ToUnixTimeSeconds();

    private readonly byte[] _bytes;

    private MemberSignature(ReadOnlySpan<byte> bytes) => _bytes = bytes.ToArray();

    /// <summary>A signature in messages and in the store.</summary>
    public static CborKind<MemberSignature?> Kind { get; } =
        new CborBytes<MemberSignature?>("signature", MaximumSize, static (signature, to) => signature!.WriteTo(to), TryRead);

    /// <summary>False for one of a form that this version does not know, of which nothing else can be told.</summary>
    public bool IsKnown =>
        _bytes.Length == Size && _bytes[0] == Form && Seconds(IssuedAt) <= LastSecond && Seconds(ExpiresAt) <= LastSecond;

    /// <summary>The signing key's first bytes (<see cref="SigningPublicKey.Hint"/>).</summary>
    public uint Hint => BinaryPrimitives.ReadUInt32BigEndian(_bytes.AsSpan(HintAt));

    /// <summary>When it was made, by the admin's clock, to the second.</summary>
    public DateTimeOffset Issued => DateTimeOffset.FromUnixTimeSeconds((long)Seconds(IssuedAt));

    /// <summary>Until when it is good; null for ever.</summary>
    public DateTimeOffset? Expires =>
        Seconds(ExpiresAt) is var seconds and not 0 ? DateTimeOffset.FromUnixTimeSeconds((long)seconds) : null;

    /// <summary>Ed25519's signature itself.</summary>
    public ReadOnlySpan<byte> Proof => _bytes.AsSpan(SignatureAt);

    /// <summary>Signs what an admin says of a member.</summary>
    public static MemberSignature Make(SigningKey key, MemberStatement statement)
    {
        Span<byte> bytes = stackalloc byte[Size];
        bytes[0] = Form;
        BinaryPrimitives.WriteUInt32BigEndian(bytes[HintAt..], key.PublicKey.Hint);
        BinaryPrimitives.WriteUInt64BigEndian(bytes[IssuedAt..], (ulong)statement.Issued.ToUnixTimeSeconds());
        BinaryPrimitives.WriteUInt64BigEndian(bytes[ExpiresAt..], (ulong)(statement.Expires?.ToUnixTimeSeconds() ?? 0));
        key.Sign(statement.ToSign()).CopyTo(bytes[SignatureAt..]);
        return new MemberSignature(bytes);
    }

    /// <summary>Reads the text that <see cref="ToString"/> makes.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out MemberSignature? signature)
    {
        Span<byte> bytes = stackalloc byte[MaximumSize];
        signature = text is { Length: > 0 } && Base64Url.GetMaxDecodedLength(text.Length) <= MaximumSize && Base64Url.IsValid(text)
            && Base64Url.TryDecodeFromChars(text, bytes, out int length) && length > 0
            ? new MemberSignature(bytes[..length])
            : null;
        return signature is not null;
    }

    /// <inheritdoc/>
    public bool Equals(MemberSignature? other) => other is not null && _bytes.AsSpan().SequenceEqual(other._bytes);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as MemberSignature);

    /// <inheritdoc/>
    public override int GetHashCode() => _bytes.Length > SignatureAt + 4 ? BitConverter.ToInt32(_bytes, SignatureAt) : _bytes.Length;

    /// <summary>The bytes as base64url.</summary>
    public override string ToString() => Base64Url.EncodeToString(_bytes);

    private static bool TryRead(ReadOnlySpan<byte> bytes, out MemberSignature? signature)
    {
        signature = bytes.Length > 0 ? new MemberSignature(bytes) : null;
        return signature is not null;
    }

    private ulong Seconds(int at) => BinaryPrimitives.ReadUInt64BigEndian(_bytes.AsSpan(at));

    private int WriteTo(Span<byte> destination)
    {
        _bytes.CopyTo(destination);
        return _bytes.Length;
    }
}
