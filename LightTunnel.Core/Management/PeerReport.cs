using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Engine.Client;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Data;
using LightTunnel.Membership;
using LightTunnel.Routing;
using LightTunnel.Timing;
using LightTunnel.Tun;
using LightTunnel.WireGuard;

namespace LightTunnel.Management;

/// <summary>What the control loop knows of peers, as records for people and scripts. To be called on the control loop.</summary>
internal sealed class PeerReport(string tunnel, ITunDevice tun, TimeProvider time)
{
    /// <summary>Every peer, by address.</summary>
    public IReadOnlyList<PeerStatus> Peers(Node node) => Report(node, node.Peers);

    /// <summary>Every peer, and members that the node has not dealt with yet, by address.</summary>
    public IReadOnlyList<PeerStatus> Peers(Node node, IReadOnlyList<DirectoryEntry> listed)
    {
        IEnumerable<Peer> known = [.. node.Peers];
        HashSet<PublicKey> keys = [.. known.Select(peer => peer.Key)];
        keys.UnionWith(WithheldBy(node).Select(withheld => withheld.Entry.PublicKey));
        return Report(node, known.Concat(
            listed.Where(entry => !keys.Contains(entry.PublicKey)).Select(entry => Stranger(entry, entry.Online))));
    }

    /// <summary>Every route, by destination.</summary>
    public IReadOnlyList<RouteStatus> Routes(Node node)
    {
        ForwardingTable table = node.Forwarding;
        TunnelAddress[] server = node.Peers.FirstOrDefault(peer => peer.IsServer)?.Addresses ?? [];
        return
        [
            .. from route in table.Routes
               let peer = route.Value as Peer
               where peer is not null
               select Route(route.Key, peer, node.Role.Via(peer)?.Addresses ?? server, IsServerLost(node)),
        ];
    }

    private PeerStatus[] Report(Node node, IEnumerable<Peer> peers)
    {
        IEnumerable<(Peer Peer, bool IsWithheld)> withheld = WithheldBy(node).Select(member => ((Peer)Stranger(member.Entry, false), true));
        return
        [
            .. peers.Select(peer => (Peer: peer, IsWithheld: false)).Concat(withheld)
                .OrderBy(one => one.Peer.Addresses[0])
                .Select(one => one.IsWithheld ? Peer(node, one.Peer) with { PathReason = PathReason.KeyChanged } : Peer(node, one.Peer)),
        ];
    }

    private static IReadOnlyCollection<WithheldMember> WithheldBy(Node node) => node.Role is ClientRole client ? client.Withheld : [];

    /// <summary>A member that this node has nothing to do with.</summary>
    private Member Stranger(DirectoryEntry entry, bool online) => new(entry.PublicKey, time)
    {
        MemberId = entry.MemberId,
        Name = entry.Name,
        Addresses = [.. entry.Addresses],
        Version = entry.SoftwareVersion,
        IsListedOnline = online,
        Online = online,
        IsPlain = entry.IsPlain,
    };

    private PeerStatus Peer(Node node, Peer peer)
    {
        Link? link = peer.Link;
        var member = peer as Member;
        return new PeerStatus
        {
            Tunnel = tunnel,
            Name = peer.Name,
            Addresses = [.. peer.Addresses.Select(address => address.ToIPAddress())],
            PublicKey = peer.Key.ToString(),
            IsServer = peer.IsServer,
            IsPlain = peer.IsPlain,
            Path = peer.PathType,
            PathReason = peer.Reason,
            PathPolicy = member is not null && node.Role is ClientRole client ? client.PolicyOf(member) : PathPolicy.Auto,
            Via = node.Role.Via(peer)?.Name,
            NatType = (member?.Traversal?.RemoteNat ?? default).ClassicName,
            RelaysForOthers = member?.Traversal is { PeerWillingToRelay: true },
            Endpoint = EndpointOf(peer),
            RoundTrip = peer.Online ? peer.RoundTrip : null,
            Loss = peer.Online ? peer.Loss : null,
            Quality = peer.Quality,
            ReceivedBytes = link?.ReceivedBytes ?? 0,
            SentBytes = link?.SentBytes ?? 0,
            LastSeen = peer.LastReceivedTimestamp == Timestamp.NotYet ? null : time.GetUtcNow() - (time.Now() - peer.LastReceivedTimestamp),
            LastHandshake = link?.LastHandshake,
            Cipher = link?.Suite,
            Mtu = peer.Mtu,
            Routes = [.. peer.Addresses.Select(address => IpPrefix.Host(address).ToString())],
            Version = string.IsNullOrEmpty(peer.Version) ? null : peer.Version,
            WrongSourcePackets = Volatile.Read(ref peer.WrongSourcePackets),
        };
    }

    private RouteStatus Route(IpPrefix destination, Peer peer, TunnelAddress[] relay, bool isServerLost)
    {
        RouteType type = peer.PathType switch
        {
            PathType.Offline => RouteType.Offline,
            PathType.Lan or PathType.Direct => RouteType.Direct,
            PathType.Relay => RouteType.Relay,
            _ when peer.IsServer || relay.Length == 0 => RouteType.Direct,
            _ => RouteType.Server,
        };
        return new RouteStatus
        {
            Tunnel = tunnel,
            Destination = destination.ToString(),
            Type = type,
            NextHop = type == RouteType.Offline ? null : NextHop(destination, type == RouteType.Direct ? peer.Addresses : relay),
            Reason = peer.Reason,
            Peer = peer.Name,
            Endpoint = EndpointOf(peer),
            Hops = type switch { RouteType.Offline => null, RouteType.Direct => 0, _ => 1 },
            RoundTrip = peer.Online ? peer.RoundTrip : null,
            Loss = peer.Online ? peer.Loss : null,
            Quality = peer.Quality,
            State = isServerLost && (peer.IsServer || type == RouteType.Server) ? RouteState.Down : StateOf(peer),
            InterfaceName = tun.Name,
            InterfaceIndex = tun.InterfaceIndex,
            Updated = peer.Updated,
        };
    }

    /// <summary>What a client reaches through its server is not reached while that is lost, whatever was measured before.</summary>
    private static bool IsServerLost(Node node) => node is { Role: ClientRole, State: not TunnelState.Up };

    /// <summary>The node's address of the destination's kind; a node that has none of that kind is named by its first.</summary>
    private static IPAddress NextHop(IpPrefix destination, TunnelAddress[] addresses)
    {
        foreach (TunnelAddress address in addresses)
        {
            if (address.IsIPv4 == destination.Network.IsIPv4)
                return address.ToIPAddress();
        }

        return addresses[0].ToIPAddress();
    }

    /// <summary>A path is up when its probes are answered, here or, for a server's clients, at the other end.</summary>
    private static RouteState StateOf(Peer peer) =>
        !peer.Online ? RouteState.Offline
        : peer.IsPathProven ? RouteState.Up
        : peer.Monitor.IsDead ? RouteState.Down
        : RouteState.Unproven;

    private static IPEndPoint? EndpointOf(Peer peer)
    {
        UdpEndpoint endpoint = peer.Endpoint;
        return peer.Online && endpoint.IsSpecified ? endpoint.ToIPEndPoint() : null;
    }
}
