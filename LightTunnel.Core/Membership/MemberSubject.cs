using LightTunnel.Addressing;
using LightTunnel.Membership.Cbor;
using LightTunnel.WireGuard;

namespace LightTunnel.Membership;

/// <summary>
/// What a member is asked for by: an address that it has, or its key. On the wire a byte string: 4 or 16 bytes of address, or 32 of key.
/// </summary>
internal readonly record struct MemberSubject
{
    private MemberSubject(TunnelAddress? address, PublicKey? key) => (Address, Key) = (address, key);

    /// <summary>A subject in a message.</summary>
    public static CborKind<MemberSubject> Kind { get; } =
        new CborBytes<MemberSubject>("address or key", PublicKey.Size, static (subject, to) => subject.Write(to), TryRead);

    /// <summary>The address, or null.</summary>
    public TunnelAddress? Address { get; }

    /// <summary>The key, or null.</summary>
    public PublicKey? Key { get; }

    public static MemberSubject Of(TunnelAddress address) => new(address, null);

    public static MemberSubject Of(in PublicKey key) => new(null, key);

    /// <inheritdoc/>
    public override string ToString() => Address?.ToString() ?? Key?.ToString() ?? string.Empty;

    /// <summary>Reads what stands in a message; false for what is neither address nor key, which is of a newer version.</summary>
    private static bool TryRead(ReadOnlySpan<byte> bytes, out MemberSubject subject)
    {
        bool isAddress = bytes.Length is 4 or 16;
        bool isKey = bytes.Length == PublicKey.Size;
        subject = isAddress ? Of(TunnelAddress.FromBytes(bytes)) : isKey ? Of(new PublicKey(bytes)) : default;
        return isAddress || isKey;
    }

    private int Write(Span<byte> destination)
    {
        if (Address is { } address)
            return address.WriteTo(destination);
        Key!.Value.Bytes.CopyTo(destination);
        return PublicKey.Size;
    }
}
