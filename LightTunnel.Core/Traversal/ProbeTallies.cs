using LightTunnel.Addressing;

namespace LightTunnel.Traversal;

/// <summary>What was tried by one path since the two members were last introduced, and what came of it.</summary>
/// <param name="path">The path: an endpoint of the peer, or a relay.</param>
/// <param name="kind">How the endpoint came to be known; null for a relay.</param>
internal sealed class ProbeTally(PathAddress path, CandidateKind? kind)
{
    /// <summary>The path; of guesses the address alone.</summary>
    public PathAddress Path { get; } = path;

    /// <summary>How the endpoint came to be known; null for a relay.</summary>
    public CandidateKind? Kind { get; } = kind;

    /// <summary>Probes sent.</summary>
    public int Sent { get; private set; }

    /// <summary>Of them, answered by this very path.</summary>
    public int Answered { get; private set; }

    /// <summary>Probes of the peer that came by it: the peer's way here works.</summary>
    public int Heard { get; private set; }

    /// <summary>Shortest round trip, null until answered.</summary>
    public TimeSpan? Shortest { get; private set; }

    /// <summary>Longest round trip, null until answered.</summary>
    public TimeSpan? Longest { get; private set; }

    /// <summary>Mean round trip, null until answered.</summary>
    public TimeSpan? Mean => Answered == 0 ? null : _sum / Answered;

    private TimeSpan _sum;

    public void OnSent() => Sent++;

    public void OnHeard() => Heard++;

    public void OnAnswered(TimeSpan roundTrip)
    {
        Answered++;
        _sum += roundTrip;
        Shortest = Shortest < roundTrip ? Shortest : roundTrip;
        Longest = Longest > roundTrip ? Longest : roundTrip;
    }
}

/// <summary>
/// The record of an attempt, for people who want to know why two members are (not) direct. Bounded; ports that were merely guessed count
/// together. Owned by the control loop.
/// </summary>
internal sealed class ProbeTallies
{
    /// <summary>Most paths told apart.</summary>
    public const int MaximumCount = 64;

    private readonly Dictionary<PathAddress, ProbeTally> _tallies = [];

    /// <summary>By path, in the order in which they were first tried; guesses last.</summary>
    public IReadOnlyList<ProbeTally> All => Guesses is null ? [.. _tallies.Values] : [.. _tallies.Values, Guesses];

    /// <summary>Probes to ports that were guessed, all together; null when none were sent.</summary>
    public ProbeTally? Guesses { get; private set; }

    /// <summary>A new attempt begins.</summary>
    public void Clear()
    {
        _tallies.Clear();
        Guesses = null;
    }

    /// <summary>A probe was sent.</summary>
    public void OnSent(in PathAddress path, CandidateKind? kind) => Of(path, kind)?.OnSent();

    /// <summary>A probe to a guessed port was sent.</summary>
    public void OnGuess(in PathAddress path) =>
        (Guesses ??= new ProbeTally(new PathAddress(new UdpEndpoint(path.Endpoint.MappedAddress, 0)), CandidateKind.Predicted)).OnSent();

    /// <summary>A probe was answered.</summary>
    public void OnAnswered(in PathAddress path, TimeSpan roundTrip) => Of(path, KindOfUnknown(path))?.OnAnswered(roundTrip);

    /// <summary>The peer's probe came.</summary>
    public void OnHeard(in PathAddress path) => Of(path, KindOfUnknown(path))?.OnHeard();

    /// <summary>True when something was sent to the address in this attempt.</summary>
    public bool HasSentTo(UInt128 address)
    {
        if (Guesses is { } guesses && guesses.Path.Endpoint.MappedAddress == address)
            return true;
        foreach (ProbeTally tally in _tallies.Values)
        {
            if (tally.Sent > 0 && tally.Path.Endpoint.MappedAddress == address)
                return true;
        }

        return false;
    }

    /// <summary>An endpoint that nobody told of: whence the peer's probe came, or where a guess hit.</summary>
    private static CandidateKind? KindOfUnknown(in PathAddress path) => path.IsRelayed ? null : CandidateKind.PeerReflexive;

    private ProbeTally? Of(in PathAddress path, CandidateKind? kind)
    {
        if (_tallies.TryGetValue(path, out ProbeTally? tally) || _tallies.Count >= MaximumCount)
            return tally;
        tally = new ProbeTally(path, kind);
        _tallies.Add(path, tally);
        return tally;
    }
}
