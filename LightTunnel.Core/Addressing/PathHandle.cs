namespace LightTunnel.Addressing;

/// <summary>
/// What Transport needs to send a datagram, and tells of one that it received: who is at the other end, and by what of this machine it is
/// reached (UDP's address and port, and a socket; one day a stream's). Above Transport a handle is made from an endpoint, compared,
/// remembered and handed back; nobody there computes with what is inside but for the endpoint, which limits, displays and traversal go by.
/// Equal are only handles whose datagrams leave exactly alike; whether two are the same path <see cref="PathAddress"/> says.
/// </summary>
internal readonly record struct PathHandle
{
    // An endpoint is padded to 32 bytes, for the alignment of its address. By its parts all of this fits into as many: there is one in
    // every slot of a batch.
    private readonly UInt128 _address;
    private readonly uint _scopeId;
    private readonly ushort _port;

    /// <summary>The way to an endpoint by the node's own socket.</summary>
    public PathHandle(in UdpEndpoint endpoint)
    {
        _address = endpoint.MappedAddress;
        _scopeId = endpoint.ScopeId;
        _port = endpoint.Port;
    }

    /// <summary>The other end.</summary>
    public UdpEndpoint Endpoint => new(_address, _port, _scopeId);

    /// <summary>By what of this machine it is reached.</summary>
    public LocalEnd Local { get; init; }

    /// <summary>
    /// The address of this machine to leave from; after a receive the one that the datagram was sent to, where the system tells.
    /// </summary>
    public AskedAddress Asked { get; init; }

    /// <summary>
    /// True while nobody has shown to receive what is sent there. What waits for such a one, for a neighbour who never answers the system's
    /// question who has that address for instance, takes no room from anybody else, and what finds none is lost.
    /// </summary>
    public bool IsUnproven { get; init; }

    /// <summary>"192.0.2.1:9000".</summary>
    public override string ToString() => Endpoint.ToString();
}
