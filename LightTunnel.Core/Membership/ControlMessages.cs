using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Membership.Cbor;
using LightTunnel.Membership.Signing;
using LightTunnel.WireGuard;

namespace LightTunnel.Membership;

/// <summary>
/// What client and server tell each other inside their link; encoded by <see cref="ControlMessageCodec"/>. Each says its own fields, in
/// its method Exchange: a field is a property, and a line there. Never changed after creation.
/// </summary>
internal abstract record ControlMessage
{
    /// <summary>Most addresses of one node in one message.</summary>
    public const int MaximumAddresses = 4;
}

/// <summary>A client asks to become a member: the first message of each conversation.</summary>
internal sealed record RegisterMessage : ControlMessage, ICborRecord<RegisterMessage>
{
    /// <summary>The protocol versions that the client speaks; a client that tells one only speaks that one.</summary>
    public ProtocolRange Protocols { get; init; } = ProtocolRange.Own;

    /// <summary>
    /// The client's name, on its way to the server any printable text: <see cref="CheckFormat"/> says whether it is a
    /// <see cref="NodeName"/>.
    /// </summary>
    public required string Name { get; init; }

    /// <summary>Addresses asked for; empty lets the server choose.</summary>
    public IReadOnlyList<TunnelAddress> RequestedAddresses { get; init; } = [];

    /// <summary>LightTunnel version of the client, for people; empty when unknown.</summary>
    public string SoftwareVersion { get; init; } = string.Empty;

    /// <summary>
    /// The cipher suite that the client prefers, WireGuard's when it does not tell or tells one that this version does not know.
    /// </summary>
    public CipherSuite PreferredSuite { get; init; }

    /// <summary>True when the client can ask for members: in a large network it is told of no others.</summary>
    public bool AsksForMembers { get; init; }

    /// <summary>System and processor of the client's machine, for people; empty when unknown.</summary>
    public string System { get; init; } = string.Empty;

    /// <summary>A random number of the client's process, by which two machines with one key are told apart; 0 for none.</summary>
    public ulong Instance { get; init; }

    /// <summary>True when the client holds packets against access rules that it is told.</summary>
    public bool KnowsRules { get; init; }

    /// <summary>The newest of the network's keys that the client has kept, by its number; 0 for one of which it knows no number.</summary>
    public int KeyNumber { get; init; }

    /// <summary>True when the client takes another network key that it is told (<see cref="NetworkKeyMessage"/>), and says so.</summary>
    public bool TakesKeys { get; init; }

    /// <summary>True when the client offers networks behind it, which it tells once it is admitted; otherwise it offers none.</summary>
    public bool OffersRoutes { get; init; }

    /// <summary>The invitation by which the client comes, which a server asks of who is not a member yet; null for none.</summary>
    public InvitationToken? Invitation { get; init; }

    /// <inheritdoc/>
    public static RegisterMessage Exchange(CborFields<RegisterMessage> fields) => new()
    {
        // Versions and name may be any: the server refuses them with a reason, whereas something malformed gets no answer at all.
        Protocols = ExchangeProtocols(fields),
        Name = fields.Required(2, "name", m => m.Name, FieldKinds.Text),
        RequestedAddresses = fields.Required(
            3, "addresses asked for", m => m.RequestedAddresses, FieldKinds.Array(FieldKinds.Address, 0, MaximumAddresses)),
        SoftwareVersion = fields.Optional(4, "software version", m => m.SoftwareVersion, FieldKinds.Version),
        PreferredSuite = fields.Optional(5, "cipher suite", m => m.PreferredSuite, FieldKinds.Suite),
        AsksForMembers = fields.Optional(6, "asks for members", m => m.AsksForMembers, FieldKinds.Flag),
        Instance = fields.Optional(7, "process", m => m.Instance, FieldKinds.AnyUInt64),
        System = fields.Optional(9, "system", m => m.System, FieldKinds.Version),
        Invitation = fields.Optional(10, "invitation", m => m.Invitation, InvitationToken.Kind),
        KnowsRules = fields.Optional(11, "knows access rules", m => m.KnowsRules, FieldKinds.Flag),
        KeyNumber = fields.Optional(12, "network key's number", m => m.KeyNumber, FieldKinds.KeyNumber),
        TakesKeys = fields.Optional(13, "takes network keys", m => m.TakesKeys, FieldKinds.Flag),
        OffersRoutes = fields.Optional(30, "offers networks", m => m.OffersRoutes, FieldKinds.Flag),
    };

