using LightTunnel.Lab.Internet;

namespace LightTunnel.Tests.Simulation;

/// <summary>Which pairs of members must become direct.</summary>
internal static class DirectPairs
{
    private static readonly NatKind[] Cones =
        [NatKind.Open, NatKind.FullCone, NatKind.RestrictedCone, NatKind.PortRestrictedCone, NatKind.CarrierGrade, NatKind.SameLanNoHairpin];

    private static readonly NatKind[] Lenient = [NatKind.Open, NatKind.FullCone, NatKind.RestrictedCone];

    /// <summary>True when one outside endpoint serves for all remote ones: what the server sees is what members can use.</summary>
    public static bool IsCone(NatKind kind) => Cones.Contains(kind);

    /// <summary>True when two members in networks of these kinds, each in its own, must become direct.</summary>
    public static bool MustBeDirect(NatKind first, NatKind second) =>
        (IsCone(first) && IsCone(second)) || (IsSymmetric(first) && Lenient.Contains(second)) || (Lenient.Contains(first) && IsSymmetric(second));

    private static bool IsSymmetric(NatKind kind) => kind is NatKind.SymmetricSequential or NatKind.SymmetricRandom;
}
