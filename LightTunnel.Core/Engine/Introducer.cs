using LightTunnel.Membership;
using LightTunnel.Transport;

namespace LightTunnel.Engine;

/// <summary>
/// The server introduces members to each other, so that both try to reach each other directly at the same time: in small networks all of them as
/// soon as they have told how they may be reached, otherwise a pair when one of them asks. Owned by the control loop.
/// </summary>
internal static class Introducer
{
    /// <summary>Networks of up to this many members online are introduced at once.</summary>
    public const int EagerUpTo = 32;

    /// <summary>A member has told how it may be reached: those it was introduced to before are told, and in a small network everybody.</summary>
    public static void OnReachability(Peer member, Reachability reachability, IReadOnlyCollection<Peer> online)
    {
        ControlSession session = member.Session!;
        if (reachability.Equals(session.Reachability))
            return;
        session.Reachability = reachability;
        if (!session.MayTellOthers())
            return; // Each time makes everybody send probes to endpoints that this member names. Who asks for it still learns the news.
        foreach (Peer other in online)
        {
            if (other != member && (online.Count <= EagerUpTo || session.IntroducedTo.Contains(other.MemberId)))
                Introduce(member, other);
        }
    }

    /// <summary>A member asks to be introduced to another.</summary>
    /// <param name="member">Who asks.</param>
    /// <param name="other">The other member, null when it is not online.</param>
    /// <param name="told">How the member may be reached for this introduction, null for as it told before.</param>
    public static void OnAsked(Peer member, Peer? other, Reachability? told)
    {
        if (other is not null && other != member && member.Session!.MayAskForIntroduction())
            Introduce(member, other, told);
    }

    private static void Introduce(Peer first, Peer second, Reachability? told = null)
    {
        if (first.Session is not { Reachability: not null, Registered: true } || second.Session is not { Reachability: not null, Registered: true })
            return;

        // An introduction travels half a round trip: the nearer member waits for the difference, so that both begin together.
        TimeSpan lead = ((second.RoundTrip ?? TimeSpan.Zero) - (first.RoundTrip ?? TimeSpan.Zero)) / 2;
        Tell(first, second, second.Session.Reachability, lead);
        Tell(second, first, told ?? first.Session.Reachability, -lead);
    }

    private static void Tell(Peer member, Peer other, Reachability told, TimeSpan delay)
    {
        member.Session!.IntroducedTo.Add(other.MemberId);
        member.Session.Send(new IntroductionMessage
        {
            MemberId = other.MemberId,
            Reachability = AsSeenFromHere(other, told),
            Delay = delay < TimeSpan.Zero ? TimeSpan.Zero : delay > IntroductionMessage.MaximumDelay ? IntroductionMessage.MaximumDelay : delay,
        });
    }

    /// <summary>What a member told of itself, and where the server sees its socket.</summary>
    private static Reachability AsSeenFromHere(Peer member, Reachability told)
    {
        UdpEndpoint seen = member.Path.Endpoint;
        if (!Candidate.IsUsable(seen) || told.Candidates.Any(candidate => candidate.Endpoint == seen))
            return told;
        return told with { Candidates = [.. told.Candidates.Take(Reachability.MaximumCandidates - 1), new Candidate(CandidateKind.ServerReflexive, seen)] };
    }
}