    private static ProtocolRange ExchangeProtocols(CborFields<RegisterMessage> fields)
    {
        CborKind<int> version = FieldKinds.Number(0, int.MaxValue);
        int newest = fields.Required(1, "newest protocol version", m => m.Protocols.Newest, version);
        int oldest = fields.Optional(8, "oldest protocol version", m => OldestIfOther(m.Protocols), FieldKinds.OrNone(version)) ?? newest;
        fields.Require(oldest <= newest, "the oldest version is not newer than the newest.");
        return new ProtocolRange(oldest, newest);

        static int? OldestIfOther(ProtocolRange protocols) => protocols.Oldest == protocols.Newest ? null : protocols.Oldest;
    }

    /// <summary>The refusal of a registration that this version does not understand, or null.</summary>
    public RefusedMessage? CheckFormat()
    {
        if (!ProtocolRange.TryAgree(ProtocolRange.Own, Protocols, out _))
        {
            return new RefusedMessage
            {
                Reason = RefusalReason.VersionUnsupported,
                Text = ProtocolRange.Mismatch(ProtocolRange.Own, Protocols),
            };
        }

        return NodeName.IsValid(Name) ? null : new RefusedMessage { Reason = RefusalReason.InvalidName, Text = $"'{Name}' is no name." };
    }
}

/// <summary>The server admits a client.</summary>
internal sealed record RegisteredMessage : ControlMessage, ICborRecord<RegisteredMessage>
{
    /// <summary>The newest protocol version that both speak, as the server says.</summary>
    public int Protocol { get; init; } = ProtocolRange.Own.Newest;

    /// <summary>The client's member id, never 0 or 1.</summary>
    public required uint MemberId { get; init; }

    /// <summary>The network's name.</summary>
    public required string NetworkName { get; init; }

    /// <summary>The server's name.</summary>
    public required string ServerName { get; init; }

    /// <summary>Addresses leased to the client, with the network's prefix lengths.</summary>
    public required IReadOnlyList<InterfaceAddress> Addresses { get; init; }

    /// <summary>The server's own tunnel addresses.</summary>
    public required IReadOnlyList<TunnelAddress> ServerAddresses { get; init; }

    /// <summary>The network's MTU, bytes.</summary>
    public required int Mtu { get; init; }

    /// <summary>Where the server sees the client; the default value when unknown.</summary>
    public UdpEndpoint ObservedEndpoint { get; init; }

    /// <summary>True when clients may talk to the server only.</summary>
    public bool ClientIsolation { get; init; }

    /// <summary>LightTunnel version of the server, for people; empty when unknown.</summary>
    public string SoftwareVersion { get; init; } = string.Empty;

    /// <summary>
    /// The cipher suite that the server prefers, WireGuard's when it does not tell or tells one that this version does not know.
    /// </summary>
    public CipherSuite PreferredSuite { get; init; }

    /// <summary>
    /// The UDP port at which the server also looks at its clients, so that they can measure their NAT (RFC 5780); 0 for none.
    /// </summary>
    public int ObserverPort { get; init; }

    /// <summary>The server's addresses at which it does, when it has several; otherwise the one that the client knows.</summary>
    public IReadOnlyList<TunnelAddress> ObserverAddresses { get; init; } = [];

    /// <summary>True when access rules that concern the client follow at once; otherwise there are none.</summary>
    public bool HasRules { get; init; }

    /// <summary>True when networks behind the server itself follow at once; otherwise there are none.</summary>
    public bool HasRoutes { get; init; }

