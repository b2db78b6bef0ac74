using LightTunnel.Addressing;

namespace LightTunnel.Internet.Nats;

/// <summary>FieldKinds of networks that a host can be in, under the names that people use.</summary>
internal enum NatKind
{
    /// <summary>A public address.</summary>
    Open,

    /// <summary>Everybody who knows the mapping may send.</summary>
    FullCone,

    /// <summary>Addresses that were sent to may send.</summary>
    RestrictedCone,

    /// <summary>Endpoints that were sent to may send.</summary>
    PortRestrictedCone,

    /// <summary>A mapping for each remote endpoint, with ports one after another.</summary>
    SymmetricSequential,

    /// <summary>A mapping for each remote endpoint, with ports at random.</summary>
    SymmetricRandom,

    /// <summary>A home router behind the provider's own NAT (RFC 6888).</summary>
    CarrierGrade,

    /// <summary>A port-restricted home router that does not hairpin: for several hosts in one local network.</summary>
    SameLanNoHairpin,

    /// <summary>A firewall that lets TCP and ICMP out, but no UDP.</summary>
    UdpBlocked,
}

/// <summary>The settings of the NATs that make up each <see cref="NatKind"/>.</summary>
internal static class NatKinds
{
    /// <summary>All kinds.</summary>
    public static IReadOnlyList<NatKind> All { get; } = Enum.GetValues<NatKind>();

    /// <summary>The NATs between a host and the internet, the host's own first: none, one or two.</summary>
    public static IReadOnlyList<NatSettings> Layers(NatKind kind) => kind switch
    {
        NatKind.Open => [],
        NatKind.FullCone => [new NatSettings { Filtering = EndpointDependence.EndpointIndependent }],
        NatKind.RestrictedCone => [new NatSettings { Filtering = EndpointDependence.AddressDependent }],
        NatKind.PortRestrictedCone => [new NatSettings()],
        NatKind.SymmetricSequential => [Symmetric(PortAssignment.Sequential)],
        NatKind.SymmetricRandom => [Symmetric(PortAssignment.Random)],
        NatKind.CarrierGrade => [new NatSettings(), new NatSettings { Assignment = PortAssignment.Random }],
        NatKind.SameLanNoHairpin => [new NatSettings { Hairpinning = Hairpinning.None }],
        NatKind.UdpBlocked => [new NatSettings { BlocksUdp = true }],
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "There is no such kind of NAT."),
    };

    /// <summary>
    /// True when two hosts in different networks of these kinds can be made to talk directly: always but where nothing passes, and where
    /// both sides give each remote endpoint another port, one of them at random. (The other's port can then be predicted, but each datagram
    /// of the random side hits with one chance in 64,512: tens of thousands would be needed, each of which takes a mapping of its router.)
    /// </summary>
    public static bool CanBeDirect(NatKind first, NatKind second)
    {
        bool bothSymmetric = IsSymmetric(first) && IsSymmetric(second);
        bool isRandom = first == NatKind.SymmetricRandom || second == NatKind.SymmetricRandom;
        return first != NatKind.UdpBlocked && second != NatKind.UdpBlocked && !(bothSymmetric && isRandom);
    }

    private static bool IsSymmetric(NatKind kind) => kind is NatKind.SymmetricSequential or NatKind.SymmetricRandom;

    private static NatSettings Symmetric(PortAssignment assignment) =>
        new() { Mapping = EndpointDependence.AddressAndPortDependent, Assignment = assignment, Hairpinning = Hairpinning.None };
}
