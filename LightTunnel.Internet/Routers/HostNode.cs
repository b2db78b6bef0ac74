using LightTunnel.Internet.Wires;

namespace LightTunnel.Internet.Routers;

/// <summary>Takes packets that have arrived at a host; the memory is valid during the call only.</summary>
internal delegate void PacketReceiver(ReadOnlySpan<byte> packet);

/// <summary>
/// The end of the internet at one host: what arrives is handed out, what the host sends goes in by <see cref="VirtualInternet.Send"/>.
/// </summary>
/// <param name="name">The host's name.</param>
/// <param name="receive">Gets what arrives.</param>
internal sealed class HostNode(string name, PacketReceiver receive) : INetworkNode
{
    /// <inheritdoc/>
    public string Name => name;

    /// <summary>The wire to the host's router; set when it is connected.</summary>
    public Wire? Uplink { get; set; }

    /// <inheritdoc/>
    public void Receive(Span<byte> packet, Wire arrivedOn) => receive(packet);
}
