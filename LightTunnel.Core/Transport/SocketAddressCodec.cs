using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using LightTunnel.Addressing;

namespace LightTunnel.Transport;

/// <summary>
/// Between <see cref="UdpEndpoint"/> and the operating system's sockaddr_in and sockaddr_in6, which have the same layout on
/// Linux and Windows: family (2 bytes, host order), port (2), then for IPv4 the address (4), for IPv6 flow label (4), address (16), scope
/// (4, host order).
/// </summary>
internal static class SocketAddressCodec
{
    /// <summary>Bytes of sockaddr_in6, the longer of the two.</summary>
    public const int MaximumLength = 28;

    private const int LengthIPv4 = 16;

    /// <summary>Number of an address family as the operating system counts; the framework's enum has Windows's numbers.</summary>
    private static readonly ushort FamilyIPv4 = FamilyNumber(AddressFamily.InterNetwork);

    private static readonly ushort FamilyIPv6 = FamilyNumber(AddressFamily.InterNetworkV6);

    /// <summary>Writes the endpoint in the form that the socket takes.</summary>
    /// <param name="endpoint">Where to.</param>
    /// <param name="dualMode">True for an IPv6 socket that also speaks IPv4 (as IPv4-mapped addresses), false for an IPv4 socket.</param>
    /// <param name="destination">At least <see cref="MaximumLength"/> bytes.</param>
    /// <returns>Bytes written; 0 when the socket cannot send there.</returns>
    public static int Write(in UdpEndpoint endpoint, bool dualMode, Span<byte> destination)
    {
        if (!endpoint.IsSpecified || (!dualMode && !endpoint.IsIPv4))
            return 0;
        return WriteUnchecked(endpoint, dualMode, destination);
    }

    /// <summary>
    /// Writes an address of this machine, null for all of them, in the form that bind takes; 0 when the socket cannot have it.
    /// </summary>
    public static int WriteLocal(IPAddress? address, int port, bool dualMode, Span<byte> destination)
    {
        UdpEndpoint endpoint = address is null ? new UdpEndpoint(UInt128.Zero, (ushort)port) : new UdpEndpoint(address, port);
        return address is null || dualMode || endpoint.IsIPv4 ? WriteUnchecked(endpoint, dualMode, destination) : 0;
    }

    private static int WriteUnchecked(in UdpEndpoint endpoint, bool dualMode, Span<byte> destination)
    {
        if (dualMode)
        {
            Span<byte> address = destination[..MaximumLength];
            MemoryMarshal.Write(address, FamilyIPv6);
            BinaryPrimitives.WriteUInt16BigEndian(address[2..], endpoint.Port);
            address[4..8].Clear();
            BinaryPrimitives.WriteUInt128BigEndian(address[8..], endpoint.MappedAddress);
            MemoryMarshal.Write(address[24..], endpoint.ScopeId);
            return MaximumLength;
        }

        destination[..LengthIPv4].Clear();
        MemoryMarshal.Write(destination, FamilyIPv4);
        BinaryPrimitives.WriteUInt16BigEndian(destination[2..], endpoint.Port);
        BinaryPrimitives.WriteUInt32BigEndian(destination[4..], (uint)endpoint.MappedAddress);
        return LengthIPv4;
    }

    /// <summary>Reads what the operating system wrote; the default value when it is of another family or cut short.</summary>
    public static UdpEndpoint Read(ReadOnlySpan<byte> address)
    {
        if (address.Length < LengthIPv4)
            return default;
        ushort family = MemoryMarshal.Read<ushort>(address);
        ushort port = BinaryPrimitives.ReadUInt16BigEndian(address[2..]);
        if (family == FamilyIPv4)
            return UdpEndpoint.FromIPv4(BinaryPrimitives.ReadUInt32BigEndian(address[4..]), port);
        if (family != FamilyIPv6 || address.Length < MaximumLength)
            return default;
        // Only link-local addresses need to know their interface; the endpoint must have one value wherever it comes from.
        bool isLinkLocal = address[8] == 0xFE && (address[9] & 0xC0) == 0x80;
        uint scope = isLinkLocal ? MemoryMarshal.Read<uint>(address[24..]) : 0;
        return new UdpEndpoint(BinaryPrimitives.ReadUInt128BigEndian(address[8..]), port, scope);
    }

    private static ushort FamilyNumber(AddressFamily family) => MemoryMarshal.Read<ushort>(new SocketAddress(family).Buffer.Span);
}
