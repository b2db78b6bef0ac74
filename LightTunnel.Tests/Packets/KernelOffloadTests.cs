using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using System.Text;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Packets;
using LightTunnel.Transport;
using LightTunnel.Tun;
using Microsoft.Win32.SafeHandles;
using Xunit;
using static LightTunnel.Tests.Packets.TransportPackets;

namespace LightTunnel.Tests.Packets;

/// <summary>The kernel as the judge: super-packets that it takes at a TUN device with offloads, and its own, cut here.</summary>
[SupportedOSPlatform("linux")]
public sealed unsafe class KernelOffloadTests : IDisposable
{
    private const string Host4 = "10.9.0.1", Peer4 = "10.9.0.2", Host6 = "fd09::1", Peer6 = "fd09::2";
    private const int PatienceMilliseconds = 120_000;
    private static int _counter;

    private readonly string _namespace = $"ltxgso{Environment.ProcessId}x{Interlocked.Increment(ref _counter)}";
    private readonly Random _random = new(20260206);
    private readonly int _tun;
    private readonly bool _cutsUdp;

    public KernelOffloadTests()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess, "needs root");
        NetworkNamespace.Create(_namespace);
        (_tun, _cutsUdp) = NetworkNamespace.Run(_namespace, OpenTun);
        string[][] commands =
            [["addr", "add", Host4 + "/24"], ["addr", "add", Host6 + "/64", "nodad"], ["link", "set", "mtu", "1400", "up"]];
        foreach (string[] arguments in commands)
            NetworkNamespace.Ip(["-n", _namespace, .. arguments, "dev", "ltxgso"]);
        using RouteNetlink netlink = NetworkNamespace.Run(_namespace, () => new RouteNetlink());
        netlink.WaitUntilDelivered(TestPackets.Address(Host6));
    }

    public void Dispose()
    {
        new SafeFileHandle(_tun, ownsHandle: true).Dispose();
        NetworkNamespace.Delete(_namespace);
    }

    [Theory]
    [InlineData(Host4, Peer4)]
    [InlineData(Host6, Peer6)]
    public void Tcp_BothWays_ArrivesWhole(string host, string peer)
    {
        using Socket listener = InNamespace(host, SocketType.Stream, ProtocolType.Tcp, 443);
        listener.Listen();
        Write(Tcp(peer, host, 999, [], Syn, [2, 4, 0x04, 0xB0])); // MSS 1200.
        byte[] synAcknowledged = Read(IpPacket.ProtocolTcp).Packets.Single();
        int ip = host == Host4 ? 20 : 40;
        uint acknowledgment = BinaryPrimitives.ReadUInt32BigEndian(synAcknowledged.AsSpan(ip + 4)) + 1;
        Write(Segment(1000, []));
        using Socket socket = listener.Accept();
        socket.ReceiveTimeout = PatienceMilliseconds;

        // To the kernel: 30 segments as one packet.
        byte[] sent = RandomBytes(_random, 30 * 1000);
        MergedPackets merged = MergedPackets.Merge(
            [.. sent.Chunk(1000).Select((part, i) => Segment(1000 + (uint)(i * 1000), part, i == 29 ? (byte)(Ack | Psh) : Ack))]);
        Write(Assert.Single(merged.Packets), merged.Offloads[0]);
        Assert.Equal(sent, Receive(socket, sent.Length));

        // From the kernel: what fits into its first congestion window.
        byte[] answer = RandomBytes(_random, 11_000);
        socket.Send(answer);
        var received = new List<byte>();
        bool isSuperPacket = false;
        while (received.Count < answer.Length)
        {
            (PacketOffload offload, byte[][] packets) = Read(IpPacket.ProtocolTcp);
            isSuperPacket |= offload.Kind != SegmentationKind.None;
            foreach (byte[] packet in packets)
            {
                int header = ip + ((packet[ip + 12] >> 4) * 4);
                if (packet.Length == header)
                    continue; // An acknowledgment.
                AssertWhole(packet);
                // Nobody acknowledges, so the kernel may send again what was read already.
                if (BinaryPrimitives.ReadUInt32BigEndian(packet.AsSpan(ip + 4)) == acknowledgment + (uint)received.Count)
                    received.AddRange(packet[header..]);
            }
        }

        Assert.Equal(answer, received);
        Assert.True(isSuperPacket, "The kernel sent no super-packet.");

        byte[] Segment(uint sequence, ReadOnlySpan<byte> payload, byte flags = Ack)
        {
            byte[] packet = Tcp(peer, host, sequence, payload, flags);
            BinaryPrimitives.WriteUInt32BigEndian(packet.AsSpan(ip + 8), acknowledgment);
            return SealUpper(packet);
        }
    }

    [Theory]
    [InlineData(Host4, Peer4)]
    [InlineData(Host6, Peer6)]
    public void Udp_BothWays_ArrivesWhole(string host, string peer)
    {
        Assert.SkipUnless(_cutsUdp, "The kernel has no UDP segmentation at TUN devices (Linux before 6.2).");
        using Socket socket = InNamespace(host, SocketType.Dgram, ProtocolType.Udp, 8);
        socket.ReceiveTimeout = PatienceMilliseconds;
        byte[][] bodies = [.. Enumerable.Range(0, 64).Select(i => RandomBytes(_random, i == 63 ? 7 : 500))];
        MergedPackets merged = MergedPackets.Merge([.. bodies.Select(body => TestPackets.Udp(peer, host, 7, 8, body))]);
        Write(Assert.Single(merged.Packets), merged.Offloads[0]);
        var buffer = new byte[2000];
        foreach (byte[] body in bodies)
            Assert.Equal(body, buffer[..socket.Receive(buffer)]);

        // One plain datagram: the kernel leaves its checksum open.
        var there = new IPEndPoint(IPAddress.Parse(peer), 7);
        socket.SendTo(bodies[0], there);
        (PacketOffload offload, byte[][] packets) = Read(IpPacket.ProtocolUdp);
        Assert.True(offload.NeedsChecksum);
        AssertWhole(packets.Single());
        Assert.Equal(bodies[0], packets[0][^500..]);

        socket.SetRawSocketOption(17, 103, BitConverter.GetBytes(500)); // UDP_SEGMENT
        byte[] message = RandomBytes(_random, 5001);
        socket.SendTo(message, there);
        (offload, packets) = Read(IpPacket.ProtocolUdp);
        Assert.Equal((SegmentationKind.Udp, 500, 11), (offload.Kind, offload.SegmentSize, packets.Length));
        Assert.All(packets, packet => AssertWhole(packet));
        Assert.Equal(message, packets.SelectMany(packet => packet[(host == Host4 ? 28 : 48)..]));
    }

    private static (int Descriptor, bool CutsUdp) OpenTun()
    {
        const nuint TUNSETIFF = 0x400454CA, TUNSETOFFLOAD = 0x400454D0;
        const short TunWithVirtioHeader = 0x0001 | 0x1000 | 0x4000; // IFF_TUN, IFF_NO_PI, IFF_VNET_HDR
        const nint ChecksumAndTcp = 1 | 2 | 4, Udp = 0x20 | 0x40;
        int descriptor = LibC.Open("/dev/net/tun", LibC.O_RDWR | LibC.O_CLOEXEC);
        Assert.True(descriptor >= 0, LibC.Describe(LibC.LastError));
        byte* request = stackalloc byte[40];
        new Span<byte>(request, 40).Clear();
        Encoding.ASCII.GetBytes("ltxgso", new Span<byte>(request, 16));
        *(short*)(request + 16) = TunWithVirtioHeader;
        Assert.Equal(0, LibC.IoControl(descriptor, TUNSETIFF, request));
        bool cutsUdp = LibC.IoControl(descriptor, TUNSETOFFLOAD, (void*)(ChecksumAndTcp | Udp)) == 0;
        if (!cutsUdp)
            Assert.Equal(0, LibC.IoControl(descriptor, TUNSETOFFLOAD, (void*)ChecksumAndTcp));
        return (descriptor, cutsUdp);
    }

    private static byte[] Receive(Socket socket, int length)
    {
        var bytes = new byte[length];
        for (int received = 0, more; received < length; received += more)
        {
            more = socket.Receive(bytes.AsSpan(received));
            Assert.NotEqual(0, more);
        }

        return bytes;
    }

    private Socket InNamespace(string address, SocketType type, ProtocolType protocol, int port) => NetworkNamespace.Run(_namespace, () =>
    {
        var local = new IPEndPoint(IPAddress.Parse(address), port);
        var socket = new Socket(local.AddressFamily, type, protocol);
        socket.Bind(local);
        return socket;
    });

    private void Write(byte[] packet, in PacketOffload offload = default)
    {
        byte[] message = [.. new byte[VirtioNetHeader.Size], .. packet];
        VirtioNetHeader.Write(message, offload);
        fixed (byte* bytes = message)
            Assert.Equal(message.Length, LibC.Write(_tun, bytes, (nuint)message.Length));
    }

    /// <summary>The next packet of a protocol; others, such as the system's router solicitations, are left out.</summary>
    private (PacketOffload Offload, byte[][] Packets) Read(byte protocol)
    {
        byte[] buffer = new byte[VirtioNetHeader.Size + 65536];
        while (true)
        {
            var waiting = new LibC.PollFd { FileDescriptor = _tun, Events = LibC.POLLIN };
            Assert.Equal(1, LibC.Poll(&waiting, 1, PatienceMilliseconds));
            int length;
            fixed (byte* bytes = buffer)
                length = (int)LibC.Read(_tun, bytes, (nuint)buffer.Length);
            Assert.True(VirtioNetHeader.TryRead(buffer.AsSpan(0, length), out PacketOffload offload));
            byte[] packet = buffer[VirtioNetHeader.Size..length];
            if (!IpPacket.TryParse(packet, out IpPacketInfo info) || info.Protocol != protocol)
                continue;
            if (offload.Kind != SegmentationKind.None)
                return (offload, Cut(packet, offload));
            Assert.True(PacketChecksums.TryComplete(packet, offload));
            return (offload, [packet]);
        }
    }
}
