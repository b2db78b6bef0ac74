using LightTunnel.Diagnostics;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.WireGuard;

/// <summary>A library that cannot be loaded, and what a person is told.</summary>
public sealed class SodiumLibraryTests
{
    [Fact]
    public void OnWindows_TheRedistributableIsNamed_AndWhereItIs()
    {
        LightTunnelException error = Fails(() => throw new DllNotFoundException("Unable to load DLL 'libsodium'"), isWindows: true);

        Assert.Contains("VCRUNTIME140.dll", error.Message, StringComparison.Ordinal);
        Assert.Contains("Visual C++ Redistributable", error.Message, StringComparison.Ordinal);
        Assert.Contains("https://aka.ms/vs/17/release/vc_redist.x64.exe", error.RecommendedAction, StringComparison.Ordinal);
        Assert.IsType<DllNotFoundException>(error.InnerException);
    }

    [Fact]
    public void Elsewhere_TheSystemsReasonIsNamed()
    {
        LightTunnelException error = Fails(() => throw new DllNotFoundException("libsodium.so: no such file"), isWindows: false);

        Assert.Contains("libsodium.so: no such file", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("Visual C++", error.Message + error.RecommendedAction, StringComparison.Ordinal);
    }

    [Fact]
    public void LibraryOfAnotherProcessorOrVersion_IsTheSameError()
    {
        Fails(() => throw new BadImageFormatException(), isWindows: true);
        Fails(() => throw new EntryPointNotFoundException(), isWindows: true);
        Fails(() => -1, isWindows: false);
    }

    [Fact]
    public void Library_ThatIsThere_IsNoError() => SodiumLibrary.Load(() => 1, isWindows: true);

    [Fact]
    public void Require_ThrowsTheReason_EachTime()
    {
        Assert.Equal(
            LightTunnelError.LibraryUnavailable, Assert.Throws<LightTunnelException>(() => SodiumLibrary.Require(typeof(Missing))).Error);
        Assert.Equal(
            LightTunnelError.LibraryUnavailable, Assert.Throws<LightTunnelException>(() => SodiumLibrary.Require(typeof(Missing))).Error);
    }

    private static LightTunnelException Fails(Func<int> initialize, bool isWindows)
    {
        var error = Assert.Throws<LightTunnelException>(() => SodiumLibrary.Load(initialize, isWindows));
        Assert.Equal(LightTunnelError.LibraryUnavailable, error.Error);
        Assert.NotEmpty(error.RecommendedAction);
        return error;
    }

    private static class Missing
    {
        static Missing() => SodiumLibrary.Load(() => throw new DllNotFoundException(), isWindows: true);
    }
}
