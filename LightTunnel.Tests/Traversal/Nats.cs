using LightTunnel.Transport;

namespace LightTunnel.Tests.Traversal;

/// <summary>The kinds of NAT that people have names for.</summary>
internal static class Nats
{
    public static NatBehaviour? Named(string name) => name switch
    {
        "Open" => null,
        "FullCone" => Cone(NatDependence.EndpointIndependent),
        "Restricted" => Cone(NatDependence.AddressDependent),
        "PortRestricted" => Cone(NatDependence.AddressAndPortDependent),
        "SymmetricSequential" => Symmetric(PortAllocation.Sequential, 1),
        "SymmetricStepDown" => Symmetric(PortAllocation.Sequential, -2),
        "SymmetricRandom" => Symmetric(PortAllocation.Random, 0),
        _ => throw new ArgumentOutOfRangeException(nameof(name)),
    };

    private static NatBehaviour Cone(NatDependence filtering) => new(NatDependence.EndpointIndependent, filtering, PortAllocation.Preserving);

    private static NatBehaviour Symmetric(PortAllocation allocation, int step) =>
        new(NatDependence.AddressAndPortDependent, NatDependence.AddressAndPortDependent, allocation, step);
}
