using LightTunnel.Addressing;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Data;
using LightTunnel.Membership;
using LightTunnel.Packets;
using LightTunnel.Timing;
using LightTunnel.WireGuard;

namespace LightTunnel.Tests.Engine;

/// <summary>
/// A node that speaks plain WireGuard with one server and knows nothing else of the network: an app on a phone. It sends whatever a test
/// has it send, under its keys.
/// </summary>
internal sealed class PlainClientRole : INodeRole
{
    private readonly Node _node;
    private readonly Peer _server;

    /// <param name="node">The node.</param>
    /// <param name="serverKey">The server's public key.</param>
    /// <param name="presharedKey">The pre-shared key of the two; not owned.</param>
    /// <param name="endpoint">Where the server is.</param>
    /// <param name="own">The client's own address.</param>
    /// <param name="others">What it reaches through the server.</param>
    public PlainClientRole(
        Node node, PublicKey serverKey, PresharedKey presharedKey, UdpEndpoint endpoint, InterfaceAddress own,
        IEnumerable<TunnelAddress> others)
    {
        _node = node;
        _server = new Peer(serverKey, node.Time)
        {
            Name = "server", Addresses = [.. others], Online = true, NetworkMtu = 1400,
            Link = node.Links.Add(serverKey, PresharedKeys.Of(presharedKey)),
        };
        Link.Owner = _server;
        Link.Path = new PathAddress(endpoint);
        Link.PersistentKeepalive = TimeSpan.FromSeconds(25); // As the configuration says.
        node.Forwarding = ForwardingTable.Empty.WithOwn([own]).With(_server.Prefixes, _server);
    }

    /// <summary>The link with the server.</summary>
    public Link Link => _server.Link!;

    public IEnumerable<Peer> Peers => [_server];

    /// <summary>Sends any bytes under the client's keys; false when there are none.</summary>
    public bool SendSealed(ReadOnlySpan<byte> inner)
    {
        Span<byte> datagram = new byte[inner.Length + PacketBatch.Headroom + PacketBatch.Tailroom];
        if (Link.SealCopy(inner, datagram, inner.Length, out int written) != SealResult.Sealed)
            return false;
        _node.Services.Transport.Send(datagram[..written], Link.Path.Handle);
        return true;
    }

    public bool IsRelay(in PathAddress sender) => false;

    public bool TryFindTarget(in RelayHeader header, in PathAddress sender, out PathAddress destination)
    {
        destination = default;
        return false;
    }

    public void NoteRelayed(in RelayHeader header)
    {
    }

    public void SayGoodbye()
    {
    }

    public void OnHandshake(ReadOnlySpan<byte> datagram, in PathAddress source) => _node.Links.HandleHandshake(datagram, source);

    public Peer? OnLinkUp(Link link) => _server;

    public void OnLinkLost(Peer peer)
    {
    }

    public void OnFrame(Peer peer, in ControlFrame frame)
    {
    }

    public void OnLinkWanted(Peer peer) => Link.RequestHandshake();

    public bool IsProbed(Peer peer, Timestamp now) => false;

    public Timestamp RunTimers(Peer peer, Timestamp now) => Timestamp.Never;

    public Timestamp FinishTurn(Timestamp now) => Timestamp.Never;

    public PeerDiagnosis Diagnose(Peer peer) => new(string.Empty, string.Empty, [], null);

    public void Dispose()
    {
    }
}
