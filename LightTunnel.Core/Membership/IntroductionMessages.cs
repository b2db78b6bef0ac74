using System.Diagnostics.CodeAnalysis;
using System.Formats.Cbor;
using LightTunnel.Addressing;

namespace LightTunnel.Membership;

/// <summary>What a node lets others know so that they can reach it directly.</summary>
internal sealed record Reachability
{
    /// <summary>Most candidates in one message.</summary>
    public const int MaximumCandidates = 16;

    /// <summary>Endpoints at which the node may be reachable, most promising first.</summary>
    public IReadOnlyList<Candidate> Candidates { get; init; } = [];

    /// <summary>What is known of the NAT before it.</summary>
    public NatBehaviour Nat { get; init; }

    /// <summary>True when it passes on datagrams for others.</summary>
    public bool IsRelay { get; init; }

    /// <summary>By value, candidates included.</summary>
    public bool Equals(Reachability? other) =>
        other is not null && Nat == other.Nat && IsRelay == other.IsRelay && Candidates.SequenceEqual(other.Candidates);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Candidates.Count, Nat, IsRelay);
}

/// <summary>A client tells the server how it may be reached; sent after registration and whenever it changes.</summary>
internal sealed record ReachabilityMessage : ControlMessage
{
    public required Reachability Reachability { get; init; }
}

/// <summary>A client wants to reach another member directly.</summary>
internal sealed record IntroduceMessage : ControlMessage
{
    /// <summary>The member to be introduced to.</summary>
    public required uint MemberId { get; init; }

    /// <summary>How the client may be reached at this very moment, when that is better known than what it told before; for this introduction only.</summary>
    public Reachability? Reachability { get; init; }

    /// <summary>True when ports may be guessed: both guess at the same time, or not at all.</summary>
    public bool WithGuesses { get; init; }
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
internal sealed record IntroductionMessage : ControlMessage
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
}

/// <summary>The encoding of <see cref="Reachability"/> and the messages that carry it; part of <see cref="ControlMessageCodec"/>.</summary>
internal static class IntroductionCodec
{
    private const int CandidatesKey = 10;
    private const int NatKey = 11;
    private const int RelayKey = 12;
    private const int GuessesKey = 13;
    private const int ReachabilityKeys = 3;

    public static void Write(CborWriter writer, int type, ReachabilityMessage message)
    {
        WriteHead(writer, type, 1 + CountOf(message.Reachability));
        Write(writer, message.Reachability);
        writer.WriteEndMap();
    }

    public static void Write(CborWriter writer, int type, IntroduceMessage message)
    {
        WriteHead(writer, type, 2 + (message.Reachability is { } told ? CountOf(told) : 0) + (message.WithGuesses ? 1 : 0));
        writer.WriteInt32(1);
        writer.WriteUInt32(message.MemberId);
        if (message.Reachability is { } reachability)
            Write(writer, reachability);
        if (message.WithGuesses)
        {
            writer.WriteInt32(GuessesKey);
            writer.WriteBoolean(true);
        }

        writer.WriteEndMap();
    }

    public static void Write(CborWriter writer, int type, IntroductionMessage message)
    {
        WriteHead(writer, type, 3 + CountOf(message.Reachability) + (message.Guessing == Guessing.No ? 0 : 1));
        writer.WriteInt32(1);
        writer.WriteUInt32(message.MemberId);
        writer.WriteInt32(2);
        writer.WriteInt32((int)message.Delay.TotalMilliseconds);
        Write(writer, message.Reachability);
        if (message.Guessing != Guessing.No)
        {
            writer.WriteInt32(GuessesKey);
            writer.WriteInt32((int)message.Guessing);
        }

        writer.WriteEndMap();
    }

    public static bool TryRead(CborMap map, [NotNullWhen(true)] out ReachabilityMessage? message)
    {
        message = TryRead(map, out Reachability? reachability) ? new ReachabilityMessage { Reachability = reachability } : null;
        return message is not null;
    }

    public static bool TryRead(CborMap map, [NotNullWhen(true)] out IntroduceMessage? message)
    {
        message = null;
        Reachability? reachability = null;
        if (!map.TryGetUInt32(1, Leases.FirstClientId, out uint member) || (map.Contains(CandidatesKey) && !TryRead(map, out reachability))
            || !map.TryGetFlag(GuessesKey, out bool withGuesses))
        {
            return false;
        }

        message = new IntroduceMessage { MemberId = member, Reachability = reachability, WithGuesses = withGuesses };
        return true;
    }

    public static bool TryRead(CborMap map, [NotNullWhen(true)] out IntroductionMessage? message)
    {
        message = null;
        if (!map.TryGetUInt32(1, Leases.FirstClientId, out uint member)
            || !map.TryGetInt(2, 0, (int)IntroductionMessage.MaximumDelay.TotalMilliseconds, out int delay)
            || !TryRead(map, out Reachability? reachability))
        {
            return false;
        }

        int guessing = (int)Guessing.No;
        if (map.Contains(GuessesKey) && !map.TryGetInt(GuessesKey, 0, int.MaxValue, out guessing))
            return false;
        message = new IntroductionMessage
        {
            MemberId = member,
            Delay = TimeSpan.FromMilliseconds(delay),
            Reachability = reachability,
            // A newer version's way of guessing is none that this one knows.
            Guessing = Enum.IsDefined((Guessing)guessing) ? (Guessing)guessing : Guessing.No,
        };
        return true;
    }

    private static void WriteHead(CborWriter writer, int type, int count)
    {
        writer.WriteStartMap(count);
        writer.WriteInt32(0);
        writer.WriteInt32(type);
    }

    private static int CountOf(Reachability reachability) => ReachabilityKeys - (reachability.IsRelay ? 0 : 1);

    private static void Write(CborWriter writer, Reachability reachability)
    {
        if (reachability.Candidates.Count > Reachability.MaximumCandidates)
            throw new ArgumentException($"A node has at most {Reachability.MaximumCandidates} candidates.", nameof(reachability));
        Span<byte> bytes = stackalloc byte[Math.Max(Candidate.MaximumSize, NatBehaviour.MaximumSize)];
        writer.WriteInt32(CandidatesKey);
        writer.WriteStartArray(reachability.Candidates.Count);
        foreach (Candidate candidate in reachability.Candidates)
            writer.WriteByteString(bytes[..candidate.Write(bytes)]);
        writer.WriteEndArray();
        writer.WriteInt32(NatKey);
        writer.WriteByteString(bytes[..reachability.Nat.Write(bytes)]);
        if (!reachability.IsRelay)
            return;
        writer.WriteInt32(RelayKey);
        writer.WriteBoolean(true);
    }

    private static bool TryRead(CborMap map, [NotNullWhen(true)] out Reachability? reachability)
    {
        reachability = null;
        if (!map.TryGetByteStrings(CandidatesKey, Reachability.MaximumCandidates, out IReadOnlyList<byte[]>? encoded)
            || !map.TryGetByteString(NatKey, NatBehaviour.MaximumSize, out byte[]? natBytes) || !NatBehaviour.TryRead(natBytes, out NatBehaviour nat)
            || !map.TryGetFlag(RelayKey, out bool isRelay))
        {
            return false;
        }

        // A candidate of a kind that this version does not know is skipped, not the whole list refused.
        var candidates = new List<Candidate>(encoded.Count);
        foreach (byte[] bytes in encoded)
        {
            if (Candidate.TryRead(bytes, out Candidate candidate))
                candidates.Add(candidate);
        }

        reachability = new Reachability { Candidates = candidates, Nat = nat, IsRelay = isRelay };
        return true;
    }
}
