using System.Buffers.Binary;
using System.Runtime.InteropServices;
using LightTunnel.Addressing;

namespace LightTunnel.Transport;

/// <summary>WSACMSGHDR of ws2def.h, which stands before what a control message tells.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct WinsockControl
{
    public nuint Length;
    public int Level;
    public int Type;
}

/// <summary>
/// The control messages of Windows: numbers, and addresses as struct in_pktinfo (address, interface) or struct in6_pktinfo (the same).
/// Sockets of both families tell and take IPv4 addresses in the form of IPv4, other than on Linux.
/// </summary>
internal static unsafe class WinsockControls
{
    /// <summary>
    /// Bytes for more than is ever asked for: Windows leaves out what finds no room, and with it may go how long the datagrams
    /// of a train are.
    /// </summary>
    public const int Size = 128;

    private const int AddressLength4 = 4, AddressLength6 = 16, InterfaceLength = 4;

    /// <summary>Writes a number; returns the bytes, padding included (WSA_CMSG_SPACE).</summary>
    public static int WriteNumber(byte* place, int level, int type, uint value)
    {
        Span<byte> data = Begin(place, level, type, sizeof(uint));
        MemoryMarshal.Write(data, value);
        return Align(sizeof(WinsockControl) + data.Length);
    }

    /// <summary>
    /// Writes what has a message leave from an address in mapped form, by whatever interface the system chooses; returns the bytes,
    /// padding included.
    /// </summary>
    public static int WriteAddress(byte* place, UInt128 address)
    {
        Span<byte> data;
        if (new UdpEndpoint(address, port: 0).IsIPv4)
        {
            data = Begin(place, WinsockMessages.IPPROTO_IP, WinsockMessages.IP_PKTINFO, AddressLength4 + InterfaceLength);
            BinaryPrimitives.WriteUInt32BigEndian(data, (uint)address);
        }
        else
        {
            data = Begin(place, WinsockMessages.IPPROTO_IPV6, WinsockMessages.IPV6_PKTINFO, AddressLength6 + InterfaceLength);
            BinaryPrimitives.WriteUInt128BigEndian(data, address);
        }

        return Align(sizeof(WinsockControl) + data.Length);
    }

    /// <summary>Reads what was told of a message.</summary>
    /// <param name="controls">At most <see cref="Size"/> bytes.</param>
    /// <param name="length">How many the system says.</param>
    /// <param name="segmentSize">Bytes of each datagram of a train, 0 when it does not tell.</param>
    /// <param name="local">The address that it was sent to in mapped form, 0 when it does not tell.</param>
    public static void Read(byte* controls, uint length, out uint segmentSize, out UInt128 local)
    {
        segmentSize = 0;
        local = UInt128.Zero;
        int end = (int)Math.Min(length, Size);
        for (int start = 0; start + sizeof(WinsockControl) <= end;)
        {
            var control = (WinsockControl*)(controls + start);
            if (control->Length < (nuint)sizeof(WinsockControl) || control->Length > (nuint)(end - start))
                break;
            var data = new ReadOnlySpan<byte>(control + 1, (int)control->Length - sizeof(WinsockControl));
            switch (control->Level, control->Type)
            {
                case (WinsockMessages.IPPROTO_UDP, WinsockMessages.UDP_COALESCED_INFO) when data.Length >= sizeof(uint):
                    segmentSize = MemoryMarshal.Read<uint>(data);
                    break;
                case (WinsockMessages.IPPROTO_IP, WinsockMessages.IP_PKTINFO) when data.Length >= AddressLength4:
                    local = UdpEndpoint.FromIPv4(BinaryPrimitives.ReadUInt32BigEndian(data), 0).MappedAddress;
                    break;
                case (WinsockMessages.IPPROTO_IPV6, WinsockMessages.IPV6_PKTINFO) when data.Length >= AddressLength6:
                    local = BinaryPrimitives.ReadUInt128BigEndian(data);
                    break;
            }

            start += Align((int)control->Length);
        }
    }

    /// <summary>Writes the header; the data is cleared, and so is the padding.</summary>
    private static Span<byte> Begin(byte* place, int level, int type, int dataLength)
    {
        int length = sizeof(WinsockControl) + dataLength;
        new Span<byte>(place, Align(length)).Clear();
        *(WinsockControl*)place = new WinsockControl { Length = (nuint)length, Level = level, Type = type };
        return new Span<byte>(place + sizeof(WinsockControl), dataLength);
    }

    /// <summary>WSA_CMSGHDR_ALIGN.</summary>
    private static int Align(int length) => (length + sizeof(nuint) - 1) & ~(sizeof(nuint) - 1);
}
