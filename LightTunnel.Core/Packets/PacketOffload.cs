namespace LightTunnel.Packets;

/// <summary>Into which kind of packets the system wants a super-packet cut, or had one merged from.</summary>
internal enum SegmentationKind : byte
{
    /// <summary>One packet as it goes over a wire.</summary>
    None,

    /// <summary>TCP segments over IPv4.</summary>
    TcpIPv4,

    /// <summary>TCP segments over IPv6.</summary>
    TcpIPv6,

    /// <summary>UDP datagrams over either family.</summary>
    Udp,
}

/// <summary>
/// The work on a packet that the system leaves to the device, or the device to the system: cutting into segments and completing a checksum.
/// The default is a plain packet with a complete checksum.
/// </summary>
internal readonly record struct PacketOffload
{
    /// <summary>Kind of segments.</summary>
    public SegmentationKind Kind { get; init; }

    /// <summary>True when the checksum field holds the pseudo header's sum only (uncomplemented), and the rest is to be added.</summary>
    public bool NeedsChecksum { get; init; }

    /// <summary>Payload bytes of each segment; the last may have fewer. 0 without segmentation.</summary>
    public ushort SegmentSize { get; init; }

    /// <summary>Where the bytes begin that the checksum covers, counted from the packet's first byte.</summary>
    public ushort ChecksumStart { get; init; }

    /// <summary>Where the checksum field stands, counted from <see cref="ChecksumStart"/>.</summary>
    public ushort ChecksumOffset { get; init; }

    /// <summary>Bytes of all headers, as a hint: right when this side writes it, not to be relied on when the system does.</summary>
    public ushort HeaderLength { get; init; }
}
