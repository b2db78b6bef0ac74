using System.Diagnostics.CodeAnalysis;
using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using LightTunnel.Diagnostics;

namespace LightTunnel.Tun;

/// <summary>
/// Wintun's published archive: looked at only when its hash is the published one, so what is in it is what its makers put there, and
/// nothing of it but the library for one kind of processor is taken.
/// </summary>
internal sealed class WintunPackage
{
    /// <summary>The library's file.</summary>
    public const string Library = "wintun.dll";

    /// <summary>The version that <see cref="Published"/> is.</summary>
    public const string Version = "0.14.1";

    /// <summary>SHA-256 of the archive, as https://www.wintun.net says.</summary>
    public const string Published = "07c256185d6ee3652e09fa55c0b673e2624b565e02c4b9091c79ca7d2f24ef51";

    /// <summary>Longest archive that is read at all, bytes; the published one has some 800 kB.</summary>
    public const int LongestArchive = 8 << 20;

    /// <summary>Longest library that is taken out, bytes.</summary>
    public const int LongestLibrary = 4 << 20;

    private readonly byte[] _archive;

    private WintunPackage(byte[] archive) => _archive = archive;

    /// <summary>Where the library belongs: beside this assembly, or beside the program that it is part of.</summary>
    [UnconditionalSuppressMessage("SingleFile", "IL3000", Justification = "No place is an answer, too.")]
    public static string Folder =>
        Path.GetDirectoryName(typeof(WintunPackage).Assembly.Location) is { Length: > 0 } known ? known : AppContext.BaseDirectory;

    /// <summary>Where the archive is published.</summary>
    public static Uri Source { get; } = new("https://www.wintun.net/builds/wintun-0.14.1.zip");

    /// <summary>Reads an archive and checks its hash.</summary>
    /// <param name="stream">The archive.</param>
    /// <param name="name">Where it comes from, for errors.</param>
    /// <param name="hash">SHA-256 that it must have; the published one when null.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="LightTunnelException">It is too long, or another one.</exception>
    public static async Task<WintunPackage> ReadAsync(Stream stream, string name, string? hash, CancellationToken cancellationToken)
    {
        hash ??= Published;
        using var content = new MemoryStream();
        byte[] block = new byte[1 << 16];
        while (await stream.ReadAsync(block, cancellationToken).ConfigureAwait(false) is var length and > 0)
        {
            if (content.Length + length > LongestArchive)
            {
                throw Refused(
                    $"'{name}' is longer than {LongestArchive >> 20} MB, so it is not Wintun's archive, whose SHA-256 is {hash}.", name);
            }

            content.Write(block, 0, length);
        }

        byte[] archive = content.ToArray();
        string found = Convert.ToHexStringLower(SHA256.HashData(archive));
        return found == hash
            ? new WintunPackage(archive)
            : throw Refused($"'{name}' has the SHA-256 {found}, and Wintun's archive {hash}: it is another file, or damaged.", name);
    }

    /// <summary>The folder of the archive that has the library for a processor; null where there is none for it.</summary>
    public static string? FolderOf(Architecture processor) => processor switch
    {
        Architecture.X64 => "amd64",
        Architecture.Arm64 => "arm64",
        Architecture.X86 => "x86",
        Architecture.Arm => "arm",
        _ => null,
    };

    /// <summary>Takes the library for a processor out.</summary>
    /// <exception cref="LightTunnelException">There is none for it.</exception>
    public byte[] Extract(Architecture processor)
    {
        using var zip = new ZipArchive(new MemoryStream(_archive, writable: false), ZipArchiveMode.Read);
        if (FolderOf(processor) is not { } folder || zip.GetEntry($"wintun/bin/{folder}/{Library}") is not { } entry)
        {
            throw new LightTunnelException(
                LightTunnelError.TunUnavailable, $"Wintun {Version} has no {Library} for a processor of the kind {processor}.",
                "Run PowerShell for x64 or Arm64.") { Target = processor };
        }

        byte[] library = new byte[LongestLibrary];
        using Stream stream = entry.Open();
        int length = stream.ReadAtLeast(library, library.Length, throwOnEndOfStream: false);
        return library[..length];
    }

    /// <summary>Puts the library into a folder, in one step; false when it is there already.</summary>
    /// <param name="library">The library.</param>
    /// <param name="path">Its file.</param>
    /// <exception cref="LightTunnelException">The folder may not be written to, or a process has the file loaded.</exception>
    public static bool Place(byte[] library, string path)
    {
        string temporary = $"{path}.{Guid.NewGuid():N}.new";
        try
        {
            if (File.Exists(path) && new FileInfo(path).Length == library.Length && File.ReadAllBytes(path).AsSpan().SequenceEqual(library))
                return false;
            using (var stream = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None))
            {
                stream.Write(library);
                stream.Flush(flushToDisk: true);
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            Remove(temporary);
            throw new LightTunnelException(
                exception is UnauthorizedAccessException ? LightTunnelError.PrivilegeRequired : LightTunnelError.FileAccess,
                $"'{path}' could not be written: {exception.Message}", "Run PowerShell as administrator, and check the module's folder.",
                exception) { Target = path };
        }

        try
        {
            File.Move(temporary, path, overwrite: true);
            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            Remove(temporary);
            throw new LightTunnelException(
                LightTunnelError.FileAccess, $"'{path}' could not be replaced: {exception.Message} A PowerShell that has used it keeps it.",
                "Stop the tunnels of this machine, close every PowerShell that has had one, and try again in a new one.",
                exception) { Target = path };
        }
    }

    private static void Remove(string file)
    {
        try
        {
            File.Delete(file);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Nobody loads a file of that name.
        }
    }

    private static LightTunnelException Refused(string message, string name) => new(
        LightTunnelError.UntrustedFile, message, $"Download {Source} again, and give it with -Path if it came another way.")
    { Target = name };
}
