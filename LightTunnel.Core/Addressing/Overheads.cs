namespace LightTunnel.Addressing;

/// <summary>Bytes that stand around an inner packet on its way.</summary>
internal static class Overheads
{
    /// <summary>Of an IPv4 header without options (RFC 791).</summary>
    public const int IPv4 = 20;

    /// <summary>Of an IPv6 header (RFC 8200).</summary>
    public const int IPv6 = 40;

    /// <summary>Of a UDP header (RFC 768).</summary>
    public const int Udp = 8;

    /// <summary>Of a transport message's header (WireGuard paper, section 5.4.6).</summary>
    public const int TransportHeader = 16;

    /// <summary>Of the longest tag: AEGIS-256's; ChaCha20-Poly1305's has 16.</summary>
    public const int LongestTag = 32;

    /// <summary>A packet is padded to a multiple of this before it is sealed.</summary>
    public const int PaddingMultiple = 16;

    /// <summary>What sealing adds at most, without padding.</summary>
    public const int Sealed = TransportHeader + LongestTag;

    /// <summary>What a datagram has besides its packet at most, padding aside: relay header, transport header and tag.</summary>
    public const int Datagram = RelayHeader.Size + Sealed;

    /// <summary>Room for everything that stands around a packet in a datagram.</summary>
    public const int PaddedDatagram = Datagram + PaddingMultiple;

    /// <summary>
    /// Bytes around an inner packet at most by that path: IP, UDP, a relay's header, and the link's with the longer tag of both suites.
    /// </summary>
    public static int Of(in PathAddress path) =>
        (path.Endpoint.IsIPv4 ? IPv4 : IPv6) + Udp + (path.IsRelayed ? RelayHeader.Size : 0) + Sealed;
}
