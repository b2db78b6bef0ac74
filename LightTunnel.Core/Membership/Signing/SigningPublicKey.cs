using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using LightTunnel.Membership.Cbor;
using LightTunnel.WireGuard;
using Org.BouncyCastle.Math.EC.Rfc8032;

namespace LightTunnel.Membership.Signing;

/// <summary>
/// The public half of an admin's signing key: Ed25519 (RFC 8032), 32 bytes, shown as base64 like every key. Who pins it takes members
/// that its owner has signed, and no others. Immutable.
/// </summary>
internal sealed class SigningPublicKey : IEquatable<SigningPublicKey>
{
    /// <summary>Bytes of a key.</summary>
    public const int Size = 32;

    /// <summary>Most keys of one network, any of which suffices.</summary>
    public const int MaximumCount = 8;

    private readonly byte[] _bytes;

    /// <summary>The key as a point, which would otherwise be computed for each signature; null for none, or not yet.</summary>
    private Ed25519.PublicPoint? _point;

    private SigningPublicKey(byte[] bytes, Ed25519.PublicPoint? point) => (_bytes, _point) = (bytes, point);

    /// <summary>A key in invitations.</summary>
    public static CborKind<SigningPublicKey> Kind { get; } =
        new CborBytes<SigningPublicKey>("signing key", Size, static (key, to) => key.WriteTo(to), TryRead);

    /// <summary>
    /// Keys as a server tells them, as often as it likes, and nobody believes: what they are is looked at when one is needed.
    /// </summary>
    public static CborKind<IReadOnlyList<SigningPublicKey>> ToldKind { get; } = FieldKinds.ArrayOfKnown(
        new CborBytes<SigningPublicKey>("signing key", Size, static (key, to) => key.WriteTo(to), TryTake), MaximumCount);

    /// <summary>The first bytes: they tell which of a network's keys has made a signature.</summary>
    public uint Hint => BinaryPrimitives.ReadUInt32BigEndian(_bytes);

    /// <summary>The key as people compare it by voice.</summary>
    public string Fingerprint => KeyFingerprint.Of(ToString());

    /// <summary>
    /// Reads 32 bytes; false for what is no point of the curve's large group: under some others anybody could sign (RFC 8032 section 5.1).
    /// </summary>
    public static bool TryRead(ReadOnlySpan<byte> bytes, [MaybeNullWhen(false)] out SigningPublicKey key)
    {
        Ed25519.PublicPoint? point = bytes.Length == Size ? Ed25519.ValidatePublicKeyFullExport(bytes) : null;
        key = point is null ? null : new SigningPublicKey(bytes.ToArray(), point);
        return key is not null;
    }

    /// <summary>Reads 44 characters of base64.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, [MaybeNullWhen(false)] out SigningPublicKey key)
    {
        Span<byte> bytes = stackalloc byte[Size];
        key = null;
        return KeyText.TryRead(text, bytes) && TryRead(bytes, out key);
    }

    /// <summary>True when two lists are of the same keys, in whatever order.</summary>
    public static bool AreSame(IReadOnlyList<SigningPublicKey> one, IReadOnlyList<SigningPublicKey> other) =>
        one.ToHashSet().SetEquals(other);

    /// <summary>The fingerprints of some keys, for a sentence.</summary>
    public static string Fingerprints(IReadOnlyList<SigningPublicKey> keys) =>
        string.Join(" or ", keys.Select(key => key.Fingerprint));

    /// <summary>True when the key's owner has signed the message. Some 100 µs.</summary>
    public bool HasSigned(ReadOnlySpan<byte> message, ReadOnlySpan<byte> signature) =>
        (_point ??= Ed25519.ValidatePublicKeyFullExport(_bytes)) is { } point && Ed25519.Verify(signature, point, message);

    /// <inheritdoc/>
    public bool Equals(SigningPublicKey? other) => other is not null && _bytes.AsSpan().SequenceEqual(other._bytes);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as SigningPublicKey);

    /// <inheritdoc/>
    public override int GetHashCode() => (int)Hint;

    /// <summary>44 characters of base64.</summary>
    public override string ToString() => Convert.ToBase64String(_bytes);

    private static bool TryTake(ReadOnlySpan<byte> bytes, [MaybeNullWhen(false)] out SigningPublicKey key)
    {
        key = bytes.Length == Size ? new SigningPublicKey(bytes.ToArray(), null) : null;
        return key is not null;
    }

    private int WriteTo(Span<byte> destination)
    {
        _bytes.CopyTo(destination);
        return Size;
    }
}
