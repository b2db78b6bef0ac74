using System.Runtime.InteropServices;
using Mono.Cecil;
using Xunit;

namespace LightTunnel.Tests.Architecture;

/// <summary>Where the module looks for native libraries: a tunnel runs as administrator, and loads nothing that others left.</summary>
public sealed class NativeLibraryTests
{
    /// <summary>Loaded by its full path, before any of its functions is called.</summary>
    private const string LoadedByPath = "wintun.dll";

    public static TheoryData<string> Assemblies =>
        [typeof(LightTunnel.Diagnostics.LightTunnelException).Assembly.Location, typeof(LtPeer).Assembly.Location];

    [Theory]
    [MemberData(nameof(Assemblies))]
    public void LibrariesOfWindows_AreLookedForInItsOwnFolderAlone(string assembly)
    {
        string[] wrong = [.. Imports(assembly)
            .Where(import => import.Library.EndsWith(".dll", StringComparison.OrdinalIgnoreCase) && import.Library != LoadedByPath)
            .Where(import => import.SearchPaths != DllImportSearchPath.System32)
            .Select(import => $"{import.Method.FullName} ({import.Library}): {import.SearchPaths}")];
        Assert.Empty(wrong);
    }

    [Fact]
    public void Engine_ImportsOfWindows_AreFound() =>
        Assert.Superset(
            new HashSet<string>(["iphlpapi.dll", "ws2_32.dll", "kernel32.dll"]),
            Imports(typeof(LightTunnel.Diagnostics.LightTunnelException).Assembly.Location).Select(import => import.Library).ToHashSet());

    private static IReadOnlyList<Import> Imports(string assembly)
    {
        using ModuleDefinition module = ModuleDefinition.ReadModule(assembly);
        return [.. from type in module.GetTypes()
            from method in type.Methods
            where method.HasPInvokeInfo
            select new Import(method, method.PInvokeInfo.Module.Name, SearchPathsOf(method))];
    }

    private static DllImportSearchPath? SearchPathsOf(MethodDefinition method) =>
        method.CustomAttributes.FirstOrDefault(attribute => attribute.AttributeType.Name == nameof(DefaultDllImportSearchPathsAttribute))
            is { } found ? (DllImportSearchPath)found.ConstructorArguments[0].Value : null;

    private sealed record Import(MethodDefinition Method, string Library, DllImportSearchPath? SearchPaths);
}
