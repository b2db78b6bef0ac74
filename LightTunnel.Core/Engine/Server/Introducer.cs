using LightTunnel.Membership;

namespace LightTunnel.Engine.Server;

/// <summary>
/// The server introduces members to each other, so that both try to reach each other directly at the same time: in small networks all of
/// them as soon as they have told how they may be reached, otherwise a pair when one of them asks. Owned by the control loop.
/// </summary>
/// <param name="screen">What of a member's candidates is passed on.</param>
internal sealed class Introducer(CandidateScreen screen)
{
    /// <summary>Networks of up to this many members online are introduced at once.</summary>
    public const int EagerUpTo = 32;

    /// <summary>
    /// A member has told how it may be reached: those it was introduced to before are told, and in a small network everybody.
    /// </summary>
    /// <param name="member">The member.</param>
    /// <param name="reachability">What it told.</param>
    /// <param name="others">Whom it is introduced to.</param>
    public void OnReachability(ServedClient member, Reachability reachability, IReadOnlyCollection<ServedClient> others)
    {
        ClientSession session = member.Session!;
        if (reachability.Equals(session.Reachability.Latest))
            return;
        session.Reachability.Set(reachability);
        if (!session.MayTellOthers())
            return; // Each time makes everybody send probes to endpoints that this member names. Who asks for it still learns the news.
        foreach (ServedClient other in others)
        {
            if (other != member)
                Introduce(member, other, withGuesses: true);
        }
    }

    /// <summary>
    /// A member asks to be introduced to another, and may tell how it is reached at this very moment; false when it may not ask now.
    /// </summary>
    public bool OnAsked(ServedClient member, ServedClient other, IntroduceMessage request)
    {
        if (other == member || !member.Session!.MayAskForIntroduction())
            return false;
        if (request.Reachability is { } reachability)
            member.Session.Reachability.Set(reachability);
        Introduce(member, other, request.WithGuesses);
        return true;
    }

    private void Introduce(ServedClient first, ServedClient second, bool withGuesses)
    {
        if (first.Session is not { Reachability: { Latest: { } toldByFirst } ofFirst, Registered: true }
            || second.Session is not { Reachability: { Latest: { } toldBySecond } ofSecond, Registered: true })
        {
            return;
        }

        // An introduction travels half a round trip: the nearer member waits for the difference, so that both begin together.
        TimeSpan lead = ((second.RoundTrip ?? TimeSpan.Zero) - (first.RoundTrip ?? TimeSpan.Zero)) / 2;
        // Who does not know its own NAT yet would guess in another way than the other counts with.
        bool isEarly = ofFirst.IsLookingAtNat || ofSecond.IsLookingAtNat;
        Guessing guessing = !withGuesses || isEarly
            ? Guessing.No
            : ofFirst.CanBeGuessed && ofSecond.CanBeGuessed ? Guessing.Now : Guessing.AfterPrediction;
        Tell(first, second, toldBySecond, lead, guessing);
        Tell(second, first, toldByFirst, -lead, guessing);
        if (guessing != Guessing.Now)
            return;
        ofFirst.UsePrediction();
        ofSecond.UsePrediction();
    }

    private void Tell(ServedClient member, ServedClient other, Reachability told, TimeSpan delay, Guessing guessing)
    {
        member.Session!.IntroducedTo.Add(other.Key);
        member.Session.Send(new IntroductionMessage
        {
            MemberId = other.MemberId,
            Reachability = screen.Pass(told, other.Path),
            Guessing = guessing,
            Delay = delay < TimeSpan.Zero
                ? TimeSpan.Zero
                : delay > IntroductionMessage.MaximumDelay ? IntroductionMessage.MaximumDelay : delay,
        });
    }
}
