using LightTunnel.Addressing;

namespace LightTunnel.Traversal;

/// <summary>A probe to be sealed (<see cref="PeerTraversal.Seal"/>) and sent.</summary>
/// <param name="Path">By which path.</param>
/// <param name="Transaction">What its answer is known by.</param>
/// <param name="Flags">What it says.</param>
internal readonly record struct OutgoingProbe(PathAddress Path, uint Transaction, ProbeFlags Flags);

/// <summary>What came of a datagram.</summary>
internal enum ProbeOutcome
{
    /// <summary>A forgery or a repetition: dropped without an answer.</summary>
    Rejected,

    /// <summary>A probe; its answer was written and goes back to where it came from, by the socket it came to.</summary>
    Answered,

    /// <summary>The answer to one of our probes.</summary>
    AnswerTaken,

    /// <summary>An answer that nothing waits for.</summary>
    Ignored,
}

/// <summary>How the attempt to reach a peer directly stands.</summary>
internal enum TraversalState
{
    /// <summary>The peer's endpoints are not known yet.</summary>
    WaitingForPeer,

    /// <summary>Neither side has an endpoint that the other could try.</summary>
    NoCandidates,

    /// <summary>Probes of a plan are on their way, or the common start is awaited.</summary>
    Punching,

    /// <summary>A direct path is proven.</summary>
    Proven,

    /// <summary>A direct path was proven and went silent; attempts go on.</summary>
    Lost,

    /// <summary>Nothing answered; attempts go on, more slowly each time.</summary>
    NoAnswer,

    /// <summary>As <see cref="NoAnswer"/> or <see cref="Lost"/>, and both NATs' ports are such that only luck would help.</summary>
    BothNatsRandom,
}
