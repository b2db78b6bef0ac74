using LightTunnel.WireGuard.Vectors;
using Xunit;

namespace LightTunnel.Tests.WireGuard;

/// <summary>
/// The ways to compute that this processor has: on x86 with AVX-512 all of them, on Arm the portable one, which is AdvSimd there.
/// </summary>
internal static class VectorPaths
{
    public static TheoryData<string> OfThisProcessor =>
        [.. Enum.GetValues<VectorPath>().Where(path => path <= VectorChaCha20Poly1305.BestPath).Select(path => path.ToString())];
}
