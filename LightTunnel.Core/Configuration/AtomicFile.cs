using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using LightTunnel.Diagnostics;

namespace LightTunnel.Configuration;

/// <summary>The steps of <see cref="AtomicFile.Replace"/>, for tests that cut it short at each.</summary>
internal enum AtomicFileStep
{
    /// <summary>The temporary file is about to be created.</summary>
    Create,

    /// <summary>Some more bytes are about to be written.</summary>
    Write,

    /// <summary>Everything is written and about to be forced to the disk.</summary>
    Flush,

    /// <summary>The temporary file is about to take the place of the old one.</summary>
    Rename,

    /// <summary>The new file is in place; the folder is about to be forced to the disk.</summary>
    FlushFolder,
}

/// <summary>Files readable by their owner only that are replaced whole: after a crash there is the old content or the new one.</summary>
internal static partial class AtomicFile
{
    private const UnixFileMode OwnerFolder = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private const UnixFileMode OwnerFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const string TemporarySuffix = ".new";

    /// <summary>Where the new content is prepared; a file that is left there by a crash means nothing.</summary>
    public static string TemporaryPath(string path) => path + TemporarySuffix;

    /// <summary>Replaces the file's content, or creates the file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="content">All of its new content.</param>
    /// <param name="before">Called before each step; for tests.</param>
    /// <param name="chunk">Bytes written at once; for tests.</param>
    public static void Replace(string path, ReadOnlySpan<byte> content, Action<AtomicFileStep>? before = null, int chunk = int.MaxValue)
    {
        string temporary = TemporaryPath(path);
        before?.Invoke(AtomicFileStep.Create);
        File.Delete(temporary);
        using (FileStream stream = OpenOwned(temporary, FileMode.CreateNew, FileShare.None))
        {
            while (content.Length > 0)
            {
                before?.Invoke(AtomicFileStep.Write);
                int length = Math.Min(chunk, content.Length);
                stream.Write(content[..length]);
                stream.Flush();
                content = content[length..];
            }

            before?.Invoke(AtomicFileStep.Flush);
            stream.Flush(flushToDisk: true);
        }

        before?.Invoke(AtomicFileStep.Rename);
        File.Move(temporary, path, overwrite: true);
        before?.Invoke(AtomicFileStep.FlushFolder);
        FlushFolder(Path.GetDirectoryName(Path.GetFullPath(path))!);
    }

    /// <summary>Opens a file to read and write, readable by its owner only from the moment it exists. A link is not followed.</summary>
    public static FileStream OpenOwned(string path, FileMode mode, FileShare share)
    {
        if (OperatingSystem.IsWindows())
            return WindowsAccess.Open(path, mode, share);
        if (OperatingSystem.IsLinux())
            return OwnedFile.Open(path, mode, isLocked: share == FileShare.None);
        return new FileStream(path, new FileStreamOptions
        {
            Mode = mode,
            Access = FileAccess.ReadWrite,
            Share = share,
            BufferSize = 0,
            UnixCreateMode = OwnerFile,
        });
    }

    /// <summary>Reads a file. A link is not followed.</summary>
    /// <exception cref="FileNotFoundException">There is none.</exception>
    public static byte[] Read(string path, int maximumLength)
    {
        using FileStream stream = OperatingSystem.IsLinux() ? OwnedFile.OpenToRead(path)
            : OperatingSystem.IsWindows() ? WindowsAccess.OpenToRead(path)
            : new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        if (stream.Length > maximumLength)
            throw new InvalidDataException($"{path} is too long.");
        byte[] content = new byte[stream.Length];
        stream.ReadExactly(content);
        return content;
    }

    /// <summary>
    /// Makes the folder, for its owner only. A folder that exists is closed to others if it is empty or has <paramref name="ownFile"/> in
    /// it; one that others could have put something into is refused.
    /// </summary>
    /// <exception cref="LightTunnelException">FileAccess: others could have planted something there.</exception>
    public static void CreateOwnedFolder(string path, string ownFile)
    {
        bool isEmpty = !Directory.Exists(path) || !Directory.EnumerateFileSystemEntries(path).Any();
        if (!isEmpty)
            TrustedFolder.Check(path, "state folder");
        CloseFolder(path, isEmpty || File.Exists(Path.Combine(path, ownFile)));
        TrustedFolder.Check(path, "state folder");
        if (isEmpty && Directory.EnumerateFileSystemEntries(path).Any())
            throw new IOException("somebody put something into it while it was made");
    }

    private static void CloseFolder(string path, bool ours)
    {
        if (OperatingSystem.IsWindows())
        {
            CloseFolderOnWindows(path, ours);
            return;
        }

        Directory.CreateDirectory(path, OwnerFolder);
        if (ours && File.GetUnixFileMode(path) != OwnerFolder)
            File.SetUnixFileMode(path, OwnerFolder);
    }

    [SupportedOSPlatform("windows")]
    private static void CloseFolderOnWindows(string path, bool ours)
    {
        if (!Directory.Exists(path))
        {
            WindowsAccess.CreateFolder(path);
            return;
        }

        // Before it is changed: the change follows links.
        WindowsAccess.Check(path, "state folder", mayBeOpen: true);
        if (ours)
            WindowsAccess.CloseFolder(path);
    }

    /// <summary>
    /// A rename is lasting only once the folder is on the disk; Windows has no such call and needs none (NTFS journals renames).
    /// </summary>
    private static void FlushFolder(string path)
    {
        if (OperatingSystem.IsWindows())
            return;
        int descriptor = Open(path, 0);
        if (descriptor < 0)
            throw new IOException($"The folder {path} could not be opened: error {Marshal.GetLastPInvokeError()}.");
        int result = FSync(descriptor);
        int error = Marshal.GetLastPInvokeError();
        _ = Close(descriptor);

        // Some file systems do not flush folders and say EINVAL; they offer nothing better.
        const int InvalidArgument = 22;
        if (result < 0 && error != InvalidArgument)
            throw new IOException($"The folder {path} could not be forced to the disk: error {error}.");
    }

    // .NET opens no folders, so a folder is flushed by the C library.
    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int FSync(int descriptor);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int Close(int descriptor);
}
