using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace LightTunnel.Transport;

/// <summary>
/// The Linux system calls that sockets and the TUN device need. Declared here rather than taken from Tmds.LibC, which lacks the batched
/// calls and is bound to glibc on three processors; "libc" is there on all of them and on musl.
/// </summary>
[SupportedOSPlatform("linux")]
internal static unsafe partial class LibC
{
    private const string Library = "libc";

    // errno, the same numbers on every processor that .NET runs on.
    public const int EPERM = 1, ENOENT = 2, EINTR = 4, EIO = 5, ENXIO = 6, EAGAIN = 11, EACCES = 13, EBUSY = 16, EEXIST = 17, ENODEV = 19,
        EINVAL = 22, ERANGE = 34, EBADFD = 77, EMSGSIZE = 90, EOPNOTSUPP = 95, EAFNOSUPPORT = 97, EADDRINUSE = 98, EADDRNOTAVAIL = 99,
        ENETDOWN = 100, ENETUNREACH = 101, ENOBUFS = 105, EHOSTUNREACH = 113;

    public const int O_RDWR = 2, O_NONBLOCK = 0x800, O_CLOEXEC = 0x80000;
    public const int EFD_NONBLOCK = 0x800, EFD_CLOEXEC = 0x80000;
    public const int AF_INET = 2, AF_INET6 = 10, AF_NETLINK = 16;
    public const int SOCK_DGRAM = 2, SOCK_RAW = 3, SOCK_CLOEXEC = 0x80000;
    public const int SOL_SOCKET = 1, SO_REUSEADDR = 2, SO_SNDBUF = 7, SO_RCVBUF = 8, SO_REUSEPORT = 15, SO_RCVTIMEO = 20,
        SO_SNDBUFFORCE = 32, SO_RCVBUFFORCE = 33, SO_ATTACH_REUSEPORT_CBPF = 51, SO_MEMINFO = 55;
    public const int IPPROTO_IP = 0, IP_MTU_DISCOVER = 10, IPPROTO_IPV6 = 41, IPV6_MTU_DISCOVER = 23, IPV6_V6ONLY = 26;
    public const int PMTUDISC_DONT = 0, PMTUDISC_WANT = 1, PMTUDISC_PROBE = 3, PMTUDISC_OMIT = 5;
    public const int IP_PKTINFO = 8, IPV6_RECVPKTINFO = 49, IPV6_PKTINFO = 50;
    public const int SOL_UDP = 17, UDP_SEGMENT = 103, UDP_GRO = 104;
    public const int MSG_TRUNC = 0x20, MSG_DONTWAIT = 0x40, MSG_NOSIGNAL = 0x4000;
    public const int SHUT_RD = 0;
    public const int EPOLL_CLOEXEC = 0x80000, EPOLL_CTL_ADD = 1, EPOLL_CTL_DEL = 2;
    public const uint EPOLLIN = 1;
    public const short POLLIN = 1, POLLOUT = 4, POLLERR = 8, POLLHUP = 16, POLLNVAL = 32, POLLRDHUP = 0x2000;
    public const int SIOCOUTQ = 0x5411;

    /// <summary>
    /// Bytes of struct epoll_event, which is packed on Intel's processors only: 4 of events, then 8 of the caller's own at the end.
    /// </summary>
    public static readonly int EpollEventSize = RuntimeInformation.ProcessArchitecture is Architecture.X64 or Architecture.X86 ? 12 : 16;

    [StructLayout(LayoutKind.Sequential)]
    public struct PollFd
    {
        public int FileDescriptor;
        public short Events;
        public short ReturnedEvents;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct IoVector
    {
        public void* Base;
        public nuint Length;
    }

