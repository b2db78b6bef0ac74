using LightTunnel.Addressing;

namespace LightTunnel.Access;

/// <summary>
/// What a flow is known by, the same for packets of both directions: who is at each end, seen from this node, by which protocol, and at
/// which ports. Of what has no ports, what stands there instead: the id of an echo, or that of the packet that a fragment is of.
/// </summary>
internal readonly struct FlowKey : IEquatable<FlowKey>
{
    private const int KindShift = 8, FamilyShift = 16;

    public FlowKey(TunnelAddress peer, TunnelAddress own, byte protocol, uint ports, FlowKind kind = FlowKind.Packets)
    {
        PeerHigh = (ulong)(peer.Bits >> 64);
        PeerLow = (ulong)peer.Bits;
        OwnHigh = (ulong)(own.Bits >> 64);
        OwnLow = (ulong)own.Bits;
        Ports = ports;
        What = protocol | ((uint)kind << KindShift) | ((own.IsIPv4 ? 4u : 6u) << FamilyShift);
    }

    /// <summary>Halves of the addresses.</summary>
    public ulong PeerHigh { get; }

    /// <inheritdoc cref="PeerHigh"/>
    public ulong PeerLow { get; }

    /// <inheritdoc cref="PeerHigh"/>
    public ulong OwnHigh { get; }

    /// <inheritdoc cref="PeerHigh"/>
    public ulong OwnLow { get; }

    /// <summary>The peer's port in the upper half, this node's in the lower.</summary>
    public uint Ports { get; }

    /// <summary>Protocol, kind and family; never 0.</summary>
    public uint What { get; }

    /// <summary>IANA protocol number.</summary>
    public byte Protocol => (byte)What;

    /// <summary>What it is a flow of.</summary>
    public FlowKind Kind => (FlowKind)(byte)(What >> KindShift);

    /// <inheritdoc/>
    public bool Equals(FlowKey other) =>
        (((PeerHigh ^ other.PeerHigh) | (PeerLow ^ other.PeerLow) | (OwnHigh ^ other.OwnHigh) | (OwnLow ^ other.OwnLow))
            | (Ports ^ other.Ports) | (What ^ other.What)) == 0;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is FlowKey other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => (int)Hash(0);

    /// <summary>A number that spreads flows, and that nobody can tell who does not know the seed.</summary>
    public ulong Hash(ulong seed) =>
        Mix(Mix(Mix(Mix(Mix(seed, PeerHigh), PeerLow), OwnHigh), OwnLow), ((ulong)What << 32) | Ports);

    private static ulong Mix(ulong hash, ulong word)
    {
        const ulong Mixer = 0x9E37_79B9_7F4A_7C15;
        ulong high = Math.BigMul(hash ^ word ^ Mixer, Mixer, out ulong low);
        return high ^ low;
    }
}

/// <summary>What a flow is of.</summary>
internal enum FlowKind : byte
{
    /// <summary>Of packets between two ports.</summary>
    Packets,

    /// <summary>Of the fragments of one packet of the peer's.</summary>
    PeersFragments,

    /// <summary>Of the fragments of one packet of this node's.</summary>
    OwnFragments,
}
