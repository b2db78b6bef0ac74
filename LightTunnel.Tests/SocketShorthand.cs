using LightTunnel.Addressing;
using LightTunnel.Packets;
using LightTunnel.Transport;

namespace LightTunnel.Tests;

/// <summary>What tests of sockets say in short: an endpoint, and mostly the node's own socket.</summary>
internal static class SocketShorthand
{
    public static PathHandle By(this UdpEndpoint endpoint, LocalEnd socket) => new(endpoint) { Local = socket };

    public static void Send(this IDatagramTransport transport, ReadOnlySpan<byte> datagram, UdpEndpoint destination) =>
        transport.Send(datagram, new PathHandle(destination));

    public static bool TrySendWhole(this IDatagramTransport transport, ReadOnlySpan<byte> datagram, UdpEndpoint destination) =>
        transport.TrySendWhole(datagram, new PathHandle(destination));

    public static bool TryAdd(this PacketBatch batch, ReadOnlySpan<byte> packet, UdpEndpoint destination) =>
        batch.TryAdd(packet, new PathHandle(destination));

    /// <summary>Opens a further socket, which the system must not refuse.</summary>
    public static LocalEnd OpenSocket(this IDatagramTransport transport)
    {
        Xunit.Assert.True(transport.TryOpenSocket(out LocalEnd socket));
        return socket;
    }
}
