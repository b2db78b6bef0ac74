using LightTunnel.Addressing;
using LightTunnel.Engine.Data;
using LightTunnel.Engine.Probing;
using LightTunnel.Timing;

namespace LightTunnel.Engine.Control;

/// <summary>The part of a node that tests run on.</summary>
internal abstract partial class Node
{
    /// <summary>Ids of pings from here on are never those of a <see cref="Routing.PathMonitor"/>, which counts from 1.</summary>
    private const uint FirstTestTransaction = 0x8000_0000;

    private readonly NodeTests _tests = new();
    private uint _testPings;

    /// <summary>Begins a test; control loop.</summary>
    public void Begin(NodeTest test)
    {
        _tests.Add(test);
        Wake();
    }

    /// <summary>Sends a ping of a test, by the path that the peer's link takes; lost when the link has no keys. Control loop.</summary>
    /// <param name="peer">Whom to ask.</param>
    /// <returns>What the pong is known by.</returns>
    public uint SendPing(Peer peer)
    {
        uint transaction = FirstTestTransaction | ++_testPings;
        if (peer.Link is { } link)
            SendFrame(link, ProbeReport.Ping(transaction, peer.Monitor));
        return transaction;
    }

    /// <summary>Sends a ping of a test that nobody on its way may cut in pieces, nor its pong. Control loop.</summary>
    /// <param name="peer">Whom to ask.</param>
    /// <param name="length">Length of the ping as an inner packet, bytes; the pong is as long, but no longer than a control frame.</param>
    /// <param name="transaction">What the pong is known by.</param>
    /// <returns>False when it is too long for this machine's own network.</returns>
    public bool TrySendLongPing(Peer peer, int length, out uint transaction)
    {
        transaction = FirstTestTransaction | ++_testPings;
        return peer.Link is not { } link
            || TrySendWholeFrame(link, ProbeReport.Ping(transaction, peer.Monitor, Math.Min(length, DataPlane.LongestControlDatagram)), length);
    }

    /// <summary>Has the peer's link set up, if it is not; control loop.</summary>
    public void WantLink(Peer peer)
    {
        if (peer.Link is not { HasSession: true })
            OnLinkWanted(peer);
    }

    /// <summary>Begins an attempt to reach the peer directly, whatever was tried before; a server's clients always are. Control loop.</summary>
    public virtual void TryDirect(Peer peer)
    {
    }

    /// <summary>True while the attempt that began at that time goes on; control loop.</summary>
    public virtual bool IsTryingDirect(Peer peer, Timestamp since) => false;

    /// <summary>
    /// Sends a probe by each path to the peer that is proven, and by the server's, whichever is in use; false when there is no server's. Control loop.
    /// </summary>
    public virtual bool MeasurePaths(Peer peer) => false;

    /// <summary>What is known of the way to the peer; control loop.</summary>
    public virtual PeerDiagnosis Diagnose(Peer peer) => new(default(NatBehaviour).ClassicName, (peer.Session?.Reachability.Latest?.Nat ?? default).ClassicName, [], null);
}
