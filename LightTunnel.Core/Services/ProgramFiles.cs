using LightTunnel.Diagnostics;

namespace LightTunnel.Services;

/// <summary>A program's files: whether they can be trusted, and a copy that everybody may run and root alone change.</summary>
internal static class ProgramFiles
{
    /// <summary>The mode of a file that root alone changes.</summary>
    public const UnixFileMode EverybodyReads = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead
        | UnixFileMode.OtherRead;

    private const UnixFileMode EverybodyRuns =
        EverybodyReads | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    /// <summary>More is no program of this project, and may be made by somebody who wants root to fill its disk.</summary>
    private const int MostEntries = 2000;

    private const int BlockLength = 1 << 16;

    /// <summary>
    /// Throws unless each file and folder belongs to root or this user, on Windows to an administrator, is no link, and may be written
    /// by no other.
    /// </summary>
    /// <exception cref="LightTunnelException">FileAccess.</exception>
    public static void CheckTrusted(string folder)
    {
        foreach (string entry in Entries(folder))
            CheckEntry(folder, entry);
    }

    /// <summary>The same of one file, in a folder that was looked at.</summary>
    /// <exception cref="LightTunnelException">FileAccess.</exception>
    public static void CheckFileTrusted(string path) => CheckEntry(Path.GetDirectoryName(path)!, path);

    /// <summary>Copies one file into a folder. No link is followed.</summary>
    public static void CopyFile(string source, string target)
    {
        using FileStream from = Open(source);
        using var to = new FileStream(target, FileMode.CreateNew, FileAccess.Write, FileShare.None);
        from.CopyTo(to);
        to.Flush(flushToDisk: true);
    }

    /// <summary>Makes a folder that everybody may look into.</summary>
    public static void CreateFolder(string path)
    {
        Directory.CreateDirectory(path);
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(path, EverybodyRuns);
    }

    /// <summary>Lets everybody read a file, and root alone change it; on Windows its folder says that.</summary>
    public static void LetEverybodyRead(string path)
    {
        if (OperatingSystem.IsWindows())
            WindowsAccess.Inherit(path);
        else
            File.SetUnixFileMode(path, EverybodyReads);
    }

    /// <summary>Copies everything to a folder that does not exist yet. No link is followed.</summary>
    public static void Copy(string source, string target)
    {
        CreateFolder(target);
        foreach (string entry in Entries(source))
        {
            string copy = Path.Combine(target, Path.GetRelativePath(source, entry));
            if (Directory.Exists(entry))
            {
                CreateFolder(copy);
                continue;
            }

            CopyFile(entry, copy);
            // Archives lose who may run what, so it is said anew.
            if (!OperatingSystem.IsWindows())
                File.SetUnixFileMode(copy, Path.GetFileName(copy) == HostPayload.ProgramName ? EverybodyRuns : EverybodyReads);
        }
    }

    /// <summary>Whether both folders have the same files with the same content.</summary>
    /// <param name="left">The one.</param>
    /// <param name="right">The other.</param>
    /// <param name="driver">A file that the other one has besides; null for none.</param>
    public static bool AreSame(string left, string right, string? driver = null)
    {
        string[] files = FilesOf(left);
        string[] further = driver is null ? [] : [Path.GetFileName(driver)];
        return files.Concat(further).Order(StringComparer.Ordinal).SequenceEqual(FilesOf(right))
            && (driver is null || HasSameContent(driver, Path.Combine(right, Path.GetFileName(driver))))
            && files.All(file => HasSameContent(Path.Combine(left, file), Path.Combine(right, file)));
    }

    private static void CheckEntry(string folder, string entry)
    {
        if (FaultOf(entry) is { } fault)
        {
            throw TrustedFolder.Distrusted(
                "module folder", folder, $"{entry} {fault}",
                "Install the module for all users, as root or an administrator, into a folder that nobody else may write.");
        }
    }

    private static string[] FilesOf(string folder) =>
        [.. Entries(folder).Where(File.Exists).Select(file => Path.GetRelativePath(folder, file)).Order(StringComparer.Ordinal)];

    private static bool HasSameContent(string left, string right)
    {
        using FileStream one = Open(left);
        using FileStream other = Open(right);
        if (one.Length != other.Length)
            return false;
        byte[] a = new byte[BlockLength], b = new byte[BlockLength];
        while (one.ReadAtLeast(a, a.Length, throwOnEndOfStream: false) is var length and > 0)
        {
            if (other.ReadAtLeast(b.AsSpan(0, length), length, throwOnEndOfStream: false) != length
                || !a.AsSpan(0, length).SequenceEqual(b.AsSpan(0, length)))
            {
                return false;
            }
        }

        return true;
    }

    private static FileStream Open(string path) =>
        OperatingSystem.IsLinux() ? OwnedFile.OpenToRead(path)
        : OperatingSystem.IsWindows() ? WindowsAccess.OpenToRead(path)
        : File.OpenRead(path);

    /// <summary>Folders before what is in them. A link to a folder is an entry, and is not entered.</summary>
    private static List<string> Entries(string folder)
    {
        var all = new EnumerationOptions
        {
            RecurseSubdirectories = true,
            AttributesToSkip = FileAttributes.None,
            IgnoreInaccessible = false,
        };
        string[] found = [.. Directory.EnumerateFileSystemEntries(folder, "*", all).Take(MostEntries + 1)];
        return found.Length <= MostEntries
            ? [.. found.Order(StringComparer.Ordinal)]
            : throw new IOException($"{folder} has more than {MostEntries} files, which is no program of LightTunnel.");
    }

    private static string? FaultOf(string entry)
    {
        if (OperatingSystem.IsWindows())
            return FaultOnWindows(entry);
        if (!OperatingSystem.IsLinux() || OwnedFile.Look(entry) is not { } facts)
            return null;
        return facts.IsLink ? "is a link"
            : facts.User != OwnedFile.CurrentUser && facts.User != 0 ? $"belongs to another user ({facts.User})"
            : facts.IsWrittenByOthers ? "may be written by other users"
            : !facts.IsFile && !facts.IsFolder ? "is no ordinary file"
            : null;
    }

    [System.Runtime.Versioning.SupportedOSPlatform("windows")]
    private static string? FaultOnWindows(string entry)
    {
        if (new FileInfo(entry).LinkTarget is not null)
            return "is a link";
        return WindowsAccess.Look(entry).Facts.FaultOf(
            Directory.Exists(entry) ? AccessPlace.Folder : AccessPlace.File, HostPayload.WindowsOwner);
    }
}
