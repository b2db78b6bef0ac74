using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using LightTunnel.Addressing;

namespace LightTunnel.Transport;

/// <summary>
/// The control message that tells which local address a datagram came to, or is to leave from: struct cmsghdr with struct in6_pktinfo (RFC
/// 3542 section 6), of sockets for both families for IPv4 as well, or with struct in_pktinfo.
/// </summary>
[SupportedOSPlatform("linux")]
internal static unsafe class PacketInfoControl
{
    /// <summary>Bytes of the longer of the two, padding included.</summary>
    public const int Size = 40;

    /// <summary>Bytes of struct in6_pktinfo: address, then interface.</summary>
    private const int Length6 = 20;

    /// <summary>Bytes of struct in_pktinfo: interface, the address to answer from, the address in the header.</summary>
    private const int Length4 = 12;

    private static int HeaderLength => (int)LibC.SegmentControl.LengthWith(0);

    /// <summary>Has the kernel tell; false when it does not know how.</summary>
    public static bool TryReceive(SafeHandle socket, bool dualMode) => dualMode
        ? LibC.TrySetOption(socket, LibC.IPPROTO_IPV6, LibC.IPV6_RECVPKTINFO, 1)
        : LibC.TrySetOption(socket, LibC.IPPROTO_IP, LibC.IP_PKTINFO, 1);

    /// <summary>Reads the address, in mapped form, out of a received control message.</summary>
    /// <returns>False for another one.</returns>
    public static bool TryRead(byte* control, out UInt128 address)
    {
        var header = (LibC.SegmentControl*)control;
        byte* data = control + HeaderLength;
        if (header->Level == LibC.IPPROTO_IPV6 && header->Type == LibC.IPV6_PKTINFO
            && header->Length >= LibC.SegmentControl.LengthWith(Length6))
        {
            address = BinaryPrimitives.ReadUInt128BigEndian(new ReadOnlySpan<byte>(data, 16));
            return true;
        }

        bool isIPv4 = header->Level == LibC.IPPROTO_IP && header->Type == LibC.IP_PKTINFO
            && header->Length >= LibC.SegmentControl.LengthWith(Length4);
        address = isIPv4
            ? UdpEndpoint.FromIPv4(BinaryPrimitives.ReadUInt32BigEndian(new ReadOnlySpan<byte>(data + 4, 4)), 0).MappedAddress
            : UInt128.Zero;
        return isIPv4;
    }

    /// <summary>Writes what has a datagram leave from an address, by whatever interface the routes from there say.</summary>
    /// <param name="address">The address in mapped form.</param>
    /// <param name="dualMode">True for a socket of both families.</param>
    /// <param name="control">Room for <see cref="Size"/> bytes.</param>
    /// <returns>Bytes written, padding included.</returns>
    public static int Write(UInt128 address, bool dualMode, byte* control)
    {
        new Span<byte>(control, Size).Clear();
        var header = (LibC.SegmentControl*)control;
        byte* data = control + HeaderLength;
        if (dualMode)
        {
            (header->Length, header->Level, header->Type) = (LibC.SegmentControl.LengthWith(Length6), LibC.IPPROTO_IPV6, LibC.IPV6_PKTINFO);
            BinaryPrimitives.WriteUInt128BigEndian(new Span<byte>(data, 16), address);
            return Align(HeaderLength + Length6);
        }

        (header->Length, header->Level, header->Type) = (LibC.SegmentControl.LengthWith(Length4), LibC.IPPROTO_IP, LibC.IP_PKTINFO);
        BinaryPrimitives.WriteUInt32BigEndian(new Span<byte>(data + 4, 4), (uint)address);
        return Align(HeaderLength + Length4);
    }

    /// <summary>Where the next control message begins (CMSG_ALIGN).</summary>
    public static int Align(int length) => (length + sizeof(nuint) - 1) & ~(sizeof(nuint) - 1);
}
