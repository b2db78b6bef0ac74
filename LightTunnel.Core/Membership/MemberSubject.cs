using LightTunnel.Addressing;
using LightTunnel.WireGuard;

namespace LightTunnel.Membership;

/// <summary>What a member is asked for by: an address that it has, or its key. On the wire a byte string: 4 or 16 bytes of address, or 32 of key.</summary>
internal readonly record struct MemberSubject
{
    private MemberSubject(TunnelAddress? address, PublicKey? key) => (Address, Key) = (address, key);

    /// <summary>The address, or null.</summary>
    public TunnelAddress? Address { get; }

    /// <summary>The key, or null.</summary>
    public PublicKey? Key { get; }

    public static MemberSubject Of(TunnelAddress address) => new(address, null);

    public static MemberSubject Of(in PublicKey key) => new(null, key);

    /// <summary>As it stands in a message; what is neither address nor key is of a newer version (null).</summary>
    public static MemberSubject? Read(ReadOnlySpan<byte> bytes) => bytes.Length switch
    {
        4 or 16 => Of(TunnelAddress.FromBytes(bytes)),
        PublicKey.Size => Of(new PublicKey(bytes)),
        _ => null,
    };

    /// <summary>Writes it and returns its length, at most <see cref="PublicKey.Size"/>.</summary>
    public int Write(Span<byte> destination)
    {
        if (Address is { } address)
            return address.WriteTo(destination);
        Key!.Value.Bytes.CopyTo(destination);
        return PublicKey.Size;
    }

    /// <inheritdoc/>
    public override string ToString() => Address?.ToString() ?? Key?.ToString() ?? string.Empty;
}
