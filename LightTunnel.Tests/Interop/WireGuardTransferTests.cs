using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using LightTunnel.Engine.Data;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Packets;
using Xunit;

namespace LightTunnel.Tests.Interop;

/// <summary>
/// TCP between the kernels behind a LightTunnel tunnel and wireguard-go, with offloads on and off, over one queue and several.
/// </summary>
[SupportedOSPlatform("linux")]
public sealed class WireGuardTransferTests
{
    private const int Length = 8 << 20;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    [Theory]
    [InlineData(Offloads.All, 1, 1)]
    [InlineData(Offloads.All, 1, 2)]
    [InlineData(Offloads.None, 1, 1)]
    [InlineData(Offloads.None, 1, 2)]
    [InlineData(Offloads.TunTcp | Offloads.TunUdp, 1, 2)]
    [InlineData(Offloads.UdpSend | Offloads.UdpReceive, 1, 1)]
    [InlineData(Offloads.All, 2, 1)]
    [InlineData(Offloads.All, 2, 2)]
    [InlineData(Offloads.None, 2, 2)]
    public async Task MegabytesBothWays_ArriveAsSent(Offloads offloads, int queues, int threads)
    {
        Prerequisites.SkipUnlessInterop();
        using WireGuardGo peer = WireGuardGo.Start();
        using var tunnel = new PlainTunnel(peer, new DataPathOptions { Offloads = offloads, Queues = queues, ThreadsPerQueue = threads });
        Assert.Equal((queues, queues), (tunnel.Device.Queues, tunnel.Transport.Queues));
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        deadline.CancelAfter(Patience);
        CancellationToken token = deadline.Token;

        using Socket listener = NetworkNamespace.Run(peer.Namespace, NewSocket);
        listener.Bind(new IPEndPoint(IPAddress.Parse("10.77.0.1"), 0));
        listener.Listen();
        using Socket ours = NetworkNamespace.Run(tunnel.Namespace, NewSocket);
        ValueTask<Socket> accepting = listener.AcceptAsync(token);
        await ours.ConnectAsync(listener.LocalEndPoint!, token);
        using Socket theirs = await accepting;
        byte[] data = new byte[Length];
        new Random(9).NextBytes(data);

        Task<byte[]>[] received = [ReceiveAsync(theirs, token), ReceiveAsync(ours, token)];
        await Task.WhenAll(SendAsync(ours, data, token), SendAsync(theirs, data, token));
        foreach (byte[] got in await Task.WhenAll(received))
            Assert.True(data.AsSpan().SequenceEqual(got));

        Assert.Null(tunnel.Failure);
        Assert.Equal((0, 0), (tunnel.Device.WriteErrors, tunnel.Transport.SendErrors));
        foreach (DropReason reason in new[] { DropReason.Malformed, DropReason.Forged, DropReason.Replayed, DropReason.WrongSource })
            Assert.Equal(0, tunnel.Inbound.Dropped(reason) + tunnel.Outbound.Dropped(reason));
        Assert.True(tunnel.Inbound.Bytes > Length && tunnel.Outbound.Bytes > Length);
    }

    private static Socket NewSocket() => new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

    private static async Task SendAsync(Socket socket, byte[] data, CancellationToken cancellationToken)
    {
        for (int sent = 0; sent < data.Length;)
            sent += await socket.SendAsync(data.AsMemory(sent), cancellationToken);
    }

    private static async Task<byte[]> ReceiveAsync(Socket socket, CancellationToken cancellationToken)
    {
        byte[] data = new byte[Length];
        for (int received = 0; received < Length;)
        {
            int count = await socket.ReceiveAsync(data.AsMemory(received), cancellationToken);
            Assert.NotEqual(0, count);
            received += count;
        }

        return data;
    }
}
