using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.Loader;

namespace LightTunnel.ShellServer;

/// <summary>
/// The same for where pwsh's console does not work, as under Wine: only pwsh's engine, of this process.
/// <c>dotnet LightTunnel.ShellServer.dll PWSH FOLDER WIDTH MODULE...</c>, with the path of pwsh.dll and a folder that has
/// what pwsh takes from frameworks that are not here.
/// </summary>
internal static class Program
{
    private static int Main(string[] arguments)
    {
        var pwsh = new AssemblyDependencyResolver(arguments[0]);
        AssemblyLoadContext.Default.Resolving += (context, name) =>
        {
            string path = pwsh.ResolveAssemblyToPath(name) ?? Path.Combine(arguments[1], name.Name + ".dll");
            return File.Exists(path) ? context.LoadFromAssemblyPath(path) : null;
        };
        return Serve(int.Parse(arguments[2], CultureInfo.InvariantCulture), arguments[3..]);
    }

    // Compiled when it is called, and only then the engine's assemblies are looked for.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static int Serve(int width, string[] imports) => ServeLoop.Run(width, imports);
}
