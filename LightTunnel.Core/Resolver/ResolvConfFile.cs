using System.Runtime.Versioning;
using LightTunnel.Diagnostics;
using LightTunnel.Tun;

namespace LightTunnel.Resolver;

/// <summary>
/// /etc/resolv.conf, or what it leads to. It is changed where it is: so a link stays a link, owner, mode, labels and further names stay,
/// and a file that is mounted over it, as in containers and network namespaces, can be changed at all.
/// </summary>
[SupportedOSPlatform("linux")]
internal static class ResolvConfFile
{
    /// <summary>Where every program looks.</summary>
    public const string SystemPath = "/etc/resolv.conf";

    /// <summary>The file itself, where the path is a link to it, or to a link.</summary>
    /// <exception cref="IOException">The links lead nowhere.</exception>
    public static string Resolve(string path) => File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path;

    /// <summary>The file's content; null when there is none.</summary>
    /// <exception cref="IOException">It cannot be read, or is none of these.</exception>
    public static byte[]? Read(string path)
    {
        try
        {
            using FileStream stream = Open(path, FileAccess.Read);
            return ReadAll(path, stream);
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }

    /// <summary>Changes the file, one tunnel at a time, whichever process it is of.</summary>
    /// <param name="path">The file itself, no link to it.</param>
    /// <param name="change">Gives the new content for the present one; null leaves it.</param>
    /// <exception cref="IOException">The system refuses.</exception>
    /// <exception cref="UnauthorizedAccessException">The system refuses.</exception>
    public static void Change(string path, Func<byte[], byte[]?> change)
    {
        FileFacts? facts = OwnedFile.Look(path);
        if (facts is not { IsFile: true })
            throw new IOException($"{path} is no ordinary file.");
        if (facts.Value.User != 0 && facts.Value.User != OwnedFile.CurrentUser)
            throw new IOException($"{path} belongs to another user ({facts.Value.User}).");
        // Not on the file itself, which then other programs could not read for that moment.
        using PathGate gate = PathGate.Enter("/etc");
        using FileStream stream = Open(path, FileAccess.ReadWrite);
        byte[] before = ReadAll(path, stream);
        if (change(before) is not { } after || after.AsSpan().SequenceEqual(before))
            return;
        // All at once, and only then cut: whoever reads meanwhile finds nameservers in it.
        stream.Position = 0;
        stream.Write(after);
        stream.SetLength(after.Length);
        stream.Flush(flushToDisk: true);
    }

    private static FileStream Open(string path, FileAccess access) =>
        new(path, FileMode.Open, access, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);

    private static byte[] ReadAll(string path, FileStream stream)
    {
        byte[] content = new byte[ResolvConfText.MaximumLength + 1];
        int length = stream.ReadAtLeast(content, content.Length, throwOnEndOfStream: false);
        return length <= ResolvConfText.MaximumLength
            ? content[..length]
            : throw new IOException($"{path} is longer than {ResolvConfText.MaximumLength} bytes.");
    }
}
