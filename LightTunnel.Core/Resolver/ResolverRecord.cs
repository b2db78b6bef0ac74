using System.Text;

namespace LightTunnel.Resolver;

/// <summary>
/// Where a tunnel has put its nameserver, written down before it is done: so that the next start of the tunnel takes it out when this one
/// was killed. Lines of text: what this is, the tunnel's interface, the file or key of the registry.
/// </summary>
/// <param name="Interface">The tunnel's interface.</param>
/// <param name="Path">The file, or the key of the registry.</param>
internal sealed record ResolverRecord(string Interface, string Path)
{
    /// <summary>Longest record, bytes.</summary>
    public const int MaximumLength = 8 * 1024;

    private const string Title = "LightTunnel resolver 1";

    /// <summary>The record's content.</summary>
    public byte[] Encode() => Encoding.UTF8.GetBytes($"{Title}\n{Interface}\n{Path}\n");

    /// <summary>Reads a record's content; null when it is none of these, or damaged.</summary>
    public static ResolverRecord? Decode(ReadOnlySpan<byte> content) => content.Length <= MaximumLength
        && Encoding.UTF8.GetString(content).Split('\n') is [Title, var name, { Length: > 0 } path, ""]
        && ResolvConfText.IsInterfaceName(name)
            ? new ResolverRecord(name, path)
            : null;
}