    /// <summary>
    /// The client's name in the network, when it is not the one that it asked for, which is another's, or not an admin's choice; empty
    /// otherwise.
    /// </summary>
    public string GivenName { get; init; } = string.Empty;

    /// <summary>True when the given name is an admin's choice.</summary>
    public bool IsNamed { get; init; }

    /// <summary>
    /// The network's signing keys as the server says, which a client does not believe, but compares with those that it knows; none where
    /// members are not signed.
    /// </summary>
    public IReadOnlyList<SigningPublicKey> SigningKeys { get; init; } = [];

    /// <summary>An admin's signature of the client itself; null for none.</summary>
    public MemberSignature? Signature { get; init; }

    /// <inheritdoc/>
    public static RegisteredMessage Exchange(CborFields<RegisteredMessage> fields) => new()
    {
        Protocol = fields.Required(1, "protocol version", m => m.Protocol, FieldKinds.Number(1, int.MaxValue)),
        MemberId = fields.Required(2, "member id", m => m.MemberId, FieldKinds.ClientId),
        NetworkName = fields.Required(3, "network name", m => m.NetworkName, FieldKinds.Name),
        ServerName = fields.Required(4, "server name", m => m.ServerName, FieldKinds.Name),
        Addresses = fields.Required(5, "addresses", m => m.Addresses, FieldKinds.Array(FieldKinds.InterfaceAddress, 1, MaximumAddresses)),
        ServerAddresses = fields.Required(
            6, "server's addresses", m => m.ServerAddresses, FieldKinds.Array(FieldKinds.Address, 1, MaximumAddresses)),
        Mtu = fields.Required(7, "MTU", m => m.Mtu, FieldKinds.Number(576, ushort.MaxValue)),
        ObservedEndpoint = fields.Optional(8, "observed endpoint", m => m.ObservedEndpoint, FieldKinds.Endpoint),
        ClientIsolation = fields.Optional(9, "client isolation", m => m.ClientIsolation, FieldKinds.Flag),
        SoftwareVersion = fields.Optional(10, "software version", m => m.SoftwareVersion, FieldKinds.Version),
        ObserverPort = fields.Optional(11, "observer port", m => m.ObserverPort, FieldKinds.Number(1, ushort.MaxValue)),
        ObserverAddresses = fields.Optional(
            12, "observer addresses", m => m.ObserverPort == 0 ? [] : m.ObserverAddresses,
            FieldKinds.Array(FieldKinds.Address, 1, MaximumAddresses)),
        PreferredSuite = fields.Optional(13, "cipher suite", m => m.PreferredSuite, FieldKinds.Suite),
        GivenName = fields.Optional(14, "given name", m => m.GivenName, FieldKinds.Name),
        IsNamed = fields.Optional(15, "named by an admin", m => m.IsNamed, FieldKinds.Flag),
        HasRules = fields.Optional(16, "access rules follow", m => m.HasRules, FieldKinds.Flag),
        SigningKeys = fields.Optional(20, "signing keys", m => m.SigningKeys, SigningPublicKey.ToldKind),
        Signature = fields.Optional(21, "signature", m => m.Signature, MemberSignature.Kind),
        HasRoutes = fields.Optional(30, "server's networks follow", m => m.HasRoutes, FieldKinds.Flag),
    };

    /// <summary>Why this version cannot take part, or null.</summary>
    public LightTunnelException? CheckProtocol() => ProtocolRange.Own.Contains(Protocol) ? null : new LightTunnelException(
        LightTunnelError.ServerRefused,
        $"The server speaks protocol {Protocol} with this client, which speaks {ProtocolRange.Own}: "
        + $"the {(Protocol > ProtocolRange.Own.Newest ? "client" : "server")} is older.",
        "Install the newer one's LightTunnel version on the older one.");
}

/// <summary>Why a server does not admit a client; the values are those on the wire.</summary>
internal enum RefusalReason
{
    /// <summary>For a reason that only the text tells (also: a reason newer than this version).</summary>
    Other = 0,

    /// <summary>The address asked for belongs to another member.</summary>
    AddressTaken = 1,

