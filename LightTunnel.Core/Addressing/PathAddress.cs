namespace LightTunnel.Addressing;

/// <summary>
/// Where a link's datagram goes to or came from: the hop that Transport knows of, and the member behind it when that only relays.
/// <see cref="RelayedMember"/> 0 is a direct path; otherwise <see cref="Endpoint"/> is the relay's and the relay header names the member.
/// Two are equal when they are the same path: endpoint, local end and member. Whether it is proven, and which address was asked, is how it
/// is used.
/// </summary>
/// <param name="Handle">What Transport sends by.</param>
/// <param name="RelayedMember">The member at the far side of the relay, 0 for none.</param>
internal readonly record struct PathAddress(PathHandle Handle, uint RelayedMember = 0)
{
    /// <summary>The path to an endpoint by the node's own socket.</summary>
    public PathAddress(UdpEndpoint endpoint, uint relayedMember = 0)
        : this(new PathHandle(endpoint), relayedMember)
    {
    }

    /// <summary>The UDP endpoint that the datagram is exchanged with.</summary>
    public UdpEndpoint Endpoint => Handle.Endpoint;

    /// <summary>By what of this machine: opaque, and given back to Transport.</summary>
    public LocalEnd Local => Handle.Local;

    /// <summary>True when the datagrams travel through a relay.</summary>
    public bool IsRelayed => RelayedMember != 0;

    /// <summary>True while nobody has shown to receive what is sent there: sources can be forged, and candidates made up.</summary>
    public bool IsUnproven
    {
        get => Handle.IsUnproven;
        init => Handle = Handle with { IsUnproven = value };
    }

    /// <summary>The local address that the other one sent to, and is answered from; the default value for the system's choice.</summary>
    public AskedAddress Asked
    {
        get => Handle.Asked;
        init => Handle = Handle with { Asked = value };
    }

    /// <summary>The path to the same endpoint by another local end.</summary>
    public PathAddress By(LocalEnd local) => this with { Handle = Handle with { Local = local } };

    /// <inheritdoc/>
    public bool Equals(PathAddress other) => Endpoint == other.Endpoint && RelayedMember == other.RelayedMember && Local == other.Local;

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Endpoint, RelayedMember, Local);

    /// <summary>"192.0.2.1:9000" or "member 7 by 192.0.2.1:9000".</summary>
    public override string ToString() => IsRelayed ? $"member {RelayedMember} by {Endpoint}" : Endpoint.ToString();
}
