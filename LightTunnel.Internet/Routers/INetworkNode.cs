using LightTunnel.Internet.Wires;

namespace LightTunnel.Internet.Routers;

/// <summary>
/// Something with wires: a host's uplink, a router, later a NAT or a firewall. It takes a packet, decides, and sends on its wires; time and
/// chance belong to the wires. Nodes are only called by <see cref="VirtualInternet"/>, one at a time.
/// </summary>
internal interface INetworkNode
{
    /// <summary>A name for people.</summary>
    string Name { get; }

    /// <summary>Takes a packet from one of its wires. The memory may be changed, and is valid during the call only.</summary>
    void Receive(Span<byte> packet, Wire arrivedOn);
}
