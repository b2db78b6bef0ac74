using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Engine.Client;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Data;
using LightTunnel.Engine.Server;
using LightTunnel.Membership;
using LightTunnel.Membership.Signing;
using LightTunnel.Routing;
using LightTunnel.Timing;
using LightTunnel.Tun;
using LightTunnel.WireGuard;

namespace LightTunnel.Management;

/// <summary>What the control loop knows of peers, as records for people and scripts. To be called on the control loop.</summary>
internal sealed class PeerReport(string tunnel, ITunDevice tun, TimeProvider time)
{
    /// <summary>Every peer, by address.</summary>
    public IReadOnlyList<PeerStatus> Peers(Node node) => Report(node, node.Peers, []);

    /// <summary>Every peer, and members that the node has not dealt with yet, by address.</summary>
    /// <param name="node">The node.</param>
    /// <param name="listed">The members, and how things stand with their signatures.</param>
    public IReadOnlyList<PeerStatus> Peers(Node node, IReadOnlyList<(DirectoryEntry Entry, SignatureState State)> listed)
    {
        IEnumerable<Peer> known = [.. node.Peers];
        HashSet<PublicKey> keys = [.. known.Select(peer => peer.Key)];
        keys.UnionWith(WithheldBy(node).Select(withheld => withheld.Entry.PublicKey));
        return Report(node, known, [.. listed.Where(one => !keys.Contains(one.Entry.PublicKey))]);
    }

    /// <summary>Every route, by destination.</summary>
    public IReadOnlyList<RouteStatus> Routes(Node node)
    {
        ForwardingTable table = node.Forwarding;
        TunnelAddress[] server = node.Peers.FirstOrDefault(peer => peer.IsServer)?.Addresses ?? [];
        IEnumerable<SubnetReport> members = from route in table.Routes
                                            let peer = route.Value as Peer
                                            where peer is not null
                                            select new SubnetReport(route.Key, peer, RouteStanding.Active);
        return
        [
            .. members.Select(route => (Route: route, IsSubnet: false))
                .Concat(SubnetsOf(node).Select(route => (Route: route, IsSubnet: true)))
                .OrderBy(one => one.Route.Prefix.Network).ThenBy(one => one.Route.Prefix.Length)
                .Select(one => Describe(node, one.Route, server) with { IsSubnet = one.IsSubnet }),
        ];
    }

    /// <summary>
    /// Networks behind nodes. A server knows what its members offer, whether or not it is approved, and itself takes what it accepts; a
    /// client knows what is approved, and what it offers itself.
    /// </summary>
    private static IEnumerable<SubnetReport> SubnetsOf(Node node)
    {
        IReadOnlyList<SubnetReport> taken = node.Subnets.Report();
        if (node.Role is ClientRole client)
            return taken.Concat(client.Routes.Report());
        if (node.Role is not ServerRole server)
            return taken;
        ILookup<(Peer?, IpPrefix), SubnetReport> known = taken.ToLookup(report => (report.Peer, report.Prefix));
        IEnumerable<SubnetReport> own = node.Subnets.Own.Select(prefix => new SubnetReport(
            prefix, null, RouteStanding.Approved, SubnetRoutes.WhatApprovedMeans(prefix)));
        return own.Concat(server.Routes.List().Select(offer => known[(offer.Peer, offer.Prefix)].FirstOrDefault(
            report => report.Standing != RouteStanding.NotAccepted)
            ?? new SubnetReport(offer.Prefix, offer.Peer, offer.Standing, offer.Reason, offer.Remedy)));
    }

    private RouteStatus Describe(Node node, SubnetReport route, TunnelAddress[] server)
    {
        RouteStatus status = route.Peer is { } peer
            ? Route(route.Prefix, peer, node.Role.Via(peer)?.Addresses ?? server, IsServerLost(node))
            : new RouteStatus
            {
                Tunnel = tunnel, Destination = route.Prefix.ToString(), Type = RouteType.Own, Reason = PathReason.DirectUp, Peer = tunnel,
                State = RouteState.Up, InterfaceName = tun.Name, InterfaceIndex = tun.InterfaceIndex, Updated = time.GetUtcNow(),
                PublicKey = node.Links.PublicKey.ToString(),
            };
        return status with { Standing = route.Standing, StandingReason = route.Reason, RecommendedAction = route.Remedy };
    }

    private PeerStatus[] Report(Node node, IEnumerable<Peer> peers, IReadOnlyList<(DirectoryEntry Entry, SignatureState State)> strangers)
    {
        IEnumerable<PeerStatus> known = peers.OrderBy(peer => peer.Addresses[0]).Select(peer => Peer(node, peer));
        IEnumerable<PeerStatus> withheld = WithheldBy(node).Select(
            member => Peer(node, Stranger(member.Entry, false)) with
            {
                PathReason = member.Reason, Signature = member.State, SignedUntil = EndOf(member.Entry, member.State),
            });
        IEnumerable<PeerStatus> others = strangers.Select(
            one => one.State is SignatureState.Valid or SignatureState.NotRequired
                ? Peer(node, Stranger(one.Entry, one.Entry.Online)) with
                {
                    Signature = one.State, SignedUntil = EndOf(one.Entry, one.State),
                }
                : Peer(node, Stranger(one.Entry, false)) with { PathReason = PathReason.NotSigned, Signature = one.State });
        PeerStatus[] all = [.. known, .. withheld, .. others];
        return [.. all.OrderBy(one => TunnelAddress.FromIPAddress(one.Addresses[0]))];
    }

    private static DateTimeOffset? EndOf(DirectoryEntry entry, SignatureState state) =>
        state is SignatureState.Valid or SignatureState.Expired ? entry.Signature?.Expires : null;

    /// <summary>Members that are none at a client, and why.</summary>
    private static IEnumerable<(DirectoryEntry Entry, PathReason Reason, SignatureState State)> WithheldBy(Node node)
    {
        if (node.Role is not ClientRole client)
            return [];
        SignatureState signed = client.Signed.Trust.IsRequired ? SignatureState.Valid : SignatureState.NotRequired;
        return client.Withheld.Select(member => (member.Entry, PathReason.KeyChanged, signed))
            .Concat(client.Signed.Withheld.Select(member => (member.Entry, PathReason.NotSigned, member.State)));
    }

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
            Routes = [.. peer.Addresses.Select(IpPrefix.Host).Concat(peer.Taken).Select(prefix => prefix.ToString())],
            Version = string.IsNullOrEmpty(peer.Version) ? null : peer.Version,
            WrongSourcePackets = Volatile.Read(ref peer.WrongSourcePackets),
            Signature = member is not null && node.Role is ClientRole { Signed.Trust.IsRequired: true }
                ? SignatureState.Valid
                : SignatureState.NotRequired,
            SignedUntil = member is not null && node.Role is ClientRole signed ? signed.Signed.EndOf(member.Key) : null,
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
            PublicKey = peer.Key.ToString(),
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
