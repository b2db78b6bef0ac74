using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Packets;

namespace LightTunnel.Transport;

/// <summary>
/// The UDP socket of a node, and a few further ones while a NAT makes them necessary. The node's own may have several queues, each with a
/// share of the senders, and then with a stripe to send from; the first queue receives from the further sockets as well. Which one a
/// datagram came to or leaves from is in its <see cref="PathHandle"/>, whose <see cref="LocalEnd"/> and <see cref="AskedAddress"/> are to
/// be understood here and nowhere above. <see cref="Receive"/> belongs to one thread per queue; everything else may be called from any.
/// </summary>
internal interface IDatagramTransport : IDisposable
{
    /// <summary>The UDP port that the socket is bound to.</summary>
    int LocalPort { get; }

    /// <summary>True when the socket also speaks IPv6.</summary>
    bool SupportsIPv6 { get; }

    /// <summary>Number of queues, at least 1.</summary>
    int Queues { get; }

    /// <summary>
    /// True when <see cref="Receive"/> hands over trains: slots then must take <see cref="PacketBatch.LongestReceived"/> bytes.
    /// </summary>
    bool ReceivesTrains { get; }

    /// <summary>
    /// Blocks until at least one datagram is there, then takes what is waiting without blocking again, up to the batch's capacity. The
    /// batch is cleared first. Each slot's <see cref="PacketSlot.Path"/> is the one to answer by; a slot with a
    /// <see cref="PacketSlot.SegmentSize"/> is a train of several. A datagram too long for a slot is dropped.
    /// </summary>
    /// <returns>False once the transport is closed; true otherwise, also when the batch stayed empty.</returns>
    bool Receive(PacketBatch batch, int queue = 0);

    /// <summary>
    /// Learns how far away those are with whom datagrams are exchanged: the farther, the more of theirs may be under way and wait here.
    /// </summary>
    /// <param name="roundTrip">The farthest of them; zero when that is not known.</param>
    /// <param name="queue">The queue.</param>
    void NoteRoundTrip(TimeSpan roundTrip, int queue = 0)
    {
    }

    /// <summary>
    /// Sends every slot of non-zero length, a datagram or a train of them, by its <see cref="PacketSlot.Path"/>, and loses what the system
    /// has no room for. Like the network itself it never reports a lost datagram; unusable destinations and sockets that are not open are
    /// counted, not thrown. For datagrams that somebody else sent: nobody can be asked to wait with more.
    /// </summary>
    void Send(PacketBatch batch, int queue = 0);

    /// <summary>
    /// Sends like <see cref="Send(PacketBatch, int)"/>, but what the system has no room for yet stays in the batch. For what this machine
    /// itself sends: as long as nothing more is taken from its programs, they notice, and the queue in front of a slow network is theirs,
    /// one for each, instead of one for all here.
    /// </summary>
    /// <param name="batch">The datagrams; a train that was sent in part is shortened to what is left.</param>
    /// <param name="first">The slot to begin with.</param>
    /// <param name="queue">The queue.</param>
    /// <returns>The slot to go on with after <see cref="WaitForRoom"/>; the count of slots when all is sent.</returns>
    int TrySend(PacketBatch batch, int first, int queue = 0)
    {
        Send(batch, queue);
        return batch.Count;
    }

    /// <summary>Blocks until there is room again for what <see cref="TrySend"/> left, or the transport is closed.</summary>
    /// <param name="queue">The queue.</param>
    /// <param name="orDatagrams">True to be woken by datagrams received as well.</param>
    void WaitForRoom(int queue, bool orDatagrams)
    {
    }

    /// <summary>Sends one datagram without waiting; for the control loop. Room is made for it where data has filled the buffer.</summary>
    void Send(ReadOnlySpan<byte> datagram, in PathHandle path);

    /// <summary>
    /// Sends like <see cref="Send(ReadOnlySpan{byte}, in PathHandle)"/>, and tells what of this machine's own was in the way.
    /// </summary>
    SendObstacle SendOrTell(ReadOnlySpan<byte> datagram, in PathHandle path)
    {
        Send(datagram, path);
        return SendObstacle.None;
    }

    /// <summary>
    /// Sends one datagram that nobody on its way may cut in pieces, so that its arrival says something of the path; for the control loop.
    /// All other datagrams may be: until a path is known, pieces are better than nothing.
    /// </summary>
    /// <returns>False when it is too long for this machine's own network; true otherwise, also when it was lost. It does not wait
    /// either.</returns>
    bool TrySendWhole(ReadOnlySpan<byte> datagram, in PathHandle path)
    {
        Send(datagram, path);
        return true;
    }

    /// <summary>
    /// Opens, if they are not open yet, the stripes: for each queue but the first one more socket, by which its thread sends from a port of
    /// its own, so that a receiver with several queues can take a share of a pair's datagrams in each (<see cref="LocalEnd.Stripe"/>). What
    /// comes to them, though nobody is told to send there, is received as if it had come to the node's own socket. They stay until the
    /// transport ends. For the control loop.
    /// </summary>
    /// <returns>The port of each queue's stripe; 0 for the first queue, and where the system refuses. Empty where there is one
    /// queue.</returns>
    IReadOnlyList<int> OpenStripes() => [];

    /// <summary>Opens a further socket; of those there are <see cref="LocalEnd.MaximumFurther"/> at most.</summary>
    /// <param name="socket">What to send from it by. One that was closed is not soon named again, so that nothing still on its way is taken
    /// for its successor's.</param>
    /// <param name="port">The port to bind, 0 for any.</param>
    /// <param name="address">The one local address to bind; null for all.</param>
    /// <returns>False when the system refuses; that is no error, only one attempt less.</returns>
    bool TryOpenSocket(out LocalEnd socket, int port = 0, IPAddress? address = null);

    /// <summary>Closes a further socket; nothing when it is not open.</summary>
    void CloseSocket(LocalEnd socket);

    /// <summary>The UDP port of a socket, 0 when it is not open.</summary>
    int PortOf(LocalEnd socket);

    /// <summary>Datagrams that the operating system refused to send.</summary>
    long SendErrors { get; }

    /// <summary>Unblocks <see cref="Receive"/>; idempotent, any thread.</summary>
    void Close();
}

/// <summary>Opens the node's socket.</summary>
internal interface IDatagramTransportFactory
{
    /// <summary>Binds the port on all local addresses, IPv6 and IPv4; 0 lets the system choose.</summary>
    /// <param name="port">The port.</param>
    /// <param name="options">How many queues and what offloads; null for what is best here.</param>
    /// <exception cref="Diagnostics.LightTunnelException">The port is taken or may not be used.</exception>
    IDatagramTransport Open(int port, DataPathOptions? options = null);
}
