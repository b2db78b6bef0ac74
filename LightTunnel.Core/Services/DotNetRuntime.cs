namespace LightTunnel.Services;

/// <summary>Where the .NET runtime is that a program built from source needs.</summary>
internal static class DotNetRuntime
{
    /// <summary>Where such programs look by themselves.</summary>
    private static readonly string[] Known = ["/usr/share/dotnet", "/usr/lib/dotnet", "/usr/lib64/dotnet"];

    /// <summary>The runtime that the program would not find without being told; null when it brings its own, or finds one.</summary>
    public static string? NotFoundByItself(string program)
    {
        string folder = Path.GetDirectoryName(program) ?? string.Empty;
        bool bringsItsOwn = !File.Exists(Path.Combine(folder, "LightTunnel.Host.runtimeconfig.json"))
            || File.Exists(Path.Combine(folder, "libcoreclr.so"));
        if (bringsItsOwn || File.Exists("/etc/dotnet/install_location") || Known.Any(Directory.Exists))
            return null;
        string? told = Environment.GetEnvironmentVariable("DOTNET_ROOT");
        return told is { Length: > 0 } && Path.IsPathRooted(told) && Directory.Exists(told) ? told : OfCommand();
    }

    private static string? OfCommand() => (Environment.GetEnvironmentVariable("PATH") ?? string.Empty)
        .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
        .Select(folder => new FileInfo(Path.Combine(folder, "dotnet")))
        .Where(command => command.Exists)
        .Select(command => Path.GetDirectoryName((command.ResolveLinkTarget(returnFinalTarget: true) ?? command).FullName))
        .FirstOrDefault();
}
