namespace LightTunnel.WireGuard;

/// <summary>What became of a received transport message.</summary>
internal enum OpenResult
{
    /// <summary>A packet, still with its padding.</summary>
    Packet,

    /// <summary>An authentic, empty message.</summary>
    KeepAlive,

    /// <summary>Its index names no session.</summary>
    UnknownSession,

    /// <summary>It was seen before, or is too old to say.</summary>
    Replayed,

    /// <summary>It does not decrypt; the datagram's content is lost.</summary>
    Forged,

    /// <summary>Its keys are past their time.</summary>
    Expired,

    /// <summary>It is not a transport message.</summary>
    Malformed,
}

/// <summary>One message of a train, and what became of it.</summary>
internal struct OpenedMessage
{
    /// <summary>The counter that its header names.</summary>
    public ulong Counter;

    /// <summary>What became of it.</summary>
    public OpenResult Result;

    /// <summary>Offset of the packet from the start of the train.</summary>
    public int Offset;

    /// <summary>Bytes of the packet with its padding.</summary>
    public int Length;
}
