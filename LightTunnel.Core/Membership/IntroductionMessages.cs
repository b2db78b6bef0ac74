using LightTunnel.Addressing;
using LightTunnel.Membership.Cbor;

namespace LightTunnel.Membership;

/// <summary>What a node lets others know so that they can reach it directly.</summary>
internal sealed record Reachability : ICborRecord<Reachability>
{
    /// <summary>Most candidates in one message.</summary>
    public const int MaximumCandidates = 16;

    /// <summary>The key by which it is known that a message tells of reachability.</summary>
    public const int FirstKey = 10;

    /// <summary>Endpoints at which the node may be reachable, most promising first.</summary>
    public IReadOnlyList<Candidate> Candidates { get; init; } = [];

    /// <summary>What is known of the NAT before it.</summary>
    public NatBehaviour Nat { get; init; }

    /// <summary>True when it passes on datagrams for others.</summary>
    public bool IsRelay { get; init; }

    /// <inheritdoc/>
    public static Reachability Exchange(CborFields<Reachability> fields) => new()
    {
        Candidates = fields.Required(
            FirstKey, "candidates", m => m.Candidates, FieldKinds.ArrayOfKnown(FieldKinds.Candidate, MaximumCandidates)),
        Nat = fields.Required(11, "NAT", m => m.Nat, FieldKinds.NatBehaviour),
        IsRelay = fields.Optional(12, "relays", m => m.IsRelay, FieldKinds.Flag),
    };

    /// <summary>By value, candidates included.</summary>
    public bool Equals(Reachability? other) =>
        other is not null && Nat == other.Nat && IsRelay == other.IsRelay && Candidates.SequenceEqual(other.Candidates);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Candidates.Count, Nat, IsRelay);
}

/// <summary>A client tells the server how it may be reached; sent after registration and whenever it changes.</summary>
internal sealed record ReachabilityMessage : ControlMessage, ICborRecord<ReachabilityMessage>
{
    public required Reachability Reachability { get; init; }

    /// <inheritdoc/>
    public static ReachabilityMessage Exchange(CborFields<ReachabilityMessage> fields) => new()
    {
        Reachability = fields.Part(m => m.Reachability),
    };
}

/// <summary>A client wants to reach another member directly.</summary>
internal sealed record IntroduceMessage : ControlMessage, ICborRecord<IntroduceMessage>
{
    /// <summary>The member to be introduced to.</summary>
    public required uint MemberId { get; init; }

    /// <summary>
    /// How the client may be reached at this very moment, when that is better known than what it told before; for this introduction only.
    /// </summary>
    public Reachability? Reachability { get; init; }

    /// <summary>True when ports may be guessed: both guess at the same time, or not at all.</summary>
    public bool WithGuesses { get; init; }

    /// <inheritdoc/>
    public static IntroduceMessage Exchange(CborFields<IntroduceMessage> fields) => new()
    {
        MemberId = fields.Required(1, "member id", m => m.MemberId, FieldKinds.ClientId),
        Reachability = fields.OptionalPart(Reachability.FirstKey, m => m.Reachability),
        WithGuesses = fields.Optional(13, "with guesses", m => m.WithGuesses, FieldKinds.Flag),
    };
}

/// <summary>Whether ports are guessed after an introduction; both members are told the same. The values are those on the wire.</summary>
internal enum Guessing
{
    /// <summary>They are not.</summary>
    No = 0,

    /// <summary>They will be: who has sequential ports finds out its next one, and asks to be introduced again with that.</summary>
    AfterPrediction = 1,

    /// <summary>Now, by both at once.</summary>
    Now = 2,
}

/// <summary>The server introduces two members to each other, to both at the same time.</summary>
internal sealed record IntroductionMessage : ControlMessage, ICborRecord<IntroductionMessage>
{
    /// <summary>Longest wait that a server may ask for.</summary>
    public static readonly TimeSpan MaximumDelay = TimeSpan.FromSeconds(2);

    /// <summary>The other member.</summary>
    public required uint MemberId { get; init; }

    /// <summary>How it may be reached.</summary>
    public required Reachability Reachability { get; init; }

    /// <summary>When to begin, counted from now: the nearer member waits, so that both begin together.</summary>
    public TimeSpan Delay { get; init; }

    /// <summary>Whether ports are guessed.</summary>
    public Guessing Guessing { get; init; }

    /// <inheritdoc/>
    public static IntroductionMessage Exchange(CborFields<IntroductionMessage> fields) => new()
    {
        MemberId = fields.Required(1, "member id", m => m.MemberId, FieldKinds.ClientId),
        Delay = fields.Required(2, "milliseconds to wait", m => m.Delay, FieldKinds.Milliseconds(MaximumDelay)),
        Reachability = fields.Part(m => m.Reachability),
        Guessing = fields.Optional(13, "guessing", m => m.Guessing, FieldKinds.OneOf(Guessing.No)),
    };
}
