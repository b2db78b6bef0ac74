using System.Management.Automation;
using System.Reflection;
using System.Runtime.Loader;

namespace LightTunnel;

/// <summary>
/// Lets the engine and its packages live in a context of their own, so that other modules of the session can use other versions of the
/// same packages. PowerShell calls this once per process, before it looks at the commands; the answer stays for later imports.
/// </summary>
public sealed class EngineLoader : IModuleAssemblyInitializer
{
    private static readonly Lazy<EngineLoadContext> Context = new(() => new EngineLoadContext());

    /// <inheritdoc/>
    public void OnImport() => AssemblyLoadContext.Default.Resolving += ResolveEngine;

    private static Assembly? ResolveEngine(AssemblyLoadContext context, AssemblyName name) =>
        name.Name == EngineLoadContext.EngineName ? Context.Value.LoadFromAssemblyName(name) : null;

    /// <summary>Loads what lies in the folder "Engine" beside this assembly, which the default context never looks into.</summary>
    private sealed class EngineLoadContext : AssemblyLoadContext
    {
        public const string EngineName = "LightTunnel.Core";

        private readonly AssemblyDependencyResolver _resolver = new(Path.Combine(
            Path.GetDirectoryName(typeof(EngineLoader).Assembly.Location)!, "Engine", EngineName + ".dll"));

        public EngineLoadContext()
            : base("LightTunnel", isCollectible: false)
        {
        }

        /// <summary>Null leaves the framework's own assemblies to the default context.</summary>
        protected override Assembly? Load(AssemblyName assemblyName) =>
            _resolver.ResolveAssemblyToPath(assemblyName) is { } path ? LoadFromAssemblyPath(path) : null;

        protected override nint LoadUnmanagedDll(string unmanagedDllName) =>
            _resolver.ResolveUnmanagedDllToPath(unmanagedDllName) is { } path ? LoadUnmanagedDllFromPath(path) : 0;
    }
}
