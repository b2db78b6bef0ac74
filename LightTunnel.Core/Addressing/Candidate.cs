using System.Buffers.Binary;
using System.Net;

namespace LightTunnel.Addressing;

/// <summary>How an endpoint came to be known. The numbers travel in control messages.</summary>
public enum CandidateKind : byte
{
    /// <summary>An address of one of the node's own interfaces.</summary>
    Host = 0,

    /// <summary>An endpoint that a person gave.</summary>
    Manual = 1,

    /// <summary>Where the server sees the node's socket.</summary>
    ServerReflexive = 2,

    /// <summary>Where another member sees it, or whence its probe came.</summary>
    PeerReflexive = 3,

    /// <summary>A port that the router forwards on request (PCP, NAT-PMP, UPnP).</summary>
    PortMapped = 4,

    /// <summary>The endpoint that a NAT with sequential ports will most likely hand out next.</summary>
    Predicted = 5,
}

/// <summary>An endpoint at which a member may be reachable.</summary>
/// <param name="Kind">How it came to be known.</param>
/// <param name="Endpoint">Address and port; never link-local.</param>
internal readonly record struct Candidate(CandidateKind Kind, UdpEndpoint Endpoint)
{
    /// <summary>Longest encoded form, bytes: kind, IPv6 address, port.</summary>
    public const int MaximumSize = 1 + 16 + 2;

    private const int ShortSize = 1 + 4 + 2;

    /// <summary>
    /// Writes kind (1 byte), address (4 or 16 bytes) and port (2 bytes, big-endian): the byte string that control messages carry.
    /// </summary>
    /// <returns>The number of bytes written, 7 or 19.</returns>
    public int Write(Span<byte> destination)
    {
        destination[0] = (byte)Kind;
        Endpoint.Address.TryWriteBytes(destination[1..], out int length);
        BinaryPrimitives.WriteUInt16BigEndian(destination[(1 + length)..], Endpoint.Port);
        return 1 + length + 2;
    }

    /// <summary>
    /// Reads what <see cref="Write"/> wrote. False for anything else, a kind that this version does not know, or an endpoint that nobody
    /// can be at: such an entry of a list is to be skipped, not the list refused.
    /// </summary>
    public static bool TryRead(ReadOnlySpan<byte> source, out Candidate candidate)
    {
        candidate = default;
        if (source.Length is not (ShortSize or MaximumSize) || source[0] > (byte)CandidateKind.Predicted)
            return false;
        var endpoint = new UdpEndpoint(new IPAddress(source[1..^2]), BinaryPrimitives.ReadUInt16BigEndian(source[^2..]));
        if (!IsUsable(endpoint))
            return false;
        candidate = new Candidate((CandidateKind)source[0], endpoint);
        return true;
    }

    /// <summary>False for endpoints that name no single node everywhere: unspecified, multicast, broadcast, link-local, port 0.</summary>
    public static bool IsUsable(in UdpEndpoint endpoint)
    {
        if (!endpoint.IsSpecified)
            return false;
        if (endpoint.IsIPv4)
        {
            uint address = (uint)endpoint.MappedAddress;
            // 0.0.0.0/8 "this network" (RFC 1122), 169.254/16 (RFC 3927), 224/4 multicast and 240/4 reserved with the broadcast address.
            return address >> 24 != 0 && address >> 16 != 0xA9FE && address >> 28 < 0xE;
        }

        ushort top = (ushort)(endpoint.MappedAddress >> 112);
        return top >> 8 != 0xFF && top >> 6 != 0xFE80 >> 6;
    }

    /// <summary>"Host 192.0.2.1:9000".</summary>
    public override string ToString() => $"{Kind} {Endpoint}";
}