    /// <summary>No address is left.</summary>
    AddressPoolExhausted = 2,

    /// <summary>As many clients are online as may be.</summary>
    ServerFull = 3,

    /// <summary>The address asked for is not one that the network can give.</summary>
    AddressUnusable = 4,

    /// <summary>Client and server have no protocol version in common; the text says which is older.</summary>
    VersionUnsupported = 5,

    /// <summary>The client's name is not allowed.</summary>
    InvalidName = 6,

    /// <summary>The network's key alone admits nobody: the client showed no invitation.</summary>
    InvitationRequired = 7,

    /// <summary>The server has no such invitation, or has another secret for it.</summary>
    InvitationUnknown = 8,

    /// <summary>As many as may have come by the invitation.</summary>
    InvitationUsedUp = 9,

    /// <summary>The invitation's time is over, by the server's clock.</summary>
    InvitationExpired = 10,

    /// <summary>The invitation was taken back.</summary>
    InvitationRemoved = 11,

    /// <summary>An admin has to approve the client first: it asks again, and is admitted then.</summary>
    AwaitingApproval = 12,

    /// <summary>An admin has denied the client.</summary>
    Denied = 13,

    /// <summary>The client's membership has ended.</summary>
    MembershipExpired = 14,
}

/// <summary>The server does not admit a client.</summary>
internal sealed record RefusedMessage : ControlMessage, ICborRecord<RefusedMessage>
{
    public required RefusalReason Reason { get; init; }

    /// <summary>One sentence for a person; cut short when it is longer than <see cref="FieldKinds.Text"/> may be.</summary>
    public string Text { get; init; } = string.Empty;

    /// <inheritdoc/>
    public static RefusedMessage Exchange(CborFields<RefusedMessage> fields) => new()
    {
        Reason = fields.Required(1, "reason", m => m.Reason, FieldKinds.OneOf(RefusalReason.Other)),
        Text = fields.Optional(2, "text", m => m.Text, FieldKinds.Text),
    };

    /// <summary>The same as an error for the person who tried to join.</summary>
    public LightTunnelException ToException()
    {
        (LightTunnelError error, string message, string action) = Reason switch
        {
            RefusalReason.AddressTaken => (LightTunnelError.AddressTaken,
                "The address asked for belongs to another member of the network.",
                "Ask for another address, or for none to get a free one. If its owner is this machine before it was reinstalled: "
                    + "Remove-LtMember on the server frees it."),
            RefusalReason.AddressPoolExhausted => (LightTunnelError.AddressPoolExhausted,
                "The network has no free address left.",
                "Give the server a larger prefix, or wait until members that are long gone lose their addresses."),
            RefusalReason.ServerFull => (LightTunnelError.ServerFull,
                "The server has as many clients online as it may.",
                "Raise the server's MaxClients, or try again later."),
            RefusalReason.AddressUnusable => (LightTunnelError.InvalidAddress,
                "The address asked for is not one that this network can give.",
                "Ask for a host address inside the network's prefix, or for none to get a free one."),
            RefusalReason.VersionUnsupported => (LightTunnelError.ServerRefused,
                "The server does not speak this LightTunnel version's protocol.",
                "Install the newer one's LightTunnel version on the older one."),
            RefusalReason.InvalidName => (LightTunnelError.InvalidName,
                "The server does not accept this node's name.",
                "Choose a name of up to 63 letters, digits, '-', '_' and '.'."),
            RefusalReason.InvitationRequired => (LightTunnelError.InvitationRefused,
                "The network's key alone admits nobody new: this machine is no member yet, and showed no invitation.",
                "Ask for an invitation (New-LtInvitation on the server). One of an earlier version of LightTunnel is not enough, unless "
                    + "the server allows it: Start-LtServer -AllowKeyOnly."),
            RefusalReason.InvitationUnknown => (LightTunnelError.InvitationRefused,
                "The server does not know the invitation.",
                "Ask for a new one (New-LtInvitation on the server)."),
            RefusalReason.InvitationUsedUp => (LightTunnelError.InvitationRefused,
                "The invitation is used up: as many machines have joined by it as may.",
                "Ask for a new one (New-LtInvitation on the server)."),
            RefusalReason.InvitationExpired => (LightTunnelError.InvitationExpired,
                "The invitation's time is over.",
                "Ask for a new one (New-LtInvitation on the server)."),
            RefusalReason.InvitationRemoved => (LightTunnelError.InvitationRefused,
                "The invitation was taken back.",
                "Ask for a new one (New-LtInvitation on the server)."),
            RefusalReason.AwaitingApproval => (LightTunnelError.ServerRefused,
                "This machine waits for an administrator of the network to approve it.",
                "Ask who runs the server, where Get-LtMember -State Pending shows it and Approve-LtMember lets it in: it joins by itself "
                    + "then."),
            RefusalReason.Denied => (LightTunnelError.ServerRefused,
                "An administrator of the network has denied this machine.",
                "Ask who runs the server, where Approve-LtMember lets it in nevertheless: it joins by itself then, within ten minutes."),
            RefusalReason.MembershipExpired => (LightTunnelError.ServerRefused,
                "This machine's membership of the network has ended.",
                "Ask who runs the server, where Set-LtMember -ExpiresIn prolongs it: it joins by itself then, within ten minutes."),
            _ => (LightTunnelError.ServerRefused, "The server refused the registration.",
                "Ask the server's administrator, or look into its log."),
        };
        return new LightTunnelException(error, Text.Length == 0 ? message : $"{message} The server says: {Text}", action);
    }
}

