using System.Runtime.InteropServices;
using LightTunnel.Diagnostics;

namespace LightTunnel.Services;

/// <summary>The program that services run, as a module's folder brings it along: <c>Host/linux-x64</c>, or <c>Host/any</c>.</summary>
/// <param name="Folder">Its folder.</param>
/// <param name="Version">The module's version.</param>
public sealed record HostPayload(string Folder, Version Version)
{
    /// <summary>The program's file, "LightTunnel.Host".</summary>
    public static string ProgramName { get; } = OperatingSystem.IsWindows() ? "LightTunnel.Host.exe" : "LightTunnel.Host";

    /// <summary>True for one that needs a .NET runtime on the machine.</summary>
    public bool NeedsRuntime => Path.GetFileName(Folder) == "any";

    /// <summary>The payload of a module for this system and processor; null when it has none.</summary>
    /// <param name="module">The module's folder, with its manifest.</param>
    /// <param name="version">Its version.</param>
    public static HostPayload? Of(string module, Version version)
    {
        string host = Path.Combine(Path.GetFullPath(module), "Host");
        return FoldersOfThisSystem()
            .Select(name => Path.Combine(host, name))
            .Where(folder => File.Exists(Path.Combine(folder, ProgramName)))
            .Select(folder => new HostPayload(folder, version))
            .FirstOrDefault();
    }

    /// <summary>The newest payload among a module's versions, each in a folder of its name; null when there is none.</summary>
    /// <param name="versions">The folder of the versions' folders.</param>
    internal static HostPayload? NewestIn(string versions)
    {
        if (!Directory.Exists(versions))
            return null;
        return Directory.EnumerateDirectories(versions)
            .Select(folder => (Folder: folder, Version: VersionOf(Path.GetFileName(folder))))
            .Where(found => found.Version is not null)
            .OrderByDescending(found => found.Version)
            .Select(found => Of(found.Folder, found.Version!))
            .FirstOrDefault(payload => payload is not null);
    }

    /// <summary>Three numbers, as everything of LightTunnel has them; null for anything else.</summary>
    internal static Version? VersionOf(string text) =>
        Version.TryParse(text, out Version? version) && version.Build >= 0 && version.Revision < 0 && version.ToString() == text
            ? version
            : null;

    /// <summary>
    /// Throws unless nobody but root (on Windows an administrator) and this user could have put something into the payload, or could put
    /// another one in its place.
    /// </summary>
    /// <exception cref="LightTunnelException">FileAccess, with who could write where.</exception>
    internal void CheckTrusted()
    {
        string host = Path.GetDirectoryName(Folder)!;
        string module = Path.GetDirectoryName(host)!;
        foreach (string folder in new[] { Path.GetDirectoryName(module)!, module, host, Folder })
            TrustedFolder.Check(folder, "module folder");
        ProgramFiles.CheckTrusted(Folder);
    }

    private static IEnumerable<string> FoldersOfThisSystem()
    {
        string system = OperatingSystem.IsWindows() ? "win" : "linux";
        string processor = RuntimeInformation.OSArchitecture.ToString().ToLowerInvariant();
        return [$"{system}-{processor}", "any"];
    }
}
