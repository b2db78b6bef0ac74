using LightTunnel.Addressing;
using LightTunnel.Internet.Nats;

namespace LightTunnel.Tests.Traversal;

/// <summary>The kinds of NAT that tests of traversal name.</summary>
internal static class Nats
{
    /// <summary>How such a NAT is set; null for none.</summary>
    public static NatSettings? Named(string name) => name switch
    {
        "Open" => null,
        "FullCone" => Of(NatKind.FullCone),
        "Restricted" => Of(NatKind.RestrictedCone),
        "PortRestricted" => Of(NatKind.PortRestrictedCone),
        "SymmetricSequential" => Of(NatKind.SymmetricSequential),
        "SymmetricStepDown" => Of(NatKind.SymmetricSequential) with { PortStep = -2 },
        "SymmetricRandom" => Of(NatKind.SymmetricRandom),
        _ => throw new ArgumentOutOfRangeException(nameof(name)),
    };

    /// <summary>What a node behind such a NAT tells of it.</summary>
    public static NatBehaviour BehaviourOf(string name) => Named(name)!.Behaviour;

    private static NatSettings Of(NatKind kind) => NatKinds.Layers(kind)[0];
}
