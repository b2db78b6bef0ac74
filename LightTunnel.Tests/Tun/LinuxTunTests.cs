using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using System.Runtime.Versioning;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Packets;
using LightTunnel.Tun;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Tun;

/// <summary>Real TUN interfaces in a network namespace of the test's own.</summary>
[SupportedOSPlatform("linux")]
public sealed class LinuxTunTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private static int _counter;

    private readonly string _namespace = $"ltxtun{Environment.ProcessId}x{Interlocked.Increment(ref _counter)}";

    public LinuxTunTests()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess, "needs root");
        NetworkNamespace.Create(_namespace);
    }

    public void Dispose() => NetworkNamespace.Delete(_namespace);

    [Fact]
    public void Create_WithoutName_TakesFirstFree()
    {
        using LinuxTun first = Create(null), second = Create(null);
        Assert.Equal(("lt0", "lt1"), (first.Name, second.Name));
        Assert.Contains($"{second.InterfaceIndex}: lt1:", Ip("link", "show"), StringComparison.Ordinal);
        first.Dispose();
        WaitUntilGone("lt0");
        using LinuxTun third = Create(null);
        Assert.Equal("lt0", third.Name);
    }

    [Fact]
    public void Configure_BothFamilies_SetsAddressesMtuAndUp()
    {
        using LinuxTun tun = Create("ltx5");
        tun.Configure([Interface("10.0.0.1/24"), Interface("fd00::1/64")], 1380);
        Assert.Equal(1380, tun.Mtu);
        string shown = Ip("address", "show", "ltx5");
        Assert.Contains("inet 10.0.0.1/24 ", shown, StringComparison.Ordinal);
        Assert.Contains("inet6 fd00::1/64 ", shown, StringComparison.Ordinal);
        Assert.DoesNotContain("tentative", shown, StringComparison.Ordinal);
        Assert.DoesNotContain("fe80", shown, StringComparison.Ordinal);
        Assert.Contains("mtu 1380 ", shown, StringComparison.Ordinal);
        Assert.Contains(",UP,", shown, StringComparison.Ordinal);
        Assert.Contains("10.0.0.0/24 dev ltx5", Ip("route"), StringComparison.Ordinal);
        Assert.Contains("fd00::/64 dev ltx5", Ip("-6", "route"), StringComparison.Ordinal);
    }

    [Fact]
    public void Configure_Again_ReplacesAddresses()
    {
        using LinuxTun tun = Create("ltx5");
        tun.Configure([Interface("10.0.0.1/24"), Interface("fd00::1/64")], 1380);
        tun.Configure([Interface("10.0.0.1/24"), Interface("10.7.0.1/16")], 1300);
        Assert.Equal(["10.0.0.1/24", "10.7.0.1/16"], AddressesOf("ltx5"));
        Assert.Contains("mtu 1300 ", Ip("link", "show", "ltx5"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("10.0.0.1/24", "10.0.0.20")]
    [InlineData("fd00::1/64", "fd00::20")]
    public void Read_PacketFromTheSystem_Arrives(string own, string peer)
    {
        using LinuxTun tun = Create(null);
        tun.Configure([Interface(own)], 1400);
        using UdpClient client = InNamespace(() => new UdpClient(IPAddress.Parse(peer).AddressFamily));
        byte[][] payloads = [[1, 2, 3], new byte[1300]];
        foreach (byte[] payload in payloads)
            client.Send(payload, payload.Length, new IPEndPoint(IPAddress.Parse(peer), 4242));

        List<byte[]> packets = ReadUdp(tun, payloads.Length);
        for (int i = 0; i < payloads.Length; i++)
        {
            Assert.True(IpPacket.TryParse(packets[i], out IpPacketInfo info));
            Assert.Equal((Interface(own).Address, Address(peer)), (info.Source, info.Destination));
            Assert.Equal(payloads[i], packets[i][(info.HeaderLength + 8)..]);
        }
    }

    [Theory]
    [InlineData("10.0.0.1/24", "10.0.0.20")]
    [InlineData("fd00::1/64", "fd00::20")]
    public void Write_Packet_ArrivesAtASocket(string own, string peer)
    {
        using LinuxTun tun = Create(null);
        tun.Configure([Interface(own)], 1400);
        TunnelAddress address = Interface(own).Address;
        using Socket socket = InNamespace(() => Bind(address));
        int port = ((IPEndPoint)socket.LocalEndPoint!).Port;
        tun.Write(Udp(peer, address.ToString(), 4242, (ushort)port, [1, 2, 3]));
        var batch = new PacketBatch(3, 1500);
        batch.TryAdd(Udp(peer, address.ToString(), 4242, (ushort)port, [4, 5]));
        batch.TryAdd([0]);
        batch[1].Length = 0;
        batch.TryAdd(Udp(peer, address.ToString(), 4242, (ushort)port, [6]));
        tun.Write(batch);
        Assert.Equal([1, 2, 3], Receive(socket));
        Assert.Equal([4, 5], Receive(socket));
        Assert.Equal([6], Receive(socket));
        Assert.Equal(0, tun.WriteErrors);
    }

    [Fact]
    public void Write_WhatTheSystemRefuses_IsCounted()
    {
        using LinuxTun tun = Create(null);
        byte[] packet = Udp("10.0.0.20", "10.0.0.1", 1, 2, [1]);
        tun.Write(packet); // The interface is down.
        tun.Configure([Interface("10.0.0.1/24")], 1400);
        tun.Write([0x10, 0, 0]); // Neither IPv4 nor IPv6.
        tun.Write([]);
        Assert.Equal(3, tun.WriteErrors);
        tun.Write(packet);
        Assert.Equal(3, tun.WriteErrors);
    }

    [Fact]
    public async Task Ping_AnsweredByTheTest_IsAnswered()
    {
        using LinuxTun tun = Create(null);
        tun.Configure([Interface("10.0.0.1/24")], 1400);
        Task<string> ping = Task.Run(() => NetworkNamespace.Execute(_namespace, "ping", "-c", "3", "-i", "0.01", "-w", "100", "10.0.0.20"));
        var batch = new PacketBatch(8, 1500);
        // With a deadline ping asks until it has three answers; how many questions it took is the machine's affair.
        for (int answered = 0; answered < 3 && tun.Read(batch);)
        {
            for (int i = 0; i < batch.Count; i++)
            {
                byte[] packet = batch.Packet(i).ToArray();
                if (IpPacket.TryParse(packet, out IpPacketInfo info) && info.Protocol == IpPacket.ProtocolIcmp
                    && packet[info.HeaderLength] == 8)
                {
                    tun.Write(EchoReply(packet));
                    answered++;
                }
            }
        }

        string output = await ping.WaitAsync(Patience, TestContext.Current.CancellationToken);
        Assert.True(output.Contains(" 3 received", StringComparison.Ordinal), output);
    }

    [Theory]
    [InlineData("10.0.0.20", "10.0.0.1/24", UnreachableReason.NoRoute, SocketError.NetworkUnreachable)]
    [InlineData("10.0.0.20", "10.0.0.1/24", UnreachableReason.HostUnreachable, SocketError.HostUnreachable)]
    [InlineData("10.0.0.20", "10.0.0.1/24", UnreachableReason.Prohibited, SocketError.HostUnreachable)]
    [InlineData("fd00::20", "fd00::1/64", UnreachableReason.NoRoute, SocketError.NetworkUnreachable)]
    [InlineData("fd00::20", "fd00::1/64", UnreachableReason.HostUnreachable, SocketError.HostUnreachable)]
    [InlineData("fd00::20", "fd00::1/64", UnreachableReason.Prohibited, SocketError.AccessDenied)]
    internal void IcmpErrors_WrittenToTheSystem_ReachTheSocketThatSent(
        string peer, string own, UnreachableReason reason, SocketError expected)
    {
        using LinuxTun tun = Create(null);
        tun.Configure([Interface(own)], 1400);
        using Socket socket = InNamespace(() =>
        {
            IPAddress address = IPAddress.Parse(peer);
            var result = new Socket(
                address.AddressFamily, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = (int)Patience.TotalMilliseconds };
            // IP_RECVERR, IPV6_RECVERR: report unreachable networks and hosts too, which UDP sockets otherwise take for passing.
            bool isIPv4 = address.AddressFamily == AddressFamily.InterNetwork;
            result.SetRawSocketOption(isIPv4 ? 0 : 41, isIPv4 ? 11 : 25, BitConverter.GetBytes(1));
            result.Connect(address, 4242);
            return result;
        });
        socket.Send([1, 2, 3]);
        byte[] error = new byte[IcmpErrors.MaximumLength];
        int length = IcmpErrors.WriteUnreachable(ReadUdp(tun, 1)[0], reason, Address(peer), error);
        tun.Write(error.AsSpan(0, length));
        Assert.Equal(expected, Assert.Throws<SocketException>(() => socket.Receive(new byte[10])).SocketErrorCode);
    }

    [Theory]
    [InlineData("10.0.0.20", "10.0.0.1/24")]
    [InlineData("fd00::20", "fd00::1/64")]
    public void IcmpTooBig_WrittenToTheSystem_LowersThePathMtu(string peer, string own)
    {
        using LinuxTun tun = Create(null);
        tun.Configure([Interface(own)], 1500);
        using UdpClient client = InNamespace(() => new UdpClient(IPAddress.Parse(peer).AddressFamily));
        client.Send(new byte[1450], 1450, new IPEndPoint(IPAddress.Parse(peer), 4242));
        byte[] error = new byte[IcmpErrors.MaximumLength];
        int length = IcmpErrors.WriteTooBig(ReadUdp(tun, 1)[0], 1300, Address(peer), error);
        tun.Write(error.AsSpan(0, length));
        Assert.Contains("mtu 1300", Ip("route", "get", peer), StringComparison.Ordinal);
    }

    [Fact]
    public void Create_NameInUse_SaysSo()
    {
        using LinuxTun tun = Create("ltx5");
        AssertFails(LightTunnelError.InterfaceNameInUse, "ltx5", () => Create("ltx5"));
        Ip("link", "add", "ltxveth", "type", "veth", "peer", "name", "ltxveth2");
        AssertFails(LightTunnelError.InterfaceNameInUse, "ltxveth", () => Create("ltxveth"));
    }

    [Fact]
    public void Create_InterfaceLeftPersistentAndIdle_IsTakenOver()
    {
        Ip("tuntap", "add", "dev", "ltx5", "mode", "tun");
        Ip("address", "add", "10.9.9.9/24", "dev", "ltx5");
        using (LinuxTun tun = Create("ltx5"))
        {
            tun.Configure([Interface("10.0.0.1/24")], 1400);
            Assert.Equal(["10.0.0.1/24"], AddressesOf("ltx5"));
        }

        Assert.DoesNotContain("ltx5", Ip("link"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("sixteen-letters-")]
    [InlineData("a/b")]
    [InlineData("a b")]
    [InlineData("lt%d")]
    [InlineData("..")]
    [InlineData("lt:0")]
    [InlineData("lté")]
    public void Create_ImpossibleName_SaysSo(string name) => AssertFails(LightTunnelError.InvalidName, name, () => Create(name));

    [Theory]
    [InlineData("10.0.0.1/24", "10.0.0.1/32", "belongs to")]
    [InlineData("10.0.0.1/24", "10.0.0.5/24", "overlaps")]
    [InlineData("10.0.0.1/24", "10.1.1.1/8", "overlaps")]
    [InlineData("10.0.0.1/16", "10.0.3.1/24", "overlaps")]
    [InlineData("fd00::1/64", "fd00::2/64", "overlaps")]
    public void Configure_NetworkOfAnotherInterface_SaysWhose(string wanted, string existing, string words)
    {
        using LinuxTun other = Create("ltxother"), tun = Create("ltx5");
        other.Configure([Interface(existing)], 1400);
        LightTunnelException error = AssertFails(LightTunnelError.AddressInUse, "ltxother", () => tun.Configure([Interface(wanted)], 1400));
        Assert.Contains(words, error.Message, StringComparison.Ordinal);
        Assert.Empty(AddressesOf("ltx5"));
        other.Dispose();
        WaitUntilGone("ltxother");
        tun.Configure([Interface(wanted)], 1400);
    }

    [Fact]
    public void Configure_IPv6SwitchedOff_GoesOnWithIPv4_AndFailsWithoutIt()
    {
        NetworkNamespace.Execute(_namespace, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1");
        using LinuxTun tun = Create("ltx5");
        Assert.Null(tun.Configure([Interface("10.0.0.1/24")], 1400));
        LightTunnelException? missing = tun.Configure([Interface("fd00::1/64"), Interface("10.0.0.2/24")], 1380);
        Assert.Equal(("fd00::1/64", LightTunnelError.InvalidAddress), (missing!.Target, missing.Error));
        Assert.Contains("net.ipv6.conf.all.disable_ipv6=0", missing.RecommendedAction, StringComparison.Ordinal);
        Assert.Equal(["10.0.0.2/24"], AddressesOf("ltx5"));
        Assert.Contains("UP", Ip("-br", "link", "show", "ltx5"), StringComparison.Ordinal);
        AssertFails(LightTunnelError.InvalidAddress, "fd00::1/64", () => tun.Configure([Interface("fd00::1/64")], 1400));
    }

    [Fact]
    public void SetRoutes_Prefixes_AreRoutedUntilOthersAreSet()
    {
        using LinuxTun tun = Create("ltx5");
        tun.Configure([Interface("10.0.0.1/24"), Interface("fd00::1/64")], 1400);
        Assert.Empty(tun.SetRoutes([Prefix("192.0.2.0/24"), Prefix("2001:db8::/32")]));
        Assert.Empty(tun.SetRoutes([Prefix("192.0.2.0/24"), Prefix("2001:db8::/32")]));
        Assert.Contains("192.0.2.0/24 dev ltx5", Ip("route"), StringComparison.Ordinal);
        Assert.Contains("2001:db8::/32 dev ltx5", Ip("-6", "route"), StringComparison.Ordinal);
        Assert.Empty(tun.SetRoutes([Prefix("2001:db8::/32")]));
        Assert.DoesNotContain("192.0.2.0/24", Ip("route"), StringComparison.Ordinal);
        Assert.Contains("2001:db8::/32 dev ltx5", Ip("-6", "route"), StringComparison.Ordinal);
    }

    [Fact]
    public void SetRoutes_NetworkThatAnotherInterfaceHas_IsLeftToIt()
    {
        using LinuxTun other = Create("ltx6");
        other.Configure([Interface("192.0.2.1/24")], 1400);
        using LinuxTun tun = Create("ltx5");
        tun.Configure([Interface("10.0.0.1/24")], 1400);
        Assert.Empty(other.SetRoutes([Prefix("203.0.113.0/24")]));
        IReadOnlyDictionary<IpPrefix, string> refused = tun.SetRoutes([Prefix("203.0.113.0/24"), Prefix("198.51.100.0/24")]);
        Assert.Equal([Prefix("203.0.113.0/24")], refused.Keys);
        Assert.Contains("by another interface", refused[Prefix("203.0.113.0/24")], StringComparison.Ordinal);
        Assert.Contains("203.0.113.0/24 dev ltx6", Ip("route"), StringComparison.Ordinal);
        tun.SetRoutes([]);
        Assert.Contains("203.0.113.0/24 dev ltx6", Ip("route"), StringComparison.Ordinal);
    }

    [Fact]
    public void Check_RouteThatSomebodyDeleted_IsSetAgain()
    {
        using LinuxTun tun = Create("ltx5");
        tun.Configure([Interface("10.0.0.1/24")], 1400);
        tun.SetRoutes([Prefix("192.0.2.0/24")]);
        Assert.Empty(tun.Check(restore: false).Differences);
        Ip("route", "del", "192.0.2.0/24", "dev", "ltx5");
        Assert.Equal(["192.0.2.0/24 is not routed into it"], tun.Check(restore: true).Differences);
        Assert.Contains("192.0.2.0/24 dev ltx5", Ip("route"), StringComparison.Ordinal);
    }

    [Fact]
    public void SetRoutes_AThousand_AreAllThere()
    {
        using LinuxTun tun = Create("ltx5");
        tun.Configure([Interface("10.0.0.1/24")], 1400);
        IpPrefix[] thousand = [.. Enumerable.Range(0, 1000).Select(i => Prefix($"172.{16 + (i / 250)}.{i % 250}.0/24"))];
        Assert.Empty(tun.SetRoutes(thousand));
        Assert.Equal(1000, Ip("route").Split('\n').Count(line => line.StartsWith("172.", StringComparison.Ordinal)));
        Assert.Empty(tun.Check(restore: false).Differences);
    }

    [Fact]
    public void Dispose_RemovesInterfaceAddressesAndRoutes()
    {
        LinuxTun tun = Create("ltx5");
        tun.Configure([Interface("10.0.0.1/24"), Interface("fd00::1/64")], 1400);
        tun.Dispose();
        tun.Dispose();
        WaitUntilGone("ltx5");
        Assert.DoesNotContain("ltx5", Ip("link") + Ip("route") + Ip("-6", "route"), StringComparison.Ordinal);
        tun.Write(Udp("10.0.0.20", "10.0.0.1", 1, 2, [1]));
        Assert.Equal(1, tun.WriteErrors);
        Assert.False(tun.Read(new PacketBatch(1, 100)));
    }

    [Fact]
    public void Close_WhileReadWaits_UnblocksItAndStaysClosed()
    {
        using LinuxTun tun = Create(null);
        tun.Configure([Interface("10.0.0.1/24")], 1400);
        for (int round = 0; round < 2; round++)
        {
            using var started = new ManualResetEventSlim();
            var thread = new Thread(() =>
            {
                started.Set();
                while (tun.Read(new PacketBatch(4, 1500)))
                {
                }
            });
            thread.Start();
            started.Wait(Patience, TestContext.Current.CancellationToken);
            tun.Close();
            Assert.True(thread.Join(Patience), "Read still waits after Close.");
        }
    }

    [Fact]
    public void Dispose_WhileReadWaits_UnblocksItAndRemovesTheInterface()
    {
        LinuxTun tun = Create("ltx5");
        tun.Configure([Interface("10.0.0.1/24")], 1400);
        var thread = new Thread(() =>
        {
            while (tun.Read(new PacketBatch(4, 1500)))
            {
            }
        });
        thread.Start();
        tun.Dispose();
        Assert.True(thread.Join(Patience));
        Assert.DoesNotContain("ltx5", Ip("link"), StringComparison.Ordinal);
    }

    [Fact]
    public void Read_InterfaceDeletedBySomebody_Ends()
    {
        using LinuxTun tun = Create("ltx5");
        tun.Configure([Interface("10.0.0.1/24")], 1400);
        var thread = new Thread(() =>
        {
            while (tun.Read(new PacketBatch(4, 1500)))
            {
            }
        });
        thread.Start();
        Ip("link", "delete", "ltx5");
        Assert.True(thread.Join(Patience));
    }

    [Fact]
    public void Move_ToAnotherNamespace_KeepsReadingAndWriting()
    {
        string other = _namespace + "b";
        NetworkNamespace.Create(other);
        try
        {
            using LinuxTun tun = Create("ltx5");
            Ip("link", "set", "ltx5", "netns", other);
            NetworkNamespace.Ip("-n", other, "address", "add", "10.0.0.1/24", "dev", "ltx5");
            NetworkNamespace.Ip("-n", other, "link", "set", "ltx5", "up");
            using Socket socket = NetworkNamespace.Run(other, () => Bind(Address("10.0.0.1")));
            tun.Write(Udp("10.0.0.20", "10.0.0.1", 4242, (ushort)((IPEndPoint)socket.LocalEndPoint!).Port, [1, 2]));
            Assert.Equal([1, 2], Receive(socket));
            socket.SendTo([3], new IPEndPoint(IPAddress.Parse("10.0.0.20"), 9));
            Assert.Equal(3, ReadUdp(tun, 1)[0][^1]);
        }
        finally
        {
            NetworkNamespace.Delete(other);
        }
    }

    [Fact]
    public void ReadAndWrite_OfBatches_AllocateNothing()
    {
        using LinuxTun tun = Create(null);
        tun.Configure([Interface("10.0.0.1/24")], 1400);
        using Socket socket = InNamespace(() => Bind(Address("10.0.0.1")));
        SocketAddress peer = new IPEndPoint(IPAddress.Parse("10.0.0.20"), 4242).Serialize();
        byte[] payload = new byte[1000];
        var written = new PacketBatch(8, 1500);
        for (int i = 0; i < 8; i++)
            written.TryAdd(Udp("10.0.0.20", "10.0.0.1", 4242, 1, payload)); // Nobody listens there: answered by ICMP, which is read.
        byte[] single = Udp("10.0.0.20", "10.0.0.1", 4242, (ushort)((IPEndPoint)socket.LocalEndPoint!).Port, payload);
        var read = new PacketBatch(8, 1500);
        void Round()
        {
            tun.Write(written);
            tun.Write(single);
            for (int i = 0; i < 8; i++)
                socket.SendTo(payload, SocketFlags.None, peer);
            for (int count = 0; count < 8; count += read.Count)
                tun.Read(read);
        }

        Allocation.AssertNone(warmUp: 50, count: 200, Round);
        Assert.Equal(0, tun.WriteErrors);
    }

    [Fact]
    public void LocalAddresses_OfTheNamespace_AreFound()
    {
        using LinuxTun tun = Create("ltx5");
        tun.Configure([Interface("10.0.0.1/24"), Interface("fd00::1/64")], 1400);
        (bool Own, bool Other, LocalAddress? Overlap, LocalAddress? None, LocalAddress? Self) found = InNamespace(() => (
            LocalAddresses.Contains(Address("fd00::1")),
            LocalAddresses.Contains(Address("fd00::2")),
            LocalAddresses.FindOverlap(Prefix("10.0.0.128/25")),
            LocalAddresses.FindOverlap(Prefix("10.0.1.0/24")),
            LocalAddresses.FindOverlap(Prefix("10.0.0.0/8"), exceptInterface: tun.InterfaceIndex)));
        Assert.Equal((true, false, null, null), (found.Own, found.Other, found.None, found.Self));
        Assert.Equal(new LocalAddress("ltx5", Interface("10.0.0.1/24")), found.Overlap);
    }

    [Fact]
    public void Factory_OnLinux_MakesOne()
    {
        using ITunDevice device = InNamespace(() => new TunDeviceFactory().Create("ltx9"));
        Assert.IsType<LinuxTun>(device);
    }

    private LinuxTun Create(string? name) => InNamespace(() => LinuxTun.Create(name));

    private T InNamespace<T>(Func<T> body) => NetworkNamespace.Run(_namespace, body);

    private string Ip(params string[] arguments) => NetworkNamespace.Ip(["-n", _namespace, .. arguments]);

    /// <summary>
    /// The kernel removes an interface with its last descriptor, and a process that another test starts at this moment has them all until
    /// it runs its program.
    /// </summary>
    private void WaitUntilGone(string name) => Assert.True(
        SpinWait.SpinUntil(() => !Ip("link").Contains($" {name}:", StringComparison.Ordinal), TimeSpan.FromMinutes(1)),
        $"{name} is still there.");

    private string[] AddressesOf(string name) => InNamespace(() => NetworkInterface.GetAllNetworkInterfaces()
        .Single(one => one.Name == name).GetIPProperties().UnicastAddresses.Select(a => $"{a.Address}/{a.PrefixLength}").ToArray());

    private static LightTunnelException AssertFails(LightTunnelError expected, string culprit, Action action)
    {
        LightTunnelException error = Assert.Throws<LightTunnelException>(action);
        Assert.Equal(expected, error.Error);
        Assert.Contains(culprit, error.Message, StringComparison.Ordinal);
        Assert.NotEmpty(error.RecommendedAction);
        return error;
    }

    private static Socket Bind(TunnelAddress address)
    {
        IPAddress ip = address.ToIPAddress();
        var socket = new Socket(ip.AddressFamily, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = (int)Patience.TotalMilliseconds };
        socket.Bind(new IPEndPoint(ip, 0));
        return socket;
    }

    private static byte[] Receive(Socket socket)
    {
        byte[] buffer = new byte[2000];
        return buffer[..socket.Receive(buffer)];
    }

    /// <summary>Reads until so many UDP packets are there; the system may send others of its own.</summary>
    private static List<byte[]> ReadUdp(LinuxTun tun, int count)
    {
        var batch = new PacketBatch(8, 1500);
        var result = new List<byte[]>();
        while (result.Count < count && tun.Read(batch))
        {
            for (int i = 0; i < batch.Count; i++)
            {
                if (IpPacket.TryParse(batch.Packet(i), out IpPacketInfo info) && info.Protocol == IpPacket.ProtocolUdp)
                    result.Add(batch.Packet(i).ToArray());
            }
        }

        return result;
    }

    private static byte[] EchoReply(byte[] request)
    {
        byte[] reply = (byte[])request.Clone();
        request.AsSpan(12, 4).CopyTo(reply.AsSpan(16));
        request.AsSpan(16, 4).CopyTo(reply.AsSpan(12));
        reply[20] = 0;
        reply.AsSpan(22, 2).Clear();
        System.Buffers.Binary.BinaryPrimitives.WriteUInt16BigEndian(reply.AsSpan(22), InternetChecksum.Compute(reply.AsSpan(20)));
        SealHeader(reply);
        return reply;
    }
}
