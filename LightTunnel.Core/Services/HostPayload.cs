using System.Runtime.InteropServices;
using LightTunnel.Diagnostics;
using LightTunnel.Tun;

namespace LightTunnel.Services;

/// <summary>The program that services run, as a module's folder brings it along: <c>Host/linux-x64</c>, or <c>Host/any</c>.</summary>
/// <param name="Folder">Its folder.</param>
/// <param name="Version">The module's version.</param>
public sealed record HostPayload(string Folder, Version Version)
{
    /// <summary>The program's file, "LightTunnel.Host".</summary>
    public static string ProgramName { get; } = OperatingSystem.IsWindows() ? "LightTunnel.Host.exe" : "LightTunnel.Host";

    /// <summary>
    /// Who may have written what services run, beside administrators: SYSTEM. Not who registers a service, of whom other programs act
    /// without being elevated. Replaced by tests, where Windows knows one user only.
    /// </summary>
    internal static string WindowsOwner { get; set; } = "S-1-5-18";

    /// <summary>True for one that needs a .NET runtime on the machine.</summary>
    public bool NeedsRuntime => Path.GetFileName(Folder) == "any";

    /// <summary>
    /// On Windows the driver's library, where the module has it (Install-LtDriver), which the program needs beside it; null for none.
    /// </summary>
    public string? Driver
    {
        get
        {
            string path = Path.Combine(Path.GetDirectoryName(Path.GetDirectoryName(Folder))!, "Engine", WintunPackage.Library);
            return OperatingSystem.IsWindows() && File.Exists(path) ? path : null;
        }
    }

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
    /// Throws unless nobody but root and this user, on Windows an administrator, could have put something into the payload, or could put
    /// another one in its place.
    /// </summary>
    /// <exception cref="LightTunnelException">FileAccess, with who could write where.</exception>
    internal void CheckTrusted()
    {
        string host = Path.GetDirectoryName(Folder)!;
        string module = Path.GetDirectoryName(host)!;
        foreach (string folder in new[] { Path.GetDirectoryName(module)!, module, host, Folder })
            CheckFolder(folder);
        ProgramFiles.CheckTrusted(Folder);
        if (Driver is { } driver)
        {
            CheckFolder(Path.GetDirectoryName(driver)!);
            ProgramFiles.CheckFileTrusted(driver);
        }
    }

    /// <summary>Throws where a tunnel needs a driver that neither the module has nor what is installed.</summary>
    /// <exception cref="LightTunnelException">As a tunnel without one.</exception>
    internal void CheckDriver(HostInstallation installation)
    {
        if (OperatingSystem.IsWindows() && Driver is null && installation.Driver is null)
            throw Wintun.Missing(Path.Combine(WintunPackage.Folder, WintunPackage.Library), isPresent: false, variable: null);
    }

    private static void CheckFolder(string folder)
    {
        if (OperatingSystem.IsWindows())
            WindowsAccess.Check(folder, "module folder", owner: WindowsOwner);
        else
            TrustedFolder.Check(folder, "module folder");
    }

    private static IEnumerable<string> FoldersOfThisSystem()
    {
        string system = OperatingSystem.IsWindows() ? "win" : "linux";
        string processor = RuntimeInformation.OSArchitecture.ToString().ToLowerInvariant();
        return [$"{system}-{processor}", "any"];
    }
}
