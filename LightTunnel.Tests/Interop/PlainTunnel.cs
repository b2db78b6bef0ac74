using System.Net;
using System.Runtime.Versioning;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Engine;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Data;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Membership;
using LightTunnel.Packets;
using LightTunnel.Timing;
using LightTunnel.Transport;
using LightTunnel.Tun;
using LightTunnel.WireGuard;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Interop;

/// <summary>
/// A tunnel to wireguard-go as WireGuard knows it, without a network's membership: one peer, whose address is 10.77.0.1. Everything below
/// is the real thing: threads, data paths, a TUN device with 10.77.0.2 in a namespace of its own, and a socket on the loopback of
/// wireguard-go's.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed class PlainTunnel : IDisposable
{
    private readonly PrivateKey _identity = PrivateKey.Generate();
    private readonly PresharedKey _key = PresharedKey.Generate();
    private readonly TunnelLog _log;
    private readonly Node _node;
    private readonly TunnelThreads _threads;

    public PlainTunnel(WireGuardGo peer, DataPathOptions options)
    {
        Namespace = peer.Namespace + "t";
        NetworkNamespace.Create(Namespace);
        Transport = NetworkNamespace.Run(peer.Namespace, () => LinuxUdpTransport.Open(0, options));
        Device = NetworkNamespace.Run(Namespace, () => LinuxTun.Create(null, options));
        Device.Configure([new InterfaceAddress(Address("10.77.0.2"), 24)], 1420);
        _log = new TunnelLog("plain", TimeProvider.System, LogLevel.Warning);
        _node = new Node(
            _identity, new PresharedKeyRing(_key), CipherPolicy.Auto, new NodeServices(TimeProvider.System, Device, Transport, _log),
            node => new PlainRole(node, _key, peer));
        _threads = new TunnelThreads(
            _node, Device, Transport, TimeProvider.System, options.ThreadsPerQueue, exception => Failure ??= exception);
        _threads.Start("plain");
        peer.SetPeer(_identity.PublicKey, _key, Transport.LocalPort);
    }

    public string Namespace { get; }

    public LinuxUdpTransport Transport { get; }

    public LinuxTun Device { get; }

    public Exception? Failure { get; private set; }

    public PacketCounters Inbound => _threads.Inbound;

    public PacketCounters Outbound => _threads.Outbound;

    public void Dispose()
    {
        _threads.Dispose();
        _node.Dispose();
        Transport.Dispose();
        Device.Dispose();
        _log.Dispose();
        _key.Dispose();
        _identity.Dispose();
        NetworkNamespace.Delete(Namespace);
    }

    /// <summary>Knows one peer, and nothing of networks.</summary>
    private sealed class PlainRole : INodeRole
    {
        private readonly Node _node;
        private readonly Peer _peer;

        public PlainRole(Node node, PresharedKey key, WireGuardGo other)
        {
            _node = node;
            _peer = new Peer(other.PublicKey, node.Time)
            {
                Addresses = [Address("10.77.0.1")], Online = true, NetworkMtu = 1420,
                Link = node.Links.Add(other.PublicKey, PresharedKeys.Of(key)),
            };
            _peer.Link.Owner = _peer;
            _peer.Link.Path = new PathAddress(new UdpEndpoint(IPAddress.Loopback, other.Port));
            node.Forwarding = ForwardingTable.Empty.WithOwn([new InterfaceAddress(Address("10.77.0.2"), 24)]).With(_peer.Prefixes, _peer);
        }

        public IEnumerable<Peer> Peers => [_peer];

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

        public Peer? OnLinkUp(Link link) => _peer;

        public void OnLinkLost(Peer peer)
        {
        }

        public void OnFrame(Peer peer, in ControlFrame frame)
        {
        }

        public void OnLinkWanted(Peer peer) => peer.Link!.RequestHandshake();

        /// <summary>wireguard-go answers no pings of ours.</summary>
        public bool IsProbed(Peer peer, Timestamp now) => false;

        public Timestamp RunTimers(Peer peer, Timestamp now) => _node.RunLink(peer, now);

        public Timestamp FinishTurn(Timestamp now) => Timestamp.Never;

        public PeerDiagnosis Diagnose(Peer peer) => new(string.Empty, string.Empty, [], null);

        public void Dispose()
        {
        }
    }
}
