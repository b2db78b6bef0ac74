using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Packets;
using LightTunnel.Tun;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Tun;

/// <summary>
/// A real TCP takes what a Wintun adapter would be given: between two network namespaces packets go one way through the writer, into a
/// device that knows no super-packets and whose MTU is far below the long segments. Linux's is not Windows's, but it verifies every length,
/// sequence number and checksum.
/// </summary>
[SupportedOSPlatform("linux")]
public sealed class WintunMergeKernelTests : IDisposable
{
    private const int Bytes = 8 * 1024 * 1024, Mtu = 1400;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private static int _counter;

    private readonly string _from = $"ltxmga{Environment.ProcessId}x{Interlocked.Increment(ref _counter)}",
        _to = $"ltxmgb{Environment.ProcessId}x{_counter}";
    private readonly List<Thread> _pumps = [];
    private readonly LinuxTun _sender, _receiver;
    private readonly Ring _ring;

    public WintunMergeKernelTests()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess, "needs root");
        NetworkNamespace.Create(_from);
        NetworkNamespace.Create(_to);
        var plain = new DataPathOptions { Offloads = Offloads.None, Queues = 1 };
        _sender = NetworkNamespace.Run(_from, () => LinuxTun.Create("ltxmga", plain));
        _receiver = NetworkNamespace.Run(_to, () => LinuxTun.Create("ltxmgb", plain));
        _sender.Configure([Interface("10.97.0.1/24"), Interface("fd97::1/64")], Mtu);
        _receiver.Configure([Interface("10.97.0.2/24"), Interface("fd97::2/64")], Mtu);
        _ring = new Ring(_receiver);
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _sender.Close();
        _receiver.Close();
        _pumps.ForEach(pump => pump.Join());
        _sender.Dispose();
        _receiver.Dispose();
        NetworkNamespace.Delete(_from);
        NetworkNamespace.Delete(_to);
        _ring.Dispose();
    }

    [Theory]
    [InlineData("10.97.0.2")]
    [InlineData("fd97::2")]
    public async Task Stream_ThroughMergedSegments_ArrivesAsItWasSent(string address)
    {
        var writer = new WintunWriter(_ring, merges: true);
        Pump(_sender, batch => writer.Write(1, batch, [Interface("10.97.0.2/24"), Interface("fd97::2/64")]));
        Pump(_receiver, batch => _sender.Write(batch));
        var there = new IPEndPoint(IPAddress.Parse(address), 443);
        using Socket listener = NetworkNamespace.Run(_to, () => new Socket(there.AddressFamily, SocketType.Stream, ProtocolType.Tcp));
        listener.Bind(there);
        listener.Listen();
        using Socket client = NetworkNamespace.Run(_from, () => new Socket(there.AddressFamily, SocketType.Stream, ProtocolType.Tcp));
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Token);
        limit.CancelAfter(Patience);
        await client.ConnectAsync(there, limit.Token);
        using Socket server = await listener.AcceptAsync(limit.Token);
        byte[] sent = new byte[Bytes], received = new byte[Bytes];
        new Random(20261129).NextBytes(sent);
        Task sending = SendAsync(client, sent, limit.Token);
        for (int length = 0, more; length < Bytes; length += more)
        {
            more = await server.ReceiveAsync(received.AsMemory(length), limit.Token);
            Assert.NotEqual(0, more);
        }

        await sending;
        Assert.True(sent.AsSpan().SequenceEqual(received));
        Assert.InRange(_ring.Longest, 2 * Mtu, WintunDevice.MaximumPacket);
    }

    private static async Task SendAsync(Socket client, ReadOnlyMemory<byte> bytes, CancellationToken token)
    {
        while (!bytes.IsEmpty)
            bytes = bytes[await client.SendAsync(bytes, token)..];
    }

    private void Pump(LinuxTun from, Action<PacketBatch> to)
    {
        var pump = new Thread(() =>
        {
            var batch = new PacketBatch(64, Mtu);
            while (from.Read(batch))
                to(batch);
        });
        pump.Start();
        _pumps.Add(pump);
    }

    /// <summary>A ring of one packet, which goes to a TUN device.</summary>
    private sealed unsafe class Ring(LinuxTun receiver) : IWintunApi, IDisposable
    {
        private readonly byte* _place = (byte*)NativeMemory.Alloc(WintunDevice.MaximumPacket);
        private int _length;

        public int Longest { get; private set; }

        public int LastError => WintunDevice.ErrorBufferOverflow;

        public void Dispose() => NativeMemory.Free(_place);

        public nint CreateAdapter(string name, string tunnelType, Guid? id) => 1;

        public void CloseAdapter(nint adapter)
        {
        }

        public ulong GetAdapterLuid(nint adapter) => 1;

        public nint StartSession(nint adapter, uint ringCapacity) => 1;

        public void EndSession(nint session)
        {
        }

        public WaitHandle GetReadWaitEvent(nint session) => throw new NotSupportedException();

        public byte* ReceivePacket(nint session, out uint length) => throw new NotSupportedException();

        public void ReleaseReceivePacket(nint session, byte* packet)
        {
        }

        public byte* AllocateSendPacket(nint session, uint length)
        {
            _length = (int)length;
            return _place;
        }

        public void SendPacket(nint session, byte* packet)
        {
            Longest = Math.Max(Longest, _length);
            receiver.Write(new ReadOnlySpan<byte>(packet, _length));
        }
    }
}
