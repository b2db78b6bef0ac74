using LightTunnel.Addressing;
using LightTunnel.Engine.Data;
using LightTunnel.Membership;
using LightTunnel.Timing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Control;

/// <summary>
/// What makes a node a server or a client: plugged into a <see cref="Node"/>, which calls it in each turn (the order is said there). All on
/// the control loop, except what <see cref="IRelayRules"/> says.
/// </summary>
internal interface INodeRole : IRelayRules, IDisposable
{
    /// <summary>Every peer that is known, the server included.</summary>
    IEnumerable<Peer> Peers { get; }

    /// <summary>Tells whoever should know that this node stops.</summary>
    void SayGoodbye();

    /// <summary>Hands out what is still to be saved; after the threads have ended.</summary>
    void FinishState()
    {
    }

    /// <summary>
    /// A handshake message arrived; it is to be given to <see cref="Node.Links"/>, with whom the role admits besides those that it has
    /// links with.
    /// </summary>
    void OnHandshake(ReadOnlySpan<byte> datagram, in PathAddress source);

    /// <summary>A link's initiation or keepalive is to be sent; false to have it sent by the link's path.</summary>
    bool TrySend(Link link, ReadOnlySpan<byte> datagram) => false;

    /// <summary>What came of a datagram of which that was to be told.</summary>
    void OnSendReport(SendReport report)
    {
    }

    /// <summary>A link has (new) keys. Returns the peer at its far end, or null when the link was removed.</summary>
    Peer? OnLinkUp(Link link);

    /// <summary>A link's handshake was given up, or its keys are too old.</summary>
    void OnLinkLost(Peer peer);

    /// <summary>A packet waits for a link to the peer: make one, and start its handshake.</summary>
    void OnLinkWanted(Peer peer);

    /// <summary>A packet waits for somebody who is no peer yet.</summary>
    void OnPacketForUnknown(RouteTarget target, ReadOnlySpan<byte> packet) => target.ReleaseStaged();

    /// <summary>A packet came, by whoever passes it on, from somebody who is no peer yet; its beginning is here.</summary>
    void OnPacketOfUnknown(ReadOnlySpan<byte> packet)
    {
    }

    /// <summary>A control frame of a conversation arrived; ping and pong are dealt with already.</summary>
    void OnFrame(Peer peer, in ControlFrame frame);

    /// <summary>The peer asked whether this node is there.</summary>
    void OnPinged(Peer peer)
    {
    }

    /// <summary>The peer answered a ping: it is there.</summary>
    void OnAnswered(Peer peer)
    {
    }

    /// <summary>The peer did not answer a ping in time.</summary>
    void OnMissed(Peer peer)
    {
    }

    /// <summary>A probe or answer arrived from somewhere; nothing about it is authenticated yet.</summary>
    void OnProbe(ReadOnlySpan<byte> datagram, in PathAddress source)
    {
    }

    /// <summary>The machine slept for a while, or its clock was set.</summary>
    void OnClockJump(TimeSpan jump)
    {
    }

    /// <summary>Where the server is reached, outside of the tunnel; none on a server.</summary>
    IReadOnlyList<UdpEndpoint> ServerEndpoints => [];

    /// <summary>True when the peer's path is to be asked now and then whether it is there.</summary>
    bool IsProbed(Peer peer, Timestamp now);

    /// <summary>What the role itself has to do for one peer, besides <see cref="Node.RunLink"/>; returns when to call again.</summary>
    Timestamp RunTimers(Peer peer, Timestamp now);

    /// <summary>The end of a turn, after all events; returns when to call again.</summary>
    Timestamp FinishTurn(Timestamp now);

    /// <summary>The member through which this peer is reached, or null.</summary>
    Peer? Via(Peer peer) => null;

    /// <summary>Begins an attempt to reach the peer directly, whatever was tried before; a server's clients always are.</summary>
    void TryDirect(Peer peer)
    {
    }

    /// <summary>True while the attempt that began at that time goes on.</summary>
    bool IsTryingDirect(Peer peer, Timestamp since) => false;

    /// <summary>
    /// Sends a probe by each path to the peer that is proven, and by the server's, whichever is in use; false when there is no server's.
    /// </summary>
    bool MeasurePaths(Peer peer) => false;

    /// <summary>What is known of the way to the peer.</summary>
    PeerDiagnosis Diagnose(Peer peer);
}