    /// <summary>struct msghdr; the fields after it in <see cref="MultiMessageHeader"/> make it struct mmsghdr.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct MessageHeader
    {
        public void* Name;
        public uint NameLength;
        public IoVector* Vectors;
        public nuint VectorCount;
        public void* Control;
        public nuint ControlLength;
        public int Flags;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct MultiMessageHeader
    {
        public MessageHeader Header;
        public uint Length;
    }

    /// <summary>
    /// struct cmsghdr with the one number that UDP_SEGMENT sends and UDP_GRO receives: a 16-bit and a 32-bit one. Aligned as the kernel
    /// wants it, 24 bytes on 64-bit systems. Of other controls it is the beginning.
    /// </summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct SegmentControl
    {
        public nuint Length;
        public int Level;
        public int Type;
        public nuint Value;

        /// <summary>What <see cref="Length"/> is when the number has this many bytes: CMSG_LEN.</summary>
        public static nuint LengthWith(int bytes) => (nuint)(sizeof(nuint) + (2 * sizeof(int)) + bytes);
    }

    [LibraryImport(Library, EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Open(string path, int flags);

    [LibraryImport(Library, EntryPoint = "ioctl", SetLastError = true)]
    public static partial int IoControl(int fileDescriptor, nuint request, void* argument);

    [LibraryImport(Library, EntryPoint = "ioctl", SetLastError = true)]
    public static partial int IoControl(SafeHandle descriptor, nuint request, void* argument);

    [LibraryImport(Library, EntryPoint = "read", SetLastError = true)]
    public static partial nint Read(int fileDescriptor, void* buffer, nuint length);

    [LibraryImport(Library, EntryPoint = "write", SetLastError = true)]
    public static partial nint Write(int fileDescriptor, void* buffer, nuint length);

    [LibraryImport(Library, EntryPoint = "writev", SetLastError = true)]
    public static partial nint WriteVector(SafeHandle descriptor, IoVector* vectors, int count);

    [LibraryImport(Library, EntryPoint = "poll", SetLastError = true)]
    public static partial int Poll(PollFd* descriptors, nuint count, int timeout);

    [LibraryImport(Library, EntryPoint = "eventfd", SetLastError = true)]
    public static partial int EventFd(uint initial, int flags);

    [LibraryImport(Library, EntryPoint = "if_nametoindex", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial uint InterfaceNameToIndex(string name);

    [LibraryImport(Library, EntryPoint = "socket", SetLastError = true)]
    public static partial int Socket(int family, int type, int protocol);

    [LibraryImport(Library, EntryPoint = "bind", SetLastError = true)]
    public static partial int Bind(int fileDescriptor, void* address, uint length);

    [LibraryImport(Library, EntryPoint = "connect", SetLastError = true)]
    public static partial int Connect(SafeHandle socket, void* address, uint length);

    [LibraryImport(Library, EntryPoint = "getsockname", SetLastError = true)]
    public static partial int GetSocketName(int fileDescriptor, void* address, uint* length);

    [LibraryImport(Library, EntryPoint = "setsockopt", SetLastError = true)]
    public static partial int SetSocketOption(int fileDescriptor, int level, int name, void* value, uint length);

    [LibraryImport(Library, EntryPoint = "setsockopt", SetLastError = true)]
    public static partial int SetSocketOption(SafeHandle socket, int level, int name, void* value, uint length);

    [LibraryImport(Library, EntryPoint = "getsockopt", SetLastError = true)]
    public static partial int GetSocketOption(SafeHandle socket, int level, int name, void* value, uint* length);

    [LibraryImport(Library, EntryPoint = "shutdown", SetLastError = true)]
    public static partial int Shutdown(SafeHandle socket, int how);

    [LibraryImport(Library, EntryPoint = "send", SetLastError = true)]
    public static partial nint Send(int fileDescriptor, void* buffer, nuint length, int flags);

    [LibraryImport(Library, EntryPoint = "recv", SetLastError = true)]
    public static partial nint Receive(int fileDescriptor, void* buffer, nuint length, int flags);

    [LibraryImport(Library, EntryPoint = "recvmmsg", SetLastError = true)]
    public static partial int ReceiveMessages(SafeHandle socket, MultiMessageHeader* messages, uint count, int flags, void* timeout);

    [LibraryImport(Library, EntryPoint = "sendmmsg", SetLastError = true)]
    public static partial int SendMessages(SafeHandle socket, MultiMessageHeader* messages, uint count, int flags);

    [LibraryImport(Library, EntryPoint = "epoll_create1", SetLastError = true)]
    public static partial int EpollCreate(int flags);

    [LibraryImport(Library, EntryPoint = "epoll_ctl", SetLastError = true)]
    public static partial int EpollControl(SafeHandle epoll, int operation, SafeHandle descriptor, void* change);

    [LibraryImport(Library, EntryPoint = "epoll_wait", SetLastError = true)]
    public static partial int EpollWait(SafeHandle epoll, void* events, int maximumEvents, int timeout);

    /// <summary>The last call's errno.</summary>
    public static int LastError => Marshal.GetLastPInvokeError();

    /// <summary>What the system says of an errno.</summary>
    public static string Describe(int error) => Marshal.GetPInvokeErrorMessage(error);

    /// <summary>Sets an integer socket option; false when the system refuses.</summary>
    public static bool TrySetOption(int fileDescriptor, int level, int name, int value) =>
        SetSocketOption(fileDescriptor, level, name, &value, sizeof(int)) == 0;

    /// <inheritdoc cref="TrySetOption(int, int, int, int)"/>
    public static bool TrySetOption(SafeHandle socket, int level, int name, int value) =>
        SetSocketOption(socket, level, name, &value, sizeof(int)) == 0;

    /// <summary>Adds a descriptor to those that are waited for until they can be read; false when the system refuses.</summary>
    public static bool TryWatch(SafeHandle epoll, SafeHandle descriptor, int key)
    {
        byte* change = stackalloc byte[EpollEventSize];
        Unsafe.WriteUnaligned(change, EPOLLIN);
        Unsafe.WriteUnaligned(change + EpollEventSize - sizeof(ulong), (ulong)key);
        return EpollControl(epoll, EPOLL_CTL_ADD, descriptor, change) == 0;
    }

    /// <summary>The key of one of the descriptors that <see cref="EpollWait"/> told of.</summary>
    public static int WatchedKey(byte* events, int index) =>
        (int)Unsafe.ReadUnaligned<ulong>(events + ((index + 1) * EpollEventSize) - sizeof(ulong));
}
