using System.Runtime.InteropServices;
using System.Text;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Tun;

namespace LightTunnel.Services;

/// <summary>
/// Where the program that services run is installed, apart from the module that brought it, so that a service neither breaks when the
/// module goes nor runs what somebody else could change: a folder for each version, and which of them is the current one.
/// </summary>
/// <remarks>
/// On Linux <c>current</c> is a link to the version's folder, and units name the program through it. Windows replaces no link in one step,
/// so there it is a file with the version in it, and services name the version's folder.
/// </remarks>
/// <param name="folder">The folder of all that.</param>
public sealed partial class HostInstallation(string folder)
{
    private const string CurrentName = "current", ModuleName = "module", LockName = "lock", Unfinished = ".new-", Discarded = ".old-";

    /// <summary>How long another process may take to install.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private static readonly TimeSpan LockPause = TimeSpan.FromMilliseconds(50);

    /// <summary>The one of this machine: <c>/usr/local/lib/lighttunnel</c>, <c>%ProgramFiles%\LightTunnel</c>.</summary>
    public static HostInstallation OfThisMachine { get; } = new(OperatingSystem.IsWindows()
        ? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.ProgramFiles), "LightTunnel")
        : "/usr/local/lib/lighttunnel");

    /// <summary>Where everything lies.</summary>
    public string Folder { get; } = Path.GetFullPath(folder);

    /// <summary>The version that services start; null when none is installed.</summary>
    public Version? Version
    {
        get
        {
            string? name = OperatingSystem.IsWindows() ? ReadText(CurrentName) : new FileInfo(PathOf(CurrentName)).LinkTarget;
            Version? version = name is null ? null : HostPayload.VersionOf(name);
            return version is not null && File.Exists(ProgramOf(version.ToString())) ? version : null;
        }
    }

    /// <summary>What services start: on Linux the same path for ever, on Windows that of the current version.</summary>
    public string Program => ProgramOf(OperatingSystem.IsWindows() ? Version?.ToString() ?? CurrentName : CurrentName);

    /// <summary>The folder of the module's versions that it was installed from, where newer ones are looked for.</summary>
    public string? Module => ReadText(ModuleName);

    /// <summary>The driver's library beside the program; null where there is none.</summary>
    internal string? Driver
    {
        get
        {
            string path = Path.Combine(Path.GetDirectoryName(Program)!, WintunPackage.Library);
            return OperatingSystem.IsWindows() && File.Exists(path) ? path : null;
        }
    }

    /// <summary>The newest payload of the module that it was installed from; null for none, or none that can be trusted.</summary>
    public HostPayload? Newest()
    {
        try
        {
            if (Module is not { } module || HostPayload.NewestIn(module) is not { } payload)
                return null;
            payload.CheckTrusted();
            return payload;
        }
        catch (Exception exception) when (exception is LightTunnelException or IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Installs the payload and makes it the current one, whatever was before. Versions before the last two are removed.</summary>
    /// <param name="payload">What to install.</param>
    /// <param name="module">Where newer versions are looked for from now on; null leaves that as it is.</param>
    /// <exception cref="LightTunnelException">
    /// FileAccess: it could not be written, or others than root could write to the payload or to here. PrivilegeRequired.
    /// </exception>
    public void Install(HostPayload payload, string? module = null)
    {
        try
        {
            payload.CheckTrusted();
            ProgramFiles.CreateFolder(Folder);
            TrustedFolder.Check(Folder, "program folder");
            using FileStream only = Lock();
            RemoveRests();
            Place(payload);
            MakeCurrent(payload.Version.ToString());
            if (module is not null)
                WriteText(ModuleName, Path.GetFullPath(module));
            RemoveOld(payload.Version);
        }
        catch (UnauthorizedAccessException exception)
        {
            throw new LightTunnelException(
                LightTunnelError.PrivilegeRequired, $"The program could not be installed in {Folder}: {exception.Message}",
                OperatingSystem.IsWindows() ? "Run it in an elevated PowerShell." : "Run it as root.", exception) { Target = Folder };
        }
        catch (IOException exception)
        {
            throw new LightTunnelException(
                LightTunnelError.FileAccess, $"The program could not be installed in {Folder}: {exception.Message}",
                "See that there is room, and that root can write there.", exception) { Target = Folder };
        }
    }

    /// <summary>Installs the module's newest payload if it is newer than what is installed.</summary>
    /// <returns>True when something was installed.</returns>
    /// <exception cref="LightTunnelException">As <see cref="Install"/>.</exception>
    public bool Update()
    {
        if (Newest() is not { } newest || newest.Version <= Version)
            return false;
        Install(newest);
        return true;
    }

    /// <summary>Removes everything that was installed.</summary>
    /// <exception cref="IOException">It could not be removed.</exception>
    public void Remove()
    {
        if (Directory.Exists(Folder) && Version is not null)
            Directory.Delete(Folder, recursive: true);
    }

    private string PathOf(string name) => Path.Combine(Folder, name);

    private string ProgramOf(string version) => Path.Combine(Folder, version, HostPayload.ProgramName);

    /// <summary>Services that start at the same time look for updates at the same time.</summary>
    private FileStream Lock()
    {
        long begun = TimeProvider.System.GetTimestamp();
        while (true)
        {
            try
            {
                return AtomicFile.OpenOwned(PathOf(LockName), FileMode.OpenOrCreate, FileShare.None);
            }
            catch (IOException exception) when (StateStore.IsLocked(exception) && TimeProvider.System.GetElapsedTime(begun) < Patience)
            {
                Thread.Sleep(LockPause);
            }
        }
    }

    /// <summary>Puts the version's folder in its place, whole.</summary>
    private void Place(HostPayload payload)
    {
        string target = PathOf(payload.Version.ToString());
        bool isThere = Directory.Exists(target);
        // A module that was renewed without Install-LtDriver leaves the driver as it is.
        string? driver = payload.Driver ?? Driver;
        if (isThere && ProgramFiles.AreSame(payload.Folder, target, driver))
            return;
        string prepared = PathOf(Unfinished + Guid.NewGuid().ToString("N"));
        ProgramFiles.Copy(payload.Folder, prepared);
        if (driver is not null)
            ProgramFiles.CopyFile(driver, Path.Combine(prepared, WintunPackage.Library));
        if (isThere)
        {
            // The same version built anew. A service that starts at this very moment fails and is started again.
            string old = PathOf(Discarded + Guid.NewGuid().ToString("N"));
            Directory.Move(target, old);
            Directory.Move(prepared, target);
            TryDelete(old);
        }
        else
        {
            Directory.Move(prepared, target);
        }
    }

    private void MakeCurrent(string version)
    {
        if (OperatingSystem.IsWindows())
        {
            WriteText(CurrentName, version);
            return;
        }

        string prepared = PathOf(Unfinished + Guid.NewGuid().ToString("N"));
        File.CreateSymbolicLink(prepared, version);
        if (Rename(prepared, PathOf(CurrentName)) != 0)
            throw new IOException($"{PathOf(CurrentName)}: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}.");
    }

    private void RemoveRests()
    {
        foreach (string rest in Directory.EnumerateFileSystemEntries(Folder, ".*"))
        {
            string name = Path.GetFileName(rest);
            if (name.StartsWith(Unfinished, StringComparison.Ordinal) || name.StartsWith(Discarded, StringComparison.Ordinal))
                TryDelete(rest);
        }
    }

    /// <summary>The version before is kept: services run it until they are started again.</summary>
    private void RemoveOld(Version current)
    {
        IEnumerable<string> old = Directory.EnumerateDirectories(Folder)
            .Select(path => (Path: path, Version: HostPayload.VersionOf(Path.GetFileName(path))))
            .Where(found => found.Version is not null && found.Version != current)
            .OrderByDescending(found => found.Version)
            .Skip(1)
            .Select(found => found.Path);
        foreach (string path in old)
            TryDelete(path);
    }

    /// <summary>What cannot be removed (on Windows, a program that runs) is removed another time.</summary>
    private static void TryDelete(string path)
    {
        try
        {
            if (new FileInfo(path).LinkTarget is null && Directory.Exists(path))
                Directory.Delete(path, recursive: true);
            else
                File.Delete(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // It means nothing where it is.
        }
    }

    private string? ReadText(string name)
    {
        try
        {
            string text = File.ReadAllText(PathOf(name)).Trim();
            return text.Length > 0 ? text : null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private void WriteText(string name, string text)
    {
        AtomicFile.Replace(PathOf(name), Encoding.UTF8.GetBytes(text + "\n"));
        ProgramFiles.LetEverybodyRead(PathOf(name));
    }

    // .NET renames no link to a folder over another one.
    [LibraryImport("libc", EntryPoint = "rename", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Rename(string from, string to);
}
