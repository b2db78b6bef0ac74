using System.Net;
using System.Runtime.Versioning;
using Microsoft.Win32.SafeHandles;

namespace LightTunnel.Transport;

/// <summary>
/// One bound UDP socket of Linux. It is blocking, so that a full send buffer slows the sender down instead of losing its datagrams; who
/// receives says in each call that he does not want to wait.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed unsafe class LinuxUdpSocket : IDisposable
{
    private LinuxUdpSocket(SafeFileHandle handle, int port)
    {
        Handle = handle;
        Port = port;
    }

    /// <summary>The descriptor; every call holds it, so that its number is not used anew meanwhile.</summary>
    public SafeFileHandle Handle { get; }

    /// <summary>The UDP port that the socket is bound to.</summary>
    public int Port { get; }

    /// <summary>Opens and binds a socket in the calling thread's network namespace.</summary>
    /// <param name="address">The one local address to bind; null for all.</param>
    /// <param name="port">The port to bind, 0 for any.</param>
    /// <param name="dualMode">True for both families, false for IPv4 only.</param>
    /// <param name="error">The errno of what failed; 0 on success.</param>
    /// <returns>Null when the system refuses.</returns>
    public static LinuxUdpSocket? TryOpen(IPAddress? address, int port, bool dualMode, out int error)
    {
        int descriptor = LibC.Socket(dualMode ? LibC.AF_INET6 : LibC.AF_INET, LibC.SOCK_DGRAM | LibC.SOCK_CLOEXEC, 0);
        if (descriptor < 0)
        {
            error = LibC.LastError;
            return null;
        }

        var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        byte* name = stackalloc byte[SocketAddressCodec.MaximumLength];
        int length = SocketAddressCodec.WriteLocal(address, port, dualMode, new Span<byte>(name, SocketAddressCodec.MaximumLength));
        uint nameLength = SocketAddressCodec.MaximumLength;
        if (length == 0)
        {
            error = LibC.EAFNOSUPPORT;
        }
        else if ((dualMode && !LibC.TrySetOption(descriptor, LibC.IPPROTO_IPV6, LibC.IPV6_V6ONLY, 0))
            || LibC.Bind(descriptor, name, (uint)length) != 0
            || LibC.GetSocketName(descriptor, name, &nameLength) != 0)
        {
            error = LibC.LastError;
        }
        else
        {
            error = 0;
            AllowFragments(descriptor, isIPv4: true);
            return new LinuxUdpSocket(handle, SocketAddressCodec.Read(new ReadOnlySpan<byte>(name, (int)nameLength)).Port);
        }

        handle.Dispose();
        return null;
    }

    /// <summary>Asks for this much kernel buffer in each direction; the system silently gives less when its limit is lower.</summary>
    /// <param name="size">Bytes.</param>
    /// <param name="beyondLimit">Passes the limit, net.core.rmem_max, where CAP_NET_ADMIN allows it.</param>
    public void SetBuffers(int size, bool beyondLimit)
    {
        SetBuffer(LibC.SO_RCVBUFFORCE, LibC.SO_RCVBUF);
        SetBuffer(LibC.SO_SNDBUFFORCE, LibC.SO_SNDBUF);

        void SetBuffer(int forced, int ordinary)
        {
            int descriptor = (int)Handle.DangerousGetHandle();
            if (!beyondLimit || !LibC.TrySetOption(descriptor, LibC.SOL_SOCKET, forced, size))
                LibC.TrySetOption(descriptor, LibC.SOL_SOCKET, ordinary, size);
        }
    }

    /// <summary>
    /// Sends a datagram with the don't-fragment flag, or over IPv6 whole, whatever the system believes of the path. The flag can only be set for the socket: a
    /// datagram that another thread sends meanwhile has it too, which does no harm but to one that is longer than the path, and of those there are
    /// none once the path is known.
    /// </summary>
    /// <param name="data">The datagram.</param>
    /// <param name="length">Its length, bytes.</param>
    /// <param name="name">The destination's socket address.</param>
    /// <param name="nameLength">Bytes of it.</param>
    /// <param name="isIPv4">The destination's family.</param>
    /// <returns>The errno; 0 when it was sent.</returns>
    public int SendWhole(byte* data, int length, byte* name, int nameLength, bool isIPv4)
    {
        bool held = false;
        try
        {
            Handle.DangerousAddRef(ref held);
            int descriptor = (int)Handle.DangerousGetHandle();
            LibC.TrySetOption(
                descriptor, isIPv4 ? LibC.IPPROTO_IP : LibC.IPPROTO_IPV6, isIPv4 ? LibC.IP_MTU_DISCOVER : LibC.IPV6_MTU_DISCOVER, LibC.PMTUDISC_PROBE);
            nint sent;
            do
            {
                sent = LibC.SendTo(Handle, data, (nuint)length, LibC.MSG_NOSIGNAL, name, (uint)nameLength);
            }
            while (sent < 0 && LibC.LastError == LibC.EINTR);
            int error = sent < 0 ? LibC.LastError : 0;
            AllowFragments(descriptor, isIPv4);
            return error;
        }
        finally
        {
            if (held)
                Handle.DangerousRelease();
        }
    }

    /// <summary>
    /// Lets datagrams that are longer than the path go on in pieces. IPv4: without the don't-fragment flag, and whatever ICMP says, which anybody can forge. IPv6: the
    /// sender itself cuts what is longer than it has been told of the path.
    /// </summary>
    private static void AllowFragments(int descriptor, bool isIPv4)
    {
        if (!isIPv4)
            LibC.TrySetOption(descriptor, LibC.IPPROTO_IPV6, LibC.IPV6_MTU_DISCOVER, LibC.PMTUDISC_WANT);
        else if (!LibC.TrySetOption(descriptor, LibC.IPPROTO_IP, LibC.IP_MTU_DISCOVER, LibC.PMTUDISC_OMIT))
            LibC.TrySetOption(descriptor, LibC.IPPROTO_IP, LibC.IP_MTU_DISCOVER, LibC.PMTUDISC_DONT); // Before Linux 3.14.
    }

    /// <summary>Closes the socket as soon as no thread is inside a call any more.</summary>
    public void Dispose() => Handle.Dispose();
}
