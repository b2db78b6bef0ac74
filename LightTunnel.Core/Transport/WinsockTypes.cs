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
