using LightTunnel.Addressing;
using LightTunnel.Packets;

namespace LightTunnel.Tun;

/// <summary>
/// A virtual network interface whose other end is this process: what the system sends into it is read here, what is written here
/// arrives at the system. It may have several queues: <see cref="Read"/> belongs to one thread per queue,
/// <see cref="Write(PacketBatch, int)"/> to another one; everything else may be called from any.
/// </summary>
internal interface ITunDevice : IDisposable
{
    /// <summary>The interface's name in the system, "lt0".</summary>
    string Name { get; }

    /// <summary>The interface's index in the system.</summary>
    int InterfaceIndex { get; }

    /// <summary>Longest packet in either direction, bytes.</summary>
    int Mtu { get; }

    /// <summary>Number of queues, at least 1.</summary>
    int Queues { get; }

    /// <summary>
    /// True when <see cref="Read"/> hands over super-packets: slots then must take <see cref="PacketBatch.LongestReceived"/> bytes.
    /// </summary>
    bool ReadsSuperPackets { get; }

    /// <summary>
    /// Blocks until at least one IP packet is there, then takes what is waiting without blocking again, up to the batch's capacity.
    /// The batch is cleared first. A slot whose <see cref="PacketSlot.Offload"/> has a kind holds a super-packet, to be cut by a
    /// <see cref="PacketSegmenter"/>; all other packets are complete.
    /// </summary>
    /// <returns>False once the device is closed; true otherwise, also when the batch stayed empty.</returns>
    bool Read(PacketBatch batch, int queue = 0);

    /// <summary>
    /// Hands every slot of non-zero length to the system as one IP packet; packets the system refuses are counted. Neighbours may be
    /// merged, which changes their headers and the 16 bytes before each: these must be the batch's to change.
    /// </summary>
    void Write(PacketBatch batch, int queue = 0);

    /// <summary>Hands one IP packet to the system.</summary>
    void Write(ReadOnlySpan<byte> packet);

    /// <summary>
    /// Sets the addresses of the interface (replacing those it has), its MTU, and brings it up. The networks' prefixes are
    /// routed to it by the system.
    /// </summary>
    /// <returns>
    /// Null; or, where this machine has IPv6 switched off and there is an IPv4 address to go on with, what could not be set and how
    /// to change that.
    /// </returns>
    /// <exception cref="Diagnostics.LightTunnelException">An address belongs to another interface, or the system refused.</exception>
    Diagnostics.LightTunnelException? Configure(IReadOnlyList<InterfaceAddress> addresses, int mtu);

    /// <summary>
    /// Has the system route these prefixes into the interface, which is set up, besides the networks of its addresses; those of the last
    /// call that are not among them not any more. What others route stays theirs. May wait for the system.
    /// </summary>
    /// <returns>Those that the system does not route into the interface, and why, as the end of a sentence.</returns>
    IReadOnlyDictionary<IpPrefix, string> SetRoutes(IReadOnlyList<IpPrefix> prefixes);

    /// <summary>Packets that the system refused to take.</summary>
    long WriteErrors { get; }

    /// <summary>
    /// Unblocks <see cref="Read"/>; idempotent, any thread. Disposal removes the interface with its addresses and routes.
    /// </summary>
    void Close();
}

/// <summary>Creates the node's interface; replaced in tests by an in-memory device.</summary>
internal interface ITunDeviceFactory
{
    /// <summary>
    /// Creates the interface, down and without addresses. An interface of that name left behind by a crash is taken over or removed.
    /// </summary>
    /// <param name="name">Name of the interface, or null to let the first free "lt0", "lt1", ... be chosen.</param>
    /// <param name="options">How many queues and what offloads; null for what is best here.</param>
    /// <param name="id">By what the system is to know the interface again where it needs that; null for no matter.</param>
    /// <exception cref="Diagnostics.LightTunnelException">No privilege, no device node or driver, or the name is in use.</exception>
    ITunDevice Create(string? name, DataPathOptions? options = null, Guid? id = null);
}
