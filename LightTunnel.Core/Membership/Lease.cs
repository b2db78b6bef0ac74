using System.Diagnostics.CodeAnalysis;
using LightTunnel.Addressing;
using LightTunnel.Membership.Cbor;
using LightTunnel.Membership.Signing;
using LightTunnel.WireGuard;

namespace LightTunnel.Membership;

/// <summary>What the server remembers of a member: an immutable value, replaced whole.</summary>
internal sealed record Lease : ICborRecord<Lease>
{
    private static readonly CborKind<IReadOnlyList<IpPrefix>> Decisions =
        FieldKinds.Array(FieldKinds.ShortPrefix, 0, MemberRoutes.MaximumDecisions);

    /// <summary>The member: who proves to have this key.</summary>
    public required PublicKey PublicKey { get; init; }

    /// <summary>The number that stands for the key on the wire, 2 or above, the same for ever.</summary>
    public required uint MemberId { get; init; }

    /// <summary>
    /// The member's name, nobody else's: the one that it last registered with, or the nearest that was free, or an admin's choice.
    /// </summary>
    public required string Name { get; init; }

    /// <summary>One address of each of the network's prefixes.</summary>
    public required IReadOnlyList<TunnelAddress> Addresses { get; init; }

    /// <summary>When the key first registered.</summary>
    public required DateTimeOffset Created { get; init; }

    /// <summary>When the member was last known to be online.</summary>
    public required DateTimeOffset LastSeen { get; init; }

    /// <summary>
    /// False for a member that was never there for longer than a moment, and carried nothing: its lease is soon given up.
    /// </summary>
    public bool Used { get; init; }

    /// <summary>The invitation that the member came by; 0 for none.</summary>
    public uint Invitation { get; init; }

    /// <summary>
    /// The groups that an admin has put the member into, as <see cref="GroupName"/> keeps them. A member has no say in this, and is not
    /// told.
    /// </summary>
    public IReadOnlyList<string> Groups { get; init; } = [];

    /// <summary>True when an admin has given the name: what the member asks for does not count.</summary>
    public bool IsNamed { get; init; }

    /// <summary>True when an admin has given addresses: what the member asks for does not count.</summary>
    public bool IsPlaced { get; init; }

    /// <summary>True for a member that is one only while it is there: when it has been gone for a while, its lease ends.</summary>
    public bool IsEphemeral { get; init; }

    /// <summary>
    /// True for a plain WireGuard client, which an admin made: it never registers, so that only an admin ends its lease.
    /// </summary>
    public bool IsPlain { get; init; }

    /// <summary>
    /// The newest of the network's keys that the member is known to have, by its number. Of a plain WireGuard client the one of its
    /// configuration, before which none counts.
    /// </summary>
    public int KeyNumber { get; init; }

    /// <summary>When its membership ends, by the server's clock; null for never, or not given yet.</summary>
    public DateTimeOffset? Expires { get; init; }

    /// <summary>True when an admin has said when: then nothing renews it.</summary>
    public bool IsExpirySet { get; init; }

    /// <summary>
    /// An admin's signature of the member; null for none. It stays when the member gets another name or address, which it does not fit.
    /// </summary>
    public MemberSignature? Signature { get; init; }

    /// <summary>The networks behind it that the member has offered last.</summary>
    public IReadOnlyList<IpPrefix> OfferedRoutes { get; init; } = [];

    /// <summary>Networks that an admin lets lie behind the member, whenever it offers them.</summary>
    public IReadOnlyList<IpPrefix> ApprovedRoutes { get; init; } = [];

    /// <summary>Networks that an admin does not, also where others are approved by themselves.</summary>
    public IReadOnlyList<IpPrefix> DeniedRoutes { get; init; } = [];

    /// <summary>As it stands in the store, where the entry's key tells the member's id.</summary>
    public static Lease Exchange(CborFields<Lease> fields) => new()
    {
        MemberId = 0,
        Name = fields.Required(1, "name", m => m.Name, FieldKinds.Name),
        PublicKey = fields.Required(2, "public key", m => m.PublicKey, FieldKinds.Key),
        Addresses = fields.Required(3, "addresses", m => m.Addresses, FieldKinds.Array(FieldKinds.Address, 0, int.MaxValue)),
        Created = fields.Required(4, "created", m => m.Created, FieldKinds.Time),
        LastSeen = fields.Required(5, "last seen", m => m.LastSeen, FieldKinds.Time),
        Used = !fields.Optional(6, "unused", m => !m.Used, FieldKinds.Flag),
        Invitation = fields.Optional(7, "invitation", m => m.Invitation, FieldKinds.AnyUInt32),
        Groups = fields.Optional(8, "groups", m => m.Groups, FieldKinds.Groups),
        IsNamed = fields.Optional(9, "named by an admin", m => m.IsNamed, FieldKinds.Flag),
        IsPlaced = fields.Optional(10, "placed by an admin", m => m.IsPlaced, FieldKinds.Flag),
        IsEphemeral = fields.Optional(11, "ephemeral", m => m.IsEphemeral, FieldKinds.Flag),
        Expires = fields.Optional(13, "expires", m => m.Expires, FieldKinds.OrNone(FieldKinds.Time)),
        IsExpirySet = fields.Optional(14, "expiry set by an admin", m => m.IsExpirySet, FieldKinds.Flag),
        IsPlain = fields.Optional(12, "plain WireGuard", m => m.IsPlain, FieldKinds.Flag),
        KeyNumber = fields.Optional(15, "network key's number", m => m.KeyNumber, FieldKinds.KeyNumber),
        Signature = fields.Optional(20, "signature", m => m.Signature, MemberSignature.Kind),
        OfferedRoutes = fields.Optional(30, "networks offered", m => m.OfferedRoutes, FieldKinds.Routes),
        ApprovedRoutes = fields.Optional(31, "networks approved", m => m.ApprovedRoutes, Decisions),
        DeniedRoutes = fields.Optional(32, "networks denied", m => m.DeniedRoutes, Decisions),
    };
}

/// <summary>What became of a request for addresses.</summary>
/// <param name="Lease">The lease, or null when refused.</param>
/// <param name="Refusal">Why it was refused, or null.</param>
/// <param name="Evicted">A member long offline that had to make room, or null: it is to be removed from the directory.</param>
internal readonly record struct LeaseResult(Lease? Lease, RefusedMessage? Refusal, Lease? Evicted)
{
    [MemberNotNullWhen(true, nameof(Lease))]
    [MemberNotNullWhen(false, nameof(Refusal))]
    public bool Granted => Lease is not null;
}

/// <summary>What others changed in the store.</summary>
/// <param name="Ended">Leases that are no more.</param>
/// <param name="Current">Leases that are new, or have another name or other addresses, as they are now.</param>
internal sealed record LeaseNews(IReadOnlyList<Lease> Ended, IReadOnlyList<Lease> Current);
