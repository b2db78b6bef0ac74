using LightTunnel.Addressing;
using LightTunnel.Membership.Cbor;
using LightTunnel.WireGuard;

namespace LightTunnel.Membership.Signing;

/// <summary>
/// What an admin says of a member by signing it: this key, under this name and with these addresses, is a member of this network. A server
/// could lie about each of them. Never on the wire: who checks a signature makes it from what it was told.
/// </summary>
/// <remarks>
/// What is signed is <see cref="Context"/> and the record as a CBOR map in canonical order. A field that is left out when it means nothing
/// can be added later without a change of what was signed before; one that means something makes another statement of it.
/// <para>
/// The network is its server's public key: what each member is bound to from the beginning, by its invitation, and cannot be told
/// differently. Its name can be another network's, and its pre-shared key is changed now and then.
/// </para>
/// </remarks>
internal sealed record MemberStatement : ICborRecord<MemberStatement>
{
    /// <summary>Tells these signatures from all others that the same key may make, and from those of other versions.</summary>
    private static ReadOnlySpan<byte> Context => "LightTunnel member signature 1\0"u8;

    /// <summary>The network.</summary>
    public required PublicKey ServerKey { get; init; }

    /// <summary>The member's key.</summary>
    public required PublicKey PublicKey { get; init; }

    /// <summary>Its name, which people and rules go by.</summary>
    public required string Name { get; init; }

    /// <summary>Its tunnel addresses, in the order in which the server names them.</summary>
    public required IReadOnlyList<TunnelAddress> Addresses { get; init; }

    /// <summary>True for a plain WireGuard client: the server reads what it sends and is sent.</summary>
    public bool IsPlain { get; init; }

    /// <summary>When it was said, to the second.</summary>
    public required DateTimeOffset Issued { get; init; }

    /// <summary>Until when it holds, to the second; null for ever.</summary>
    public DateTimeOffset? Expires { get; init; }

    /// <inheritdoc/>
    public static MemberStatement Exchange(CborFields<MemberStatement> fields) => new()
    {
        ServerKey = fields.Required(1, "server's key", m => m.ServerKey, FieldKinds.Key),
        PublicKey = fields.Required(2, "public key", m => m.PublicKey, FieldKinds.Key),
        Name = fields.Required(3, "name", m => m.Name, FieldKinds.Name),
        Addresses = fields.Required(
            4, "addresses", m => m.Addresses, FieldKinds.Array(FieldKinds.Address, 0, ControlMessage.MaximumAddresses)),
        IsPlain = fields.Optional(5, "plain WireGuard", m => m.IsPlain, FieldKinds.Flag),
        Issued = fields.Required(6, "signed at", m => m.Issued, FieldKinds.Seconds),
        Expires = fields.Optional(7, "good until", m => m.Expires, FieldKinds.OrNone(FieldKinds.Seconds)),
    };

    /// <summary>What is signed.</summary>
    public byte[] ToSign() => [.. Context, .. CborRecord.Encode(this)];
}
