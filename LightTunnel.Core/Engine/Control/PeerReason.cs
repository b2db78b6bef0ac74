using LightTunnel.Routing;
using LightTunnel.Traversal;

namespace LightTunnel.Engine.Control;

/// <summary>Tells people why a peer is reached the way it is.</summary>
internal static class PeerReason
{
    /// <summary>Why a peer is reached the way it is.</summary>
    public static PathReason Of(Peer peer) => peer switch
    {
        { IsServer: true } => PathReason.IsServer,
        { IsForbidden: true, IsListedOnline: true } => PathReason.Policy,
        { Online: false } => PathReason.PeerOffline,
        { DirectPath: not null } or { UsedPath: null, IsDirectlyLinked: true } => PathReason.DirectUp,
        { UsedPath: not null } => PathReason.RelayIsBetter,
        { Traversal.IsDirectAllowed: false } => PathReason.Policy,
        { Traversal: null } => PathReason.WaitingForPeer,
        _ => peer.Traversal.State switch
        {
            TraversalState.WaitingForPeer => PathReason.WaitingForPeer,
            TraversalState.NoCandidates => PathReason.NoCandidates,
            TraversalState.Punching => PathReason.Punching,
            TraversalState.Lost => PathReason.PathLost,
            TraversalState.BothNatsRandom => PathReason.BothNatsRandom,
            // Where one side at least has a public address, nothing but a firewall is left.
            TraversalState.NoAnswer when peer.Traversal.LocalNat.IsPublic || peer.Traversal.RemoteNat.IsPublic => PathReason.UdpBlocked,
            TraversalState.NoAnswer => PathReason.NoAnswer,
            _ => PathReason.Unknown,
        },
    };
}
