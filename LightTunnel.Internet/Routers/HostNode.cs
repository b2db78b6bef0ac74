using LightTunnel.Internet.Sites;
using LightTunnel.Internet.Wires;

namespace LightTunnel.Internet.Routers;

/// <summary>Takes packets that have arrived at a host; the memory is valid during the call only.</summary>
internal delegate void PacketReceiver(ReadOnlySpan<byte> packet);

/// <summary>
/// The end of the internet at one host: what arrives is handed out, what the host sends goes in by <see cref="VirtualInternet.Send"/>.
/// </summary>
/// <param name="name">The host's name.</param>
/// <param name="uplink">The wire towards the internet.</param>
/// <param name="receive">Gets what arrives.</param>
internal sealed class HostNode(string name, Wire uplink, PacketReceiver receive) : Site(name, uplink)
{
    /// <summary>Takes a packet that has arrived.</summary>
    public void Receive(ReadOnlySpan<byte> packet) => receive(packet);
}
