using LightTunnel.Addressing;

namespace LightTunnel.Internet.Nats;

/// <summary>What becomes of packets from the inside to the NAT's own outside address (RFC 4787 section 6).</summary>
internal enum Hairpinning
{
    /// <summary>They are dropped.</summary>
    None,

    /// <summary>They come back with the sender's inside endpoint as their source.</summary>
    InternalSource,

    /// <summary>They come back with the sender's outside endpoint as their source, as REQ-9 asks.</summary>
    ExternalSource,
}

/// <summary>What a NAT does when its table is full.</summary>
internal enum FullTable
{
    /// <summary>Forgets the session that was unused for longest.</summary>
    EvictsOldest,

    /// <summary>Drops packets that need a new session.</summary>
    Refuses,
}

/// <summary>Whether a NAT forwards ports when inside hosts ask for it.</summary>
internal enum PortForwarding
{
    /// <summary>It does not answer.</summary>
    None,

    /// <summary>By NAT-PMP (RFC 6886).</summary>
    NatPmp,

    /// <summary>By PCP (RFC 6887) and by NAT-PMP.</summary>
    Pcp,
}

/// <summary>
/// How one NAT behaves, in the words of RFC 4787, which are also those in which a node tells what it has measured. Immutable; the defaults
/// are those of a common home router.
/// </summary>
internal sealed record NatSettings
{
    /// <summary>Mapping behaviour (section 4.1).</summary>
    public EndpointDependence Mapping { get; init; } = EndpointDependence.EndpointIndependent;

    /// <summary>Filtering behaviour (section 5).</summary>
    public EndpointDependence Filtering { get; init; } = EndpointDependence.AddressAndPortDependent;

    /// <summary>
    /// Port assignment (section 4.2): the inside port, and when that is taken the next one that is free; the last one plus
    /// <see cref="PortStep"/>, beginning anywhere; or any.
    /// </summary>
    public PortAssignment Assignment { get; init; } = PortAssignment.Preserving;

    /// <summary>
    /// From one port to the next that is assigned, upwards or downwards; only <see cref="PortAssignment.Sequential"/>. Not 0.
    /// </summary>
    public int PortStep { get; init; } = 1;

    /// <summary>Hairpinning behaviour (section 6).</summary>
    public Hairpinning Hairpinning { get; init; } = Hairpinning.ExternalSource;

    /// <summary>How long a UDP session lives unused (section 4.3; REQ-5 asks for two minutes at least).</summary>
    public TimeSpan UdpTimeout { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>How long a TCP session lives unused (RFC 5382 REQ-5).</summary>
    public TimeSpan TcpTimeout { get; init; } = TimeSpan.FromMinutes(124);

    /// <summary>How long an ICMP query session lives unused (RFC 5508 REQ-2).</summary>
    public TimeSpan IcmpTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>True when packets from outside keep a session alive too; those from inside always do (REQ-6).</summary>
    public bool RefreshesOnInbound { get; init; }

    /// <summary>Most sessions that are kept.</summary>
    public int Capacity { get; init; } = 4096;

    /// <summary>What happens when there would be more.</summary>
    public FullTable WhenFull { get; init; }

    /// <summary>Whether inside hosts can have ports forwarded.</summary>
    public PortForwarding Forwarding { get; init; }

    /// <summary>UDP flows that other machines inside begin per second, at random moments: each takes a port. 0 for none.</summary>
    public double OtherFlows { get; init; }

    /// <summary>
    /// Flows that they begin one after another within as many milliseconds, every ten seconds, as a page with many parts does. 0 for none.
    /// </summary>
    public int OtherBurst { get; init; }

    /// <summary>True for a firewall that lets no UDP pass in either direction.</summary>
    public bool BlocksUdp { get; init; }

    /// <summary>What a node behind it should measure, but for the address.</summary>
    public NatBehaviour Behaviour =>
        new(Mapping, Filtering, Assignment, Assignment == PortAssignment.Sequential ? PortStep : 0, NatPresence.Translated);

    /// <summary>The timeout of a protocol's sessions.</summary>
    public TimeSpan TimeoutOf(NatProtocol protocol) => protocol switch
    {
        NatProtocol.Udp => UdpTimeout,
        NatProtocol.Tcp => TcpTimeout,
        _ => IcmpTimeout,
    };
}

/// <summary>What a NAT translates.</summary>
internal enum NatProtocol
{
    /// <summary>UDP.</summary>
    Udp,

    /// <summary>TCP, by its endpoints only: sessions end by their timeout.</summary>
    Tcp,

    /// <summary>ICMP queries (RFC 5508 section 3.1): the identifier is the inside port, the remote port is 0.</summary>
    Icmp,
}

/// <summary>What a NAT did with a packet.</summary>
internal enum NatVerdict
{
    /// <summary>It passed, with one endpoint changed.</summary>
    Translated,

    /// <summary>It came from the inside and goes back there.</summary>
    Hairpinned,

    /// <summary>It was for a port without a mapping.</summary>
    NoMapping,

    /// <summary>There is a mapping, but its sender may not use it.</summary>
    Filtered,

    /// <summary>It was from the inside to the NAT's own outside address, which this one does not support.</summary>
    NoHairpinning,

    /// <summary>It would have needed a new session, and there was no room or no port for it.</summary>
    TableFull,

    /// <summary>Its protocol does not pass.</summary>
    Blocked,
}
