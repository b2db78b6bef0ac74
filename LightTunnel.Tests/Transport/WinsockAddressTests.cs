using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using System.Text;
using LightTunnel.Addressing;
using LightTunnel.Packets;
using LightTunnel.Transport;
using Xunit;

namespace LightTunnel.Tests.Transport;

/// <summary>
/// The framework's sockets answer from the address that was asked: by the calls of Windows, which a stand-in carries out on this system's
/// sockets, so that datagrams truly leave from one of two loopback addresses.
/// </summary>
[SupportedOSPlatform("linux")]
public sealed unsafe class WinsockAddressTests
{
    private const int Patience = 60_000;

    public WinsockAddressTests() =>
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.Is64BitProcess, "The stand-in sends by Linux's calls.");

    [Theory]
    [InlineData("127.0.0.2", true)]
    [InlineData("127.0.0.1", true)]
    [InlineData("127.0.0.2", false)]
    [InlineData("::1", true)]
    public void Answer_LeavesFromTheAddressThatWasAsked_InEveryWayOfSending(string asked, bool dualMode)
    {
        Assert.SkipUnless(Socket.OSSupportsIPv6 || !dualMode, "needs IPv6");
        var system = new WinsockStandIn { TellsAddresses = true };
        using SocketUdpTransport server = Open(system, dualMode);
        using Socket client = Ask(asked, server.LocalPort);
        PathHandle path = ReceiveOne(server);
        Assert.NotEqual(default, path.Asked);

        server.Send("one"u8, path);
        server.Send("two"u8, path with { IsUnproven = true });
        Assert.True(server.TrySendWhole("three"u8, path));
        Assert.Equal(SendObstacle.None, server.SendOrTell("four"u8, path));
        server.Send(Batch(path));

        Assert.Equal(
            ["one", "two", "three", "four", "five", "train1", "train2", "end"], Enumerable.Range(0, 8).Select(_ => Receive(client)));
        Assert.Equal((1, 0), (system.TrainsSent, server.SendErrors));
        Assert.Equal(8, system.SentFromAddress);
    }

    /// <summary>
    /// What the system would choose for a client of the same machine is that one's own address, which a strict firewall takes
    /// for a stranger's.
    /// </summary>
    [Fact]
    public void Answer_WithoutTheAddress_WouldNotReachTheAsker()
    {
        using SocketUdpTransport server = Open(new WinsockStandIn { TellsAddresses = true });
        using Socket client = Ask("127.0.0.2", server.LocalPort);
        PathHandle path = ReceiveOne(server);
        server.Send("wrong"u8, path.Endpoint);
        server.Send("right"u8, path);
        Assert.Equal("right", Receive(client));
    }

    [Fact]
    public void Answer_OfAFurtherSocket_LeavesFromTheAddressThatWasAsked()
    {
        var system = new WinsockStandIn { TellsAddresses = true };
        using SocketUdpTransport server = Open(system);
        LocalEnd further = server.OpenSocket();
        using Socket client = Ask("127.0.0.2", server.PortOf(further));
        PathHandle path = ReceiveOne(server);
        Assert.Equal(further, path.Local);
        server.Send("wrong"u8, path with { Asked = default });
        server.Send("right"u8, path);
        Assert.Equal("right", Receive(client));
        int[] levels = server.SupportsIPv6 ? [0, 41, 0, 41] : [0, 0];
        Assert.Equal(levels, system.Telling.Select(told => told.Level));
    }

    [Theory]
    [InlineData(SocketError.AddressNotAvailable)]
    [InlineData(SocketError.InvalidArgument)]
    [InlineData(SocketError.NetworkUnreachable)]
    public void AddressIsGone_AnswersLeaveFromAnother(SocketError refusal)
    {
        var system = new WinsockStandIn { TellsAddresses = true };
        using SocketUdpTransport server = Open(system);
        using Socket client = Ask("127.0.0.1", server.LocalPort);
        PathHandle path = ReceiveOne(server);
        system.OutcomeFromAddress = refusal;
        server.Send("one"u8, path);
        server.Send(Batch(path));
        Assert.Equal(["one", "five", "train1", "train2", "end"], Enumerable.Range(0, 5).Select(_ => Receive(client)));
        Assert.Equal((1, 0), (system.TrainsSent, server.SendErrors));
        Assert.True(server.SendsTrains);
    }

    [Fact]
    public void SystemThatDoesNotTell_AnswersAsItChooses()
    {
        using SocketUdpTransport server = Open(new WinsockStandIn { Options = [], TellsAddresses = false });
        using Socket client = Ask("127.0.0.1", server.LocalPort);
        PathHandle path = ReceiveOne(server);
        Assert.Equal(default, path.Asked);
        server.Send("one"u8, path);
        Assert.Equal("one", Receive(client));
    }

    [Fact]
    public void Trains_OfTwoAddresses_KeepTheirs()
    {
        using SocketUdpTransport server = Open(new WinsockStandIn { TellsAddresses = true });
        using Socket first = Ask("127.0.0.1", server.LocalPort);
        PathHandle path = ReceiveOne(server);
        using Socket second = Ask("127.0.0.2", server.LocalPort);
        PathHandle other = ReceiveOne(server);
        Assert.NotEqual(path.Asked, other.Asked);
        server.Send(Batch(path));
        server.Send(Batch(other));
        string[] expected = ["five", "train1", "train2", "end"];
        Assert.Equal(expected, Enumerable.Range(0, 4).Select(_ => Receive(first)));
        Assert.Equal(expected, Enumerable.Range(0, 4).Select(_ => Receive(second)));
    }

    [Theory]
    [InlineData("192.0.2.7", "1800000000000000" + "00000000" + "13000000" + "C0000207" + "00000000")]
    [InlineData("2001:db8::7", "2400000000000000" + "29000000" + "13000000" + "20010DB8000000000000000000000007" + "00000000" + "00000000")]
    public void Address_IsWrittenAndReadAsTheHeadersSay(string address, string expected)
    {
        UInt128 mapped = new UdpEndpoint(IPAddress.Parse(address), 0).MappedAddress;
        byte* place = stackalloc byte[WinsockControls.Size];
        int length = WinsockControls.WriteAddress(place, mapped);
        length += WinsockControls.WriteNumber(place + length, 17, 3, 1432);
        Assert.InRange(length, 1, WinsockControls.Size);
        string written = Convert.ToHexString(new ReadOnlySpan<byte>(place, length));
        Assert.Equal(expected + "1400000000000000" + "11000000" + "03000000" + "98050000" + "00000000", written);
        WinsockControls.Read(place, (uint)length, out uint segmentSize, out UInt128 local);
        Assert.Equal((1432u, mapped), (segmentSize, local));
    }

    [Fact]
    public void Read_WhateverTheSystemSays_StaysWithinItsBytes()
    {
        var random = new Random(20261129);
        byte* place = stackalloc byte[WinsockControls.Size];
        for (int round = 0; round < Fuzz.Count(20_000); round++)
        {
            var bytes = new Span<byte>(place, WinsockControls.Size);
            random.NextBytes(bytes);
            bytes[random.Next(8)..8].Clear();
            bytes[0] = (byte)random.Next(80);
            WinsockControls.Read(place, (uint)random.Next(200), out _, out _);
        }
    }

    private static SocketUdpTransport Open(WinsockStandIn system, bool? dualMode = null) =>
        SocketUdpTransport.Open(0, dualMode ?? Socket.OSSupportsIPv6, options: null, system);

    /// <summary>
    /// A socket that asked an address, and, connected to it, takes nothing that comes from elsewhere, like a strict firewall.
    /// </summary>
    private static Socket Ask(string server, int port)
    {
        var address = IPAddress.Parse(server);
        var socket = new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = Patience };
        socket.Bind(new IPEndPoint(address.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Loopback : IPAddress.IPv6Loopback, 0));
        socket.Connect(address, port);
        socket.Send("question"u8);
        return socket;
    }

    private static PacketBatch Batch(PathHandle path)
    {
        var batch = new PacketBatch(8, 2000);
        foreach (string part in new[] { "five", "train1", "train2", "end" })
        {
            Encoding.ASCII.GetBytes(part, batch.NextDatagram());
            batch.Append(part.Length, path);
        }

        Assert.Equal(2, batch.Count);
        return batch;
    }

    private static PathHandle ReceiveOne(SocketUdpTransport server)
    {
        var batch = new PacketBatch(4, 2000);
        using var limit = new Timer(_ => server.Close(), null, Patience, Timeout.Infinite);
        do
            Assert.True(server.Receive(batch));
        while (batch.Count == 0);
        return batch[0].Path;
    }

    private static string Receive(Socket socket)
    {
        byte[] buffer = new byte[100];
        return Encoding.ASCII.GetString(buffer, 0, socket.Receive(buffer));
    }
}
