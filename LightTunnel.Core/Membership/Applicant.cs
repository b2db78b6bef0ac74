using System.Diagnostics.CodeAnalysis;
using LightTunnel.Addressing;
using LightTunnel.Membership.Cbor;
using LightTunnel.Membership.Store;
using LightTunnel.WireGuard;

namespace LightTunnel.Membership;

/// <summary>
/// A machine that asks to become a member where an admin approves who does: what the server remembers of it until then, or since it was
/// denied. Never changed after creation.
/// </summary>
internal sealed record Applicant : ICborRecord<Applicant>
{
    /// <summary>The machine: who proves to have this key.</summary>
    public PublicKey PublicKey { get; init; }

    /// <summary>The name that it asks for.</summary>
    public required string Name { get; init; }

    /// <summary>Since when it asks.</summary>
    public required DateTimeOffset Since { get; init; }

    /// <summary>The addresses that it asks for; none for any.</summary>
    public IReadOnlyList<TunnelAddress> Addresses { get; init; } = [];

    /// <summary>The invitation that it has shown; 0 for none: it has the network's key alone.</summary>
    public uint Invitation { get; init; }

    /// <summary>Where the server saw it; the default value when unknown.</summary>
    public UdpEndpoint Endpoint { get; init; }

    /// <summary>Its LightTunnel version, as it says; empty when unknown.</summary>
    public string Version { get; init; } = string.Empty;

    /// <summary>What it runs on, as it says; empty when unknown.</summary>
    public string System { get; init; } = string.Empty;

    /// <summary>When an admin denied it; null while it waits.</summary>
    public DateTimeOffset? Denied { get; init; }

    /// <summary>As it stands in the store, where the entry's key tells the machine's.</summary>
    public static Applicant Exchange(CborFields<Applicant> fields) => new()
    {
        Name = fields.Required(1, "name", m => m.Name, FieldKinds.Name),
        Since = fields.Required(2, "since", m => m.Since, FieldKinds.Time),
        Addresses = fields.Optional(
            3, "addresses", m => m.Addresses, FieldKinds.Array(FieldKinds.Address, 0, ControlMessage.MaximumAddresses)),
        Invitation = fields.Optional(4, "invitation", m => m.Invitation, FieldKinds.AnyUInt32),
        Endpoint = fields.Optional(5, "endpoint", m => m.Endpoint, FieldKinds.Endpoint),
        Version = fields.Optional(6, "version", m => m.Version, FieldKinds.Version),
        System = fields.Optional(7, "system", m => m.System, FieldKinds.Version),
        Denied = fields.Optional(8, "denied", m => m.Denied, FieldKinds.OrNone(FieldKinds.Time)),
    };

    /// <summary>Reads an applicant's entry; false for any other, and for one that cannot be read.</summary>
    public static bool TryRead(string key, byte[]? value, [NotNullWhen(true)] out Applicant? applicant)
    {
        applicant = null;
        if (!StoreKeys.TryReadApplicant(key, out PublicKey machine) || value is null
            || !CborMap.TryRead(value, out CborMap? map) || !CborRecord.TryRead(map, out Applicant? read))
        {
            return false;
        }

        applicant = read with { PublicKey = machine };
        return true;
    }

    /// <summary>The entry's value, with what of the one before only a newer version knows.</summary>
    public byte[] Write(byte[]? before) =>
        CborRecord.Encode(this, before: before is not null && CborMap.TryRead(before, out CborMap? map) ? map : null);

    /// <summary>True when both ask for the same.</summary>
    public bool AsksLike(Applicant other) =>
        Name == other.Name && Invitation == other.Invitation && Addresses.SequenceEqual(other.Addresses);
}
