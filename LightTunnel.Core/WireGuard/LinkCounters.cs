namespace LightTunnel.WireGuard;

/// <summary>What a <see cref="LinkTable"/> counts.</summary>
internal enum LinkEvent
{
    /// <summary>Initiations sent.</summary>
    InitiationSent,

    /// <summary>Initiations answered.</summary>
    InitiationAccepted,

    /// <summary>Responses accepted.</summary>
    ResponseAccepted,

    /// <summary>Cookie replies sent, under load.</summary>
    CookieSent,

    /// <summary>Cookie replies accepted from a peer under load.</summary>
    CookieAccepted,

    /// <summary>Handshakes given up without an answer.</summary>
    HandshakeGivenUp,

    /// <summary>Strangers that were admitted and never confirmed, or gave way to newer ones.</summary>
    StrangerRemoved,

    /// <summary>Dropped: type or length of no known message.</summary>
    Malformed,

    /// <summary>Dropped: the sender does not know this node's public key.</summary>
    InvalidMac1,

    /// <summary>Dropped under load: one source address sent too many.</summary>
    SourceLimited,

    /// <summary>Dropped: an initiation that does not decrypt.</summary>
    InitiationForged,

    /// <summary>Dropped: the initiator is unknown and was not admitted.</summary>
    PeerRefused,

    /// <summary>Dropped: an initiation's time stamp is not newer than the last one's.</summary>
    InitiationReplayed,

    /// <summary>Dropped: initiations of one peer less than 20 ms apart.</summary>
    InitiationFlood,

    /// <summary>Dropped: answer to no pending handshake.</summary>
    UnknownHandshake,

    /// <summary>Dropped: a response that does not decrypt, as with a wrong pre-shared key.</summary>
    ResponseForged,

    /// <summary>Dropped: a cookie reply that does not decrypt.</summary>
    CookieForged,

    /// <summary>Dropped: transport data for no session.</summary>
    UnknownSession,

    /// <summary>Dropped: transport data seen before, or too old.</summary>
    DataReplayed,

    /// <summary>Dropped: transport data that does not decrypt.</summary>
    DataForged,

    /// <summary>Dropped: transport data under keys past their time.</summary>
    DataExpired,
}

/// <summary>Counts by event; any thread.</summary>
internal sealed class LinkCounters
{
    private readonly long[] _counts = new long[Enum.GetValues<LinkEvent>().Length];

    /// <summary>How often it has happened.</summary>
    public long this[LinkEvent kind] => Volatile.Read(ref _counts[(int)kind]);

    internal void Increment(LinkEvent kind) => Interlocked.Increment(ref _counts[(int)kind]);
}
