using System.Net;

namespace LightTunnel.Diagnostics;

/// <summary>
/// The lines that users were promised, in exactly these words: people search logs for them. Never change one.
/// Endpoints are as <see cref="IPEndPoint"/> writes them, addresses without prefix length.
/// </summary>
internal static class ContractLog
{
    /// <summary>A route straight to the peer, as the statistics call it.</summary>
    public const string RouteDirect = "P2P-DIRECT";

    /// <summary>A route through another client.</summary>
    public const string RouteRelay = "P2P-RELAY";

    /// <summary>A route through the server.</summary>
    public const string RouteServer = "SERVER-RELAY";

    /// <summary>A direct path within the local network.</summary>
    public const string StatusLocal = "connected-local";

    /// <summary>A direct path through the public network, or through another client.</summary>
    public const string StatusConnected = "connected";

    /// <summary>No path of the peer's own.</summary>
    public const string StatusDisconnected = "disconnected";

    public static void PeerInfoReceived(this TunnelLog log, IPAddress peer, IPEndPoint publicEndpoint, IPEndPoint? localEndpoint) =>
        log.Information(
            "Received peer info from server: {Peer} at {Endpoint} (local: {LocalEndpoint})", peer, publicEndpoint,
            localEndpoint ?? (object)"none");

    public static void P2PEstablished(this TunnelLog log, IPAddress peer, IPEndPoint endpoint) =>
        log.Information("P2P connection established with {Peer} via {Endpoint}", peer, endpoint);

    public static void DirectRouteEstablished(this TunnelLog log, IPAddress peer) =>
        log.Information("✓ P2P direct route established to {Peer} (via server broadcast)", peer);

    public static void P2PNotEstablished(this TunnelLog log, IPAddress peer) =>
        log.Information("⚠ P2P connection to {Peer} not established, will use server relay", peer);

    /// <summary>The head of the statistics; one <see cref="RoutingStatsOfPeer"/> per peer follows. The server is not counted.</summary>
    public static void RoutingStats(this TunnelLog log, int peers, int direct, int relay, int server) =>
        log.Information("Routing stats: {Peers} peers, {Direct} direct, {Relay} relay, {Server} server", peers, direct, relay, server);

    /// <param name="log">The log.</param>
    /// <param name="peer">The peer's tunnel address.</param>
    /// <param name="route"><see cref="RouteDirect"/>, <see cref="RouteRelay"/> or <see cref="RouteServer"/>.</param>
    /// <param name="quality">0..150.</param>
    /// <param name="status"><see cref="StatusLocal"/>, <see cref="StatusConnected"/> or <see cref="StatusDisconnected"/>.</param>
    /// <param name="throughServer">True when packets travel through the server.</param>
    public static void RoutingStatsOfPeer(
        this TunnelLog log, IPAddress peer, string route, int quality, string status, bool throughServer) =>
        log.Information(
            "  Peer {Peer}: route={Route} quality={Quality} status={Status} throughServer={ThroughServer}",
            peer, route, quality, status, throughServer ? "true" : "false");

    /// <summary>Server, Debug; the caller samples it and asks <see cref="TunnelLog.IsEnabled"/> first.</summary>
    public static void Relaying(this TunnelLog log, IPAddress from, IPAddress to) =>
        log.Debug("Relaying packet {Source} → {Destination} (server relay mode)", from, to);

    /// <summary>The caller limits its rate.</summary>
    public static void PacketForServerItself(this TunnelLog log, IPAddress destination) =>
        log.Warning(
            "WARNING: Unexpected packet from TUN destined for server itself (dstIP={Destination}). This might indicate a routing loop.",
            destination);
}
