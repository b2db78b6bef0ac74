using LightTunnel.Packets;

namespace LightTunnel.Transport;

/// <summary>
/// The one UDP socket of a node. <see cref="Receive"/> belongs to one thread; <see cref="Send(PacketBatch)"/> may be called from any.
/// </summary>
internal interface IDatagramTransport : IDisposable
{
    /// <summary>The UDP port that the socket is bound to.</summary>
    int LocalPort { get; }

    /// <summary>True when the socket also speaks IPv6.</summary>
    bool SupportsIPv6 { get; }

    /// <summary>
    /// Blocks until at least one datagram is there, then takes what is waiting without blocking again, up to the batch's capacity.
    /// The batch is cleared first. Each slot's <see cref="PacketSlot.Endpoint"/> is the sender. A datagram too long for a slot is dropped.
    /// </summary>
    /// <returns>False once the transport is closed; true otherwise, also when the batch stayed empty.</returns>
    bool Receive(PacketBatch batch);

    /// <summary>
    /// Sends every slot of non-zero length to its <see cref="PacketSlot.Endpoint"/>. Like the network itself it never reports
    /// a lost datagram; unreachable or unusable destinations are counted, not thrown.
    /// </summary>
    void Send(PacketBatch batch);

    /// <summary>Sends one datagram; for the control loop.</summary>
    void Send(ReadOnlySpan<byte> datagram, in UdpEndpoint destination);

    /// <summary>Datagrams that the operating system refused to send.</summary>
    long SendErrors { get; }

    /// <summary>Unblocks <see cref="Receive"/>; idempotent, any thread.</summary>
    void Close();
}

/// <summary>Opens the node's socket; replaced in tests by an in-memory network.</summary>
internal interface IDatagramTransportFactory
{
    /// <summary>Binds the port on all local addresses, IPv6 and IPv4; 0 lets the system choose.</summary>
    /// <exception cref="Diagnostics.LightTunnelException">The port is taken or may not be used.</exception>
    IDatagramTransport Open(int port);
}
