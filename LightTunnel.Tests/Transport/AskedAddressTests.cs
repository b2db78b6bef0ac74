using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using LightTunnel.Addressing;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Packets;
using LightTunnel.Transport;
using Xunit;

namespace LightTunnel.Tests.Transport;

/// <summary>A machine with several addresses, and somebody who takes answers only from the one that it asked.</summary>
[SupportedOSPlatform("linux")]
public sealed class AskedAddressTests : IDisposable
{
    private const int Patience = 60_000;

    private readonly string? _namespace;

    public AskedAddressTests()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess, "needs root");
        _namespace = "ltxask" + Guid.NewGuid().ToString("N")[..8];
        NetworkNamespace.Create(_namespace);
        NetworkNamespace.Ip("-n", _namespace, "link", "set", "lo", "up");
        string[] addresses = ["10.78.0.1/24", "10.78.0.2/24", "10.78.0.9/24", "fd00:78::1/64", "fd00:78::2/64", "fd00:78::9/64"];
        foreach (string address in addresses)
            NetworkNamespace.Ip("-n", _namespace, "address", "add", address, "dev", "lo", "nodad");
        // Also without the search for duplicates Linux lets a worker declare an IPv6 address usable, and nothing leaves from it before.
        Assert.True(SpinWait.SpinUntil(
            () => NetworkNamespace.Ip("-n", _namespace, "-o", "address", "show", "tentative").Length == 0, Patience));
    }

    public void Dispose()
    {
        if (_namespace is not null)
            NetworkNamespace.Delete(_namespace);
    }

    [Theory]
    [InlineData("10.78.0.9", "10.78.0.1", true)]
    [InlineData("10.78.0.9", "10.78.0.2", true)]
    [InlineData("10.78.0.9", "10.78.0.1", false)]
    [InlineData("10.78.0.9", "10.78.0.2", false)]
    [InlineData("fd00:78::9", "fd00:78::1", true)]
    [InlineData("fd00:78::9", "fd00:78::2", true)]
    public void Answer_LeavesFromTheAddressThatWasAsked_InEveryWayOfSending(string client, string asked, bool dualMode)
    {
        using LinuxUdpTransport server = Open(dualMode);
        using Socket socket = Client(client, asked, server.LocalPort);
        socket.Send("question"u8);
        PathHandle path = ReceiveOne(server);
        Assert.NotEqual(default, path.Asked);

        server.Send("one"u8, path);
        Assert.Equal("one", Receive(socket));
        server.Send("two"u8, path with { IsUnproven = true });
        Assert.Equal("two", Receive(socket));
        Assert.True(server.TrySendWhole("three"u8, path));
        Assert.Equal("three", Receive(socket));

        var batch = new PacketBatch(8, 2000);
        "four"u8.CopyTo(batch.NextDatagram());
        batch.Append(4, path);
        foreach (string part in new[] { "train1", "train2", "end" })
        {
            System.Text.Encoding.ASCII.GetBytes(part, batch.NextDatagram());
            batch.Append(part.Length, path);
        }

        Assert.Equal(2, batch.Count);
        server.Send(batch);
        Assert.Equal(["four", "train1", "train2", "end"], Enumerable.Range(0, 4).Select(_ => Receive(socket)));
        Assert.Equal(0, server.SendErrors);
    }

    [Fact]
    public void Answer_OfAFurtherSocket_LeavesFromTheAddressThatWasAsked()
    {
        using LinuxUdpTransport server = Open(dualMode: true);
        LocalEnd further = NetworkNamespace.Run(_namespace!, server.OpenSocket);
        using Socket socket = Client("10.78.0.9", "10.78.0.2", server.PortOf(further));
        socket.Send("question"u8);
        PathHandle path = ReceiveOne(server);
        Assert.Equal(further, path.Local);

        // What the system would choose is another address: this socket does not see it.
        server.Send("wrong"u8, path with { Asked = default });
        server.Send("right"u8, path);
        Assert.Equal("right", Receive(socket));
    }

    [Theory]
    [InlineData("10.78.0.9", "10.78.0.2/24", true)]
    [InlineData("10.78.0.9", "10.78.0.2/24", false)]
    [InlineData("fd00:78::9", "fd00:78::2/64", true)]
    public void AddressIsGone_AnswersLeaveFromAnother(string client, string asked, bool dualMode)
    {
        using LinuxUdpTransport server = Open(dualMode);
        using Socket socket = Client(client, null, 0);
        socket.SendTo("question"u8.ToArray(), new IPEndPoint(IPAddress.Parse(asked.Split('/')[0]), server.LocalPort));
        PathHandle path = ReceiveOne(server);
        Assert.NotEqual(default, path.Asked);
        NetworkNamespace.Ip("-n", _namespace!, "address", "delete", asked, "dev", "lo");

        server.Send("one"u8, path);
        var batch = new PacketBatch(8, 2000);
        foreach (string part in new[] { "train1", "train2", "end" })
        {
            System.Text.Encoding.ASCII.GetBytes(part, batch.NextDatagram());
            batch.Append(part.Length, path);
        }

        server.Send(batch);
        Assert.Equal(["one", "train1", "train2", "end"], Enumerable.Range(0, 4).Select(_ => Receive(socket)));
        Assert.Equal(0, server.SendErrors);
    }

    [Fact]
    public void Numbers_AreFewAndStay()
    {
        var asked = new AskedAddresses();
        Assert.Equal(UInt128.Zero, asked[default]);
        for (int i = 1; i <= AskedAddresses.Maximum; i++)
            Assert.Equal((UInt128)i, asked[asked.Find((UInt128)i)]);
        Assert.Equal(default, asked.Find(1000)); // No more: the system chooses.
        Assert.Equal(asked.Find(7), asked.Find(7));
        Assert.Equal((UInt128)7, asked[asked.Find(7)]);
    }

    private LinuxUdpTransport Open(bool dualMode)
    {
        LinuxUdpTransport? opened = NetworkNamespace.Run(_namespace!, () => LinuxUdpTransport.TryOpen(0, dualMode));
        Assert.NotNull(opened);
        return opened;
    }

    /// <summary>A socket that, connected, takes nothing that comes from elsewhere, like a strict firewall.</summary>
    private Socket Client(string address, string? server, int port) => NetworkNamespace.Run(_namespace!, () =>
    {
        var local = IPAddress.Parse(address);
        var socket = new Socket(local.AddressFamily, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = Patience };
        socket.Bind(new IPEndPoint(local, 0));
        if (server is not null)
            socket.Connect(IPAddress.Parse(server), port);
        return socket;
    });

    private static PathHandle ReceiveOne(LinuxUdpTransport server)
    {
        var batch = new PacketBatch(4, 2000);
        using var limit = new Timer(_ => server.Close(), null, Patience, Timeout.Infinite);
        Assert.True(server.Receive(batch));
        return batch[0].Path;
    }

    private static string Receive(Socket socket)
    {
        byte[] buffer = new byte[100];
        return System.Text.Encoding.ASCII.GetString(buffer, 0, socket.Receive(buffer));
    }
}