/// <summary>Why a node leaves; the values are those on the wire.</summary>
internal enum LeaveReason
{
    /// <summary>For a reason newer than this version.</summary>
    Other = 0,

    /// <summary>A person stopped it.</summary>
    Stopped = 1,

    /// <summary>It comes back at once.</summary>
    Restarting = 2,

    /// <summary>Server to client: another node registered with the same key.</summary>
    Replaced = 3,

    /// <summary>Client to server: it cannot use the addresses that it was given.</summary>
    Unusable = 4,

    /// <summary>Server to client: an admin keeps its key out of the network.</summary>
    Blocked = 5,

    /// <summary>Server to client: its membership has ended.</summary>
    Expired = 6,
}

/// <summary>The sender is about to stop.</summary>
internal sealed record LeaveMessage : ControlMessage, ICborRecord<LeaveMessage>
{
    public required LeaveReason Reason { get; init; }

    /// <inheritdoc/>
    public static LeaveMessage Exchange(CborFields<LeaveMessage> fields) => new()
    {
        Reason = fields.Required(1, "reason", m => m.Reason, FieldKinds.OneOf(LeaveReason.Other)),
    };
}

/// <summary>What a server has to tell the person at a client; the values are those on the wire.</summary>
internal enum NoticeKind
{
    /// <summary>Something newer than this version.</summary>
    Other = 0,

    /// <summary>Another member asked for this one's name, and is known by that of the notice.</summary>
    NameAskedFor = 1,

    /// <summary>Another machine has this one's key, and was sent away.</summary>
    IdentityShared = 2,

    /// <summary>This one's membership ends soon, when the notice says.</summary>
    MembershipEnds = 3,
}

/// <summary>Something that a person should know; lost when the client has much else to take.</summary>
internal sealed record NoticeMessage : ControlMessage, ICborRecord<NoticeMessage>
{
    public required NoticeKind Kind { get; init; }

    /// <summary>What it is about, for a person; cut short when it is longer than <see cref="FieldKinds.Text"/> may be.</summary>
    public string Subject { get; init; } = string.Empty;

    /// <inheritdoc/>
    public static NoticeMessage Exchange(CborFields<NoticeMessage> fields) => new()
    {
        Kind = fields.Required(1, "kind", m => m.Kind, FieldKinds.OneOf(NoticeKind.Other)),
        Subject = fields.Optional(2, "subject", m => m.Subject, FieldKinds.Text),
    };
}
