using LightTunnel.Addressing;
using LightTunnel.Membership.Cbor;

namespace LightTunnel.Membership;

/// <summary>What a <see cref="RoutesMessage"/> tells; the values are those on the wire.</summary>
internal enum RoutesKind
{
    /// <summary>What only a newer version knows: it tells nothing here.</summary>
    Other = 0,

    /// <summary>From a client: the networks that it offers, and no others.</summary>
    Offered = 1,

    /// <summary>From the server: those of the client's that are approved, and no others.</summary>
    Approved = 2,

    /// <summary>From the server: the networks behind itself, and no others.</summary>
    Servers = 3,
}

/// <summary>Networks behind a node: of the client that tells, of the client that is told, or of the server.</summary>
internal sealed record RoutesMessage : ControlMessage, ICborRecord<RoutesMessage>
{
    /// <summary>Whose they are.</summary>
    public required RoutesKind Kind { get; init; }

    /// <summary>The networks.</summary>
    public IReadOnlyList<IpPrefix> Prefixes { get; init; } = [];

    /// <inheritdoc/>
    public static RoutesMessage Exchange(CborFields<RoutesMessage> fields) => new()
    {
        Kind = fields.Required(1, "kind", m => m.Kind, FieldKinds.OneOf(RoutesKind.Other)),
        Prefixes = fields.Optional(2, "networks", m => m.Prefixes, FieldKinds.Routes),
    };
}
