using System.Buffers.Binary;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using LightTunnel.Addressing;
using LightTunnel.Lab.Namespaces;
using LightTunnel.WireGuard;

namespace LightTunnel.Tests.Interop;

/// <summary>
/// Our side: one <see cref="LinkTable"/> on a real socket inside wireguard-go's namespace, with the address 10.77.0.2 and a very small IP
/// stack that answers pings. Everything runs on the test's thread, in <see cref="PumpUntil"/>.
/// </summary>
internal sealed class LoopNode : IDisposable
{
    private const int Mtu = 1420;
    private static readonly byte[] OwnAddress = [10, 77, 0, 2];
    private static readonly byte[] OtherAddress = [10, 77, 0, 1];

    private readonly string _namespace;
    private readonly PrivateKey _identity = PrivateKey.Generate();
    private readonly Queue<byte[]> _staged = new();
    private readonly byte[] _buffer = new byte[2048];
    private Socket _socket;

    public LoopNode(string networkNamespace)
    {
        _namespace = networkNamespace;
        _socket = OpenSocket();
        Table = new LinkTable(_identity, TimeProvider.System);
    }

    public LinkTable Table { get; }

    public PublicKey Key => _identity.PublicKey;

    public int Port => ((IPEndPoint)_socket.LocalEndPoint!).Port;

    public Link Link { get; private set; } = null!;

    public int Established { get; private set; }

    /// <summary>Sequence numbers of the echo replies that came.</summary>
    public List<ushort> Replies { get; } = [];

    public int PingsAnswered { get; private set; }

    public int Failures { get; private set; }

    /// <summary>Cookie replies sent to somebody with an address.</summary>
    public int CookiesReplied { get; private set; }

    public void Connect(WireGuardGo peer, PresharedKey? presharedKey)
    {
        Link = Table.Add(peer.PublicKey, PresharedKeys.Of(presharedKey));
        Link.Path = new PathAddress(new UdpEndpoint(IPAddress.Loopback, peer.Port));
    }

    /// <summary>Takes another port, as after a NAT's rebinding.</summary>
    public void Rebind()
    {
        Socket old = _socket;
        _socket = OpenSocket();
        old.Dispose();
    }

    /// <summary>Sends an ICMP echo request to the kernel behind wireguard-go, as soon as there is a session.</summary>
    public void Ping(ushort sequence)
    {
        byte[] packet = new byte[20 + 8 + 33];
        packet[0] = 0x45;
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(2), (ushort)packet.Length);
        packet[8] = 64;
        packet[9] = 1;
        OwnAddress.CopyTo(packet, 12);
        OtherAddress.CopyTo(packet, 16);
        packet[20] = 8;
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(24), 0x4C54);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(26), sequence);
        packet.AsSpan(28).Fill((byte)sequence);
        WriteChecksum(packet.AsSpan(0, 20), 10);
        WriteChecksum(packet.AsSpan(20), 2);
        SendPacket(packet);
    }

    /// <summary>Serves socket and timers until the condition holds; false when it does not in time.</summary>
    public bool PumpUntil(Func<bool> condition, double seconds = 60)
    {
        long start = Stopwatch.GetTimestamp();
        while (!condition())
        {
            if (Stopwatch.GetElapsedTime(start) > TimeSpan.FromSeconds(seconds))
                return false;
            RunTimers();
            if (!_socket.Poll(TimeSpan.FromMilliseconds(5), SelectMode.SelectRead))
                continue;
            EndPoint from = new IPEndPoint(IPAddress.Any, 0);
            int length = _socket.ReceiveFrom(_buffer, ref from);
            Receive(_buffer.AsSpan(0, length), new PathAddress((IPEndPoint)from));
        }

        return true;
    }

    public void Dispose()
    {
        Table.Dispose();
        _socket.Dispose();
        _identity.Dispose();
    }

    private void RunTimers()
    {
        do
            Table.RunTimers();
        while (TakeOutputs());
    }

    private bool TakeOutputs()
    {
        bool any = false;
        while (Table.TryTakeOutput(out LinkOutput output))
        {
            any = true;
            switch (output.Kind)
            {
                case LinkOutputKind.Message:
                    Transmit(output.Datagram, output.Link!.Path);
                    break;
                case LinkOutputKind.Reply when output.Destination.Endpoint.IsSpecified:
                    if (Messages.TypeOf(output.Datagram) == Messages.CookieReplyType)
                        CookiesReplied++;
                    Transmit(output.Datagram, output.Destination);
                    break;
                case LinkOutputKind.SessionEstablished:
                    Established++;
                    while (_staged.TryDequeue(out byte[]? packet))
                        SendPacket(packet);
                    output.Link!.ConfirmKeys();
                    break;
            }
        }

        return any;
    }

    private static void WriteChecksum(Span<byte> data, int offset)
    {
        data.Slice(offset, 2).Clear();
        uint sum = 0;
        for (int i = 0; i < data.Length; i++)
            sum += i % 2 == 0 ? (uint)(data[i] << 8) : data[i];
        while (sum > 0xFFFF)
            sum = (sum & 0xFFFF) + (sum >> 16);
        BinaryPrimitives.WriteUInt16BigEndian(data[offset..], (ushort)~sum);
    }

    private void Receive(Span<byte> datagram, PathAddress source)
    {
        if (datagram[0] != Messages.TransportType)
        {
            Table.HandleHandshake(datagram, source);
            return;
        }

        OpenResult result = Table.Open(datagram, source, out _, out int offset, out int length);
        RunTimers();
        if (result == OpenResult.Packet)
            ReceivePacket(datagram.Slice(offset, length));
        else if (result != OpenResult.KeepAlive)
            Failures++;
    }

    private void ReceivePacket(Span<byte> packet)
    {
        int length = BinaryPrimitives.ReadUInt16BigEndian(packet[2..]);
        packet = packet[..length];
        if (packet[0] != 0x45 || packet[9] != 1 || !packet.Slice(16, 4).SequenceEqual(OwnAddress))
            return;
        if (packet[20] == 0)
        {
            Replies.Add(BinaryPrimitives.ReadUInt16BigEndian(packet[26..]));
        }
        else if (packet[20] == 8)
        {
            PingsAnswered++;
            byte[] reply = packet.ToArray();
            OwnAddress.CopyTo(reply, 12);
            OtherAddress.CopyTo(reply, 16);
            reply[20] = 0;
            WriteChecksum(reply.AsSpan(0, 20), 10);
            WriteChecksum(reply.AsSpan(20), 2);
            SendPacket(reply);
        }
    }

    private void SendPacket(byte[] packet)
    {
        byte[] datagram = new byte[packet.Length + 64];
        if (Link.SealCopy(packet, datagram, Mtu, out int written) == SealResult.Sealed)
        {
            Transmit(datagram.AsSpan(0, written), Link.Path);
            return;
        }

        _staged.Enqueue(packet);
        Link.RequestHandshake();
    }

    private void Transmit(ReadOnlySpan<byte> datagram, in PathAddress destination) =>
        _socket.SendTo(datagram, SocketFlags.None, destination.Endpoint.ToIPEndPoint());

    private Socket OpenSocket() => NetworkNamespace.Run(_namespace, () =>
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return socket;
    });
}
