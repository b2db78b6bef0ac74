using System.Runtime.Versioning;

namespace LightTunnel.Diagnostics;

/// <summary>
/// Whether other users could put something into a folder, or another folder in its place: a tunnel runs as root, so what they plant there
/// would be opened as root. On Windows, where access lists say that, see <see cref="WindowsAccess"/>.
/// </summary>
internal static class TrustedFolder
{
    private const int MostLinks = 40; // As the kernel.

    /// <summary>Throws unless the folder, and whatever leads to it, is this user's own or root's, on Windows an administrator's.</summary>
    /// <param name="path">The folder, which exists.</param>
    /// <param name="what">"state folder", for the error.</param>
    /// <exception cref="LightTunnelException">FileAccess, with who could write where.</exception>
    /// <exception cref="IOException">It cannot be looked at.</exception>
    public static void Check(string path, string what)
    {
        if (OperatingSystem.IsLinux())
            Check(Path.GetFullPath(path), what, OwnedFile.CurrentUser);
        else if (OperatingSystem.IsWindows())
            WindowsAccess.Check(Path.GetFullPath(path), what);
    }

    /// <summary>The error for a folder that others could put something into.</summary>
    /// <param name="what">"state folder".</param>
    /// <param name="path">The folder.</param>
    /// <param name="why">"/srv belongs to another user (1000)".</param>
    /// <param name="remedy">What to do.</param>
    internal static LightTunnelException Distrusted(string what, string path, string why, string remedy) =>
        new(LightTunnelError.FileAccess, $"The {what} {path} is not safe: {why}, and could put something of theirs in its place.", remedy)
        {
            Target = path,
            IsSuspicious = true,
        };

    [SupportedOSPlatform("linux")]
    private static void Check(string path, string what, uint user)
    {
        string folder = path;
        int links = 0;
        Queue<string> rest = Split(folder);
        string current = "/";
        while (true)
        {
            FileFacts facts = OwnedFile.Look(current) ?? throw new DirectoryNotFoundException($"{current} does not exist.");
            if (facts.User != user && facts.User != 0)
            {
                throw Distrusted(
                    what, path, $"{current} belongs to another user ({facts.User})",
                    "Choose a folder that only this user may write, below folders of root's or this user's own.");
            }
            if (facts.IsLink)
            {
                if (++links > MostLinks)
                    throw new IOException($"{path} has too many links in it.");
                string target = new FileInfo(current).LinkTarget ?? throw new IOException($"The link {current} cannot be read.");
                Queue<string> further = Split(Path.GetFullPath(target, Path.GetDirectoryName(current)!));
                while (rest.TryDequeue(out string? name))
                    further.Enqueue(name);
                (rest, current) = (further, "/");
                continue;
            }

            if (!facts.IsFolder)
                throw new IOException($"{current} is no folder.");
            bool isLast = rest.Count == 0;
            if (isLast ? facts.IsWrittenByOthers : facts.IsOpenToAll)
            {
                throw Distrusted(
                    what, path, $"other users may write to {current}",
                    $"Take that away (chmod go-w {current}) after a look at what lies there, or choose another folder.");
            }
            if (isLast)
                return;
            current = Path.Combine(current, rest.Dequeue());
        }
    }

    private static Queue<string> Split(string path) => new(path.Split('/', StringSplitOptions.RemoveEmptyEntries));
}
