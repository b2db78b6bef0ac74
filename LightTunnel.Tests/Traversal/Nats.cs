using LightTunnel.Addressing;

namespace LightTunnel.Tests.Traversal;

/// <summary>The kinds of NAT that people have names for.</summary>
internal static class Nats
{
    public static NatBehaviour? Named(string name) => name switch
    {
        "Open" => null,
        "FullCone" => Cone(EndpointDependence.EndpointIndependent),
        "Restricted" => Cone(EndpointDependence.AddressDependent),
        "PortRestricted" => Cone(EndpointDependence.AddressAndPortDependent),
        "SymmetricSequential" => Symmetric(PortAssignment.Sequential, 1),
        "SymmetricStepDown" => Symmetric(PortAssignment.Sequential, -2),
        "SymmetricRandom" => Symmetric(PortAssignment.Random, 0),
        _ => throw new ArgumentOutOfRangeException(nameof(name)),
    };

    private static NatBehaviour Cone(EndpointDependence filtering) => new(EndpointDependence.EndpointIndependent, filtering, PortAssignment.Preserving);

    private static NatBehaviour Symmetric(PortAssignment allocation, int step) =>
        new(EndpointDependence.AddressAndPortDependent, EndpointDependence.AddressAndPortDependent, allocation, step);
}
