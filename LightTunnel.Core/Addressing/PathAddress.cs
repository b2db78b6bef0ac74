namespace LightTunnel.Addressing;

/// <summary>
/// Where a link's datagram goes to or came from: an endpoint, and the member behind it when that endpoint only relays.
/// <see cref="RelayedMember"/> 0 is a direct path; otherwise <see cref="Endpoint"/> is the relay's and the relay header names the member.
/// </summary>
/// <param name="Endpoint">The UDP endpoint that the datagram is exchanged with.</param>
/// <param name="RelayedMember">The member at the far side of the relay, 0 for none.</param>
/// <param name="Socket">The local socket, 0 for the node's own (<see cref="LocalSockets"/>).</param>
internal readonly record struct PathAddress(UdpEndpoint Endpoint, uint RelayedMember = 0, int Socket = 0)
{
    /// <summary>True when the datagrams travel through a relay.</summary>
    public bool IsRelayed => RelayedMember != 0;

    /// <summary>
    /// True while nobody has shown to receive what is sent there: sources can be forged, and candidates made up. Two addresses that differ in nothing else are equal: it is how a path is
    /// used, not which path it is.
    /// </summary>
    public bool IsUnproven { get; init; }

    /// <summary>
    /// The number of the local address that the other one sent to, and is answered from (<see cref="LocalSockets.AskedOf"/>); 0 for the system's choice. It is no part of which path it is
    /// either.
    /// </summary>
    public byte Asked { get; init; }

    /// <summary>The socket to send from: <see cref="Socket"/>, or what stands for the node's own towards whom may not exist, and the address.</summary>
    public int SendingSocket => LocalSockets.Combine(IsUnproven && Socket == 0 ? LocalSockets.Unproven : Socket, Asked);

    /// <inheritdoc/>
    public bool Equals(PathAddress other) => Endpoint == other.Endpoint && RelayedMember == other.RelayedMember && Socket == other.Socket;

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Endpoint, RelayedMember, Socket);

    /// <summary>"192.0.2.1:9000" or "member 7 by 192.0.2.1:9000".</summary>
    public override string ToString() => IsRelayed ? $"member {RelayedMember} by {Endpoint}" : Endpoint.ToString();
}
