using System.Buffers.Binary;
using System.Net;

namespace LightTunnel.Addressing;

/// <summary>What a NAT's mapping or filtering depends on (RFC 4787 sections 4.1 and 5). The numbers travel in control messages.</summary>
public enum EndpointDependence : byte
{
    /// <summary>Not measured.</summary>
    Unknown = 0,

    /// <summary>Nothing: one mapping for all remote endpoints; whoever knows it may send.</summary>
    EndpointIndependent = 1,

    /// <summary>The remote address: a mapping for each; addresses that were sent to may answer from any port.</summary>
    AddressDependent = 2,

    /// <summary>Remote address and port: a mapping for each remote endpoint; exactly those that were sent to may answer.</summary>
    AddressAndPortDependent = 3,
}

/// <summary>How a NAT chooses the outer port of a new mapping (RFC 4787 section 4.2). The numbers travel in control messages.</summary>
public enum PortAssignment : byte
{
    /// <summary>Not measured.</summary>
    Unknown = 0,

    /// <summary>The inner port, when free.</summary>
    Preserving = 1,

    /// <summary>A fixed step from the last one.</summary>
    Sequential = 2,

    /// <summary>No rule to be seen.</summary>
    Random = 3,
}

/// <summary>Whether addresses are translated at all. The numbers travel in control messages.</summary>
internal enum NatPresence : byte
{
    /// <summary>Not measured.</summary>
    Unknown = 0,

    /// <summary>Others see one of the node's own addresses.</summary>
    None = 1,

    /// <summary>Others see another address.</summary>
    Translated = 2,
}

/// <summary>
/// What is known of the NAT before a node, in RFC 4787's terms; the default value is "nothing". It orders attempts to reach the node and
/// never forbids one.
/// </summary>
/// <param name="Mapping">What the outer endpoint of a mapping depends on.</param>
/// <param name="Filtering">From whom a mapping lets datagrams in. With a server of one address, "address-dependent" may also be
/// endpoint-independent.</param>
/// <param name="Assignment">How outer ports are chosen.</param>
/// <param name="Step">Sequential allocation: difference from one outer port to the next; otherwise 0.</param>
/// <param name="Presence">Whether there is a NAT at all.</param>
/// <param name="PublicAddress">The address that the server sees; null until known.</param>
internal readonly record struct NatBehaviour(
    EndpointDependence Mapping,
    EndpointDependence Filtering = EndpointDependence.Unknown,
    PortAssignment Assignment = PortAssignment.Unknown,
    int Step = 0,
    NatPresence Presence = NatPresence.Unknown,
    IPAddress? PublicAddress = null)
{
    /// <summary>Longest encoded form, bytes.</summary>
    public const int MaximumSize = FixedSize + 16;

    private const int FixedSize = 6;

    /// <summary>True when the node has a public address of its own.</summary>
    public bool IsPublic => Presence == NatPresence.None && PublicAddress is { } address && !new UdpEndpoint(address, 1).IsLocal;

    /// <summary>True when each remote endpoint sees another outer port, so that what the server sees is of little use to others.</summary>
    public bool HasDependentMapping =>
        Mapping is EndpointDependence.AddressDependent or EndpointDependence.AddressAndPortDependent
        && Assignment != PortAssignment.Preserving;

    /// <summary>True when the next outer port can be computed from the last.</summary>
    public bool IsPredictable => HasDependentMapping && Assignment == PortAssignment.Sequential && Step != 0;

    /// <summary>True when the next outer port can only be guessed.</summary>
    public bool IsRandom => HasDependentMapping && !IsPredictable;

    /// <summary>True when only the very remote port that was written to may answer, as far as is known.</summary>
    public bool FiltersPorts => Filtering is EndpointDependence.AddressAndPortDependent or EndpointDependence.Unknown;

    /// <summary>
    /// The name people know (RFC 3489): "None (Public IP)", "Full Cone", "Restricted Cone", "Port-Restricted Cone", "Symmetric", "Unknown".
    /// </summary>
    public string ClassicName => (Presence, Mapping, Filtering) switch
    {
        (NatPresence.None, _, _) => "None (Public IP)",
        (_, EndpointDependence.AddressDependent or EndpointDependence.AddressAndPortDependent, _) => "Symmetric",
        (_, EndpointDependence.EndpointIndependent, EndpointDependence.EndpointIndependent) => "Full Cone",
        (_, EndpointDependence.EndpointIndependent, EndpointDependence.AddressDependent) => "Restricted Cone",
        (_, EndpointDependence.EndpointIndependent, EndpointDependence.AddressAndPortDependent) => "Port-Restricted Cone",
        _ => "Unknown",
    };

    /// <summary>
    /// Writes mapping, filtering, allocation and presence (1 byte each), step (2 bytes, signed, big-endian) and the public address
    /// (0, 4 or 16 bytes): the byte string that control messages carry.
    /// </summary>
    /// <returns>The number of bytes written, 6, 10 or 22.</returns>
    public int Write(Span<byte> destination)
    {
        destination[0] = (byte)Mapping;
        destination[1] = (byte)Filtering;
        destination[2] = (byte)Assignment;
        destination[3] = (byte)Presence;
        BinaryPrimitives.WriteInt16BigEndian(destination[4..], (short)Math.Clamp(Step, short.MinValue, short.MaxValue));
        int length = 0;
        PublicAddress?.TryWriteBytes(destination[FixedSize..], out length);
        return FixedSize + length;
    }

    /// <summary>
    /// Reads what <see cref="Write"/> wrote; a value that this version does not know becomes "unknown". False for another length.
    /// </summary>
    public static bool TryRead(ReadOnlySpan<byte> source, out NatBehaviour behaviour)
    {
        behaviour = default;
        if (source.Length is not (FixedSize or FixedSize + 4 or FixedSize + 16))
            return false;
        behaviour = new NatBehaviour(
            source[0] <= (byte)EndpointDependence.AddressAndPortDependent ? (EndpointDependence)source[0] : EndpointDependence.Unknown,
            source[1] <= (byte)EndpointDependence.AddressAndPortDependent ? (EndpointDependence)source[1] : EndpointDependence.Unknown,
            source[2] <= (byte)PortAssignment.Random ? (PortAssignment)source[2] : PortAssignment.Unknown,
            BinaryPrimitives.ReadInt16BigEndian(source[4..]),
            source[3] <= (byte)NatPresence.Translated ? (NatPresence)source[3] : NatPresence.Unknown,
            source.Length == FixedSize ? null : new IPAddress(source[FixedSize..]));
        return true;
    }
}
