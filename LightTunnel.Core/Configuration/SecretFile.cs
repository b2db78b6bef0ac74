using System.Text;
using LightTunnel.Diagnostics;

namespace LightTunnel.Configuration;

/// <summary>Files that hold a secret: an invitation's text, or settings with a key.</summary>
public static class SecretFile
{
    /// <summary>Longest file that is read, bytes; a secret is far shorter.</summary>
    private const int MaximumLength = 1 << 16;

    private const UnixFileMode OthersRead = UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    /// <summary>The text of a file with an invitation or a key. Not checked: who uses it does that.</summary>
    /// <param name="path">The file.</param>
    /// <param name="what">What it should hold, "invitation".</param>
    /// <param name="warn">Told when others may read it.</param>
    /// <exception cref="LightTunnelException">NotFound, or FileAccess: it cannot be read, or everybody may write it.</exception>
    public static Secret Read(string path, string what, Action<string> warn)
    {
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            byte[] content = new byte[MaximumLength + 1];
            int length = stream.ReadAtLeast(content, content.Length, throwOnEndOfStream: false);
            if (length > MaximumLength)
            {
                throw new LightTunnelException(
                    LightTunnelError.FileAccess, $"{path} is too long for a file with the {what}.",
                    "Check that it is the right file.") { Target = path };
            }
            CheckMode(path, warn);
            using var reader = new StreamReader(
                new MemoryStream(content, 0, length), Encoding.UTF8, detectEncodingFromByteOrderMarks: true);
            return new Secret(reader.ReadToEnd().Trim());
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new LightTunnelException(
                LightTunnelError.NotFound, $"There is no file {path}.", "Check the path.", exception) { Target = path };
        }
        catch (Exception exception)
            when (exception is IOException or UnauthorizedAccessException or NotSupportedException or ArgumentException)
        {
            throw new LightTunnelException(
                LightTunnelError.FileAccess, $"{path} could not be read: {exception.Message}", "Check the path and its permissions.",
                exception) { Target = path };
        }
    }

    /// <summary>
    /// Warns when others than the owner may read the secret; refuses a file that everybody may write, as its content is anybody's.
    /// </summary>
    /// <exception cref="LightTunnelException">FileAccess.</exception>
    public static void CheckMode(string path, Action<string> warn)
    {
        if (OperatingSystem.IsWindows())
        {
            try
            {
                (FileAccessFacts facts, string user) = WindowsAccess.Look(path);
                CheckAccess(path, facts, user, warn);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                warn($"Who can read the secret in {path} cannot be told: {exception.Message}");
            }

            return;
        }

        UnixFileMode mode = File.GetUnixFileMode(path);
        // A pipe or a terminal is nobody's file.
        if (mode.HasFlag(UnixFileMode.OtherWrite) && File.Exists(path) && !IsStream(path))
        {
            throw new LightTunnelException(
                LightTunnelError.FileAccess, $"Everybody on this machine may write {path}, which holds a secret.",
                $"See that it is what it should be, then chmod 600 {path}")
            { Target = path };
        }

        if ((mode & OthersRead) != 0)
            warn($"Others on this machine can read the secret in {path}. Remedy: chmod 600 {path}");
    }

    /// <summary>The same by what Windows says of the file.</summary>
    internal static void CheckAccess(string path, FileAccessFacts facts, string user, Action<string> warn)
    {
        string remedy = $"icacls '{path}' /inheritance:r /grant:r \"${{env:USERNAME}}:F\"";
        if (facts.OtherWriter(user) is { } writer)
        {
            throw new LightTunnelException(
                LightTunnelError.FileAccess, $"{writer} may write {path}, which holds a secret.",
                $"See that it is what it should be, then run {remedy}")
            { Target = path };
        }

        string? reader = facts.Grants is null ? "Everybody" : facts.OtherReader(user);
        if (reader is not null)
            warn($"{reader} can read the secret in {path}. Remedy: {remedy}");
    }

    private static bool IsStream(string path) =>
        path.StartsWith("/dev/", StringComparison.Ordinal) || path.StartsWith("/proc/", StringComparison.Ordinal);
}
