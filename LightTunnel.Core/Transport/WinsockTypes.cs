using System.Runtime.InteropServices;

namespace LightTunnel.Transport;

/// <summary>WSABUF of ws2def.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct WinsockBuffer
{
    public uint Length;
    public void* Data;
}

/// <summary>WSAMSG of ws2def.h: one datagram or train, its address and what is said about it.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct WinsockMessage
{
    public void* Name;
    public int NameLength;
    public WinsockBuffer* Buffers;
    public uint BufferCount;
    public WinsockBuffer Control;
    public uint Flags;
}

/// <summary>
/// WSACMSGHDR of ws2def.h with the one number that UDP_SEND_MSG_SIZE sends and UDP_COALESCED_INFO receives. With the padding behind it, it is as long as
/// WSA_CMSG_SPACE says: 24 bytes on 64-bit systems.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct WinsockControl
{
    public nuint Length;
    public int Level;
    public int Type;
    public uint Value;

    /// <summary>What <see cref="Length"/> is, without the padding: WSA_CMSG_LEN.</summary>
    public static unsafe nuint LengthWithValue => (nuint)(sizeof(nuint) + (3 * sizeof(int)));
}
