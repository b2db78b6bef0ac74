using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Runtime.Versioning;
using LightTunnel.Lab;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Transport;
using Microsoft.Win32.SafeHandles;

namespace LightTunnel.Tests.Lab;

/// <summary>Everything that a machine sends by its uplink, as a packet socket sees it (packet(7)).</summary>
[SupportedOSPlatform("linux")]
internal sealed unsafe class Uplink : IDisposable
{
    private const int AF_PACKET = 17;
    private const int AddressLength = 20; // struct sockaddr_ll

    private readonly SafeFileHandle _socket;
    private readonly Thread _thread;
    private readonly IPAddress[] _own;
    private readonly ConcurrentQueue<string> _sent = [];
    private volatile bool _isClosed;

    public Uplink(LabNode node)
    {
        _socket = NetworkNamespace.Run(node.Namespace, () =>
        {
            int descriptor = LibC.Socket(AF_PACKET, LibC.SOCK_DGRAM | LibC.SOCK_CLOEXEC, IPAddress.HostToNetworkOrder((short)3) & 0xFFFF);
            if (descriptor < 0)
                throw new IOException(LibC.Describe(LibC.LastError));
            long* timeout = stackalloc long[2] { 0, 100_000 }; // struct timeval: 100 ms
            LibC.SetSocketOption(descriptor, LibC.SOL_SOCKET, LibC.SO_RCVTIMEO, timeout, 2 * sizeof(long));
            byte* address = stackalloc byte[AddressLength];
            new Span<byte>(address, AddressLength).Clear();
            *(ushort*)address = AF_PACKET;
            *(short*)(address + 2) = IPAddress.HostToNetworkOrder((short)3); // ETH_P_ALL
            *(int*)(address + 4) = (int)LibC.InterfaceNameToIndex("wan");
            if (LibC.Bind(descriptor, address, AddressLength) != 0)
                throw new IOException(LibC.Describe(LibC.LastError));
            return new SafeFileHandle(descriptor, ownsHandle: true);
        });
        _own = [.. node.Addresses.Select(text => IPAddress.Parse(text.Split('/')[0]))];
        _thread = new Thread(Read) { IsBackground = true };
        _thread.Start();
    }

    /// <summary>What was sent so far, one line each: "UDP 203.0.113.1:9000".</summary>
    public IReadOnlyCollection<string> Sent => _sent;

    public void Dispose()
    {
        _isClosed = true;
        _thread.Join();
        _socket.Dispose();
    }

    private void Read()
    {
        byte[] buffer = new byte[65536];
        while (!_isClosed)
        {
            nint length;
            fixed (byte* data = buffer)
                length = LibC.Receive((int)_socket.DangerousGetHandle(), data, (nuint)buffer.Length, 0);
            if (length > 0 && Describe(buffer.AsSpan(0, (int)length)) is { } packet)
                _sent.Enqueue(packet);
        }
    }

    /// <summary>A packet of this machine's; null for others'.</summary>
    private string? Describe(ReadOnlySpan<byte> packet)
    {
        bool isIPv4 = packet[0] >> 4 == 4;
        if (!isIPv4 && packet[0] >> 4 != 6)
            return $"no IP, {Convert.ToHexString(packet)}";
        int header = isIPv4 ? (packet[0] & 15) * 4 : 40;
        IPAddress source = new(isIPv4 ? packet[12..16] : packet[8..24]), destination = new(isIPv4 ? packet[16..20] : packet[24..40]);
        if (!_own.Contains(source) && !source.IsIPv6LinkLocal)
            return null;
        int protocol = isIPv4 ? packet[9] : packet[6];
        if (protocol is not (6 or 17))
            return string.Create(CultureInfo.InvariantCulture, $"protocol {protocol} {destination}");
        int port = (packet[header + 2] << 8) | packet[header + 3];
        return string.Create(CultureInfo.InvariantCulture, $"{(protocol == 17 ? "UDP" : "TCP")} {new IPEndPoint(destination, port)}");
    }
}
