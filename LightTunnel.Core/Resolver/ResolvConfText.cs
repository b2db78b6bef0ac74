using System.Net;
using System.Text;
using LightTunnel.Addressing;

namespace LightTunnel.Resolver;

/// <summary>
/// The content of /etc/resolv.conf (resolv.conf(5)), whose bytes stay what they are. A tunnel's nameserver is two lines before the first
/// one that was there: a comment that says whose it is, and the nameserver. Taking the two lines out gives exactly what was there before.
/// </summary>
/// <param name="content">The file's bytes.</param>
internal sealed class ResolvConfText(ReadOnlySpan<byte> content)
{
    /// <summary>glibc and musl ask the first three nameservers, and no others (MAXNS).</summary>
    public const int MostAsked = 3;

    private const string Keyword = "nameserver", MarkEnd = ": ";

    /// <summary>One character for each byte.</summary>
    private readonly string _text = Encoding.Latin1.GetString(content);

    /// <summary>Longest file that is looked at, bytes.</summary>
    public const int MaximumLength = 64 * 1024;

    /// <summary>The nameservers, in their order, those of tunnels included, as they stand there.</summary>
    public IReadOnlyList<string> Nameservers => [.. Lines().Select(line => NameserverOf(line.Text)).OfType<string>()];

    /// <summary>The nameservers that are no tunnel's.</summary>
    public IReadOnlyList<string> OtherNameservers => [.. Nameservers.Where(server => !IsTunnels(server))];

    /// <summary>True when the nameservers are asked in turn, so that none is the first.</summary>
    public bool IsRotating => Lines().Any(line => Words(line.Text) is ["options", .. var options] && options.Contains("rotate"));

    /// <summary>Who wrote the file, as far as its comments say: "NetworkManager"; null when they do not.</summary>
    public string? Writer => Lines().Where(line => line.Text is ['#' or ';', ..] && !line.Text.StartsWith(Mark, StringComparison.Ordinal))
        .Select(line => KnownWriters.FirstOrDefault(name => line.Text.Contains(name, StringComparison.OrdinalIgnoreCase)))
        .FirstOrDefault(name => name is not null);

    private static readonly string[] KnownWriters =
        ["NetworkManager", "systemd-resolved", "resolvconf", "dhclient", "dhcpcd", "connman", "netconfig", "Docker", "Podman", "WSL",
            "Tailscale"];

    private const string Mark = "# LightTunnel ";

    /// <summary>Whether a name can stand in the comment, and be found again.</summary>
    public static bool IsInterfaceName(string name) => name.Length is > 0 and <= 256 && !name.Contains(MarkEnd, StringComparison.Ordinal)
        && !name.Any(char.IsControl);

    /// <summary>Whether the tunnel's nameserver is there, before all that are no tunnel's.</summary>
    public bool Has(string interfaceName, TunnelAddress server) =>
        _text.Contains(Block(interfaceName, server), StringComparison.Ordinal)
            && Nameservers.TakeWhile(IsTunnels).Contains(server.ToString());

    /// <summary>How many tunnels but this one have nameservers there.</summary>
    public int OtherTunnels(string interfaceName) =>
        new ResolvConfText(Without(interfaceName)).Nameservers.Count(IsTunnels);

    /// <summary>The content with the tunnel's nameserver as the first.</summary>
    public byte[] With(string interfaceName, TunnelAddress server)
    {
        var others = new ResolvConfText(Without(interfaceName));
        // Before the first tunnel's own comment, too.
        int at = others.Lines()
            .Where(line => NameserverOf(line.Text) is not null || line.Text.StartsWith(Mark, StringComparison.Ordinal))
            .Select(line => line.Start)
            .DefaultIfEmpty(0)
            .First();
        return Encoding.Latin1.GetBytes(others._text.Insert(at, Block(interfaceName, server)));
    }

    /// <summary>The content without the tunnel's nameserver: byte for byte what it was before that was put in.</summary>
    public byte[] Without(string interfaceName)
    {
        var kept = new StringBuilder(_text.Length);
        bool wasMark = false;
        foreach ((int start, int end, string text) in Lines())
        {
            bool isMark = text.StartsWith(Mark + interfaceName + MarkEnd, StringComparison.Ordinal);
            bool isServer = wasMark && NameserverOf(text) is { } server && IsTunnels(server);
            wasMark = isMark;
            if (!isMark && !isServer)
                kept.Append(_text, start, end - start);
        }

        return Encoding.Latin1.GetBytes(kept.ToString());
    }

    private static string Block(string interfaceName, TunnelAddress server) =>
        $"{Mark}{interfaceName}{MarkEnd}the next line is a tunnel's, which takes it out when it stops. Other names go on to those below.\n"
        + $"{Keyword} {server}\n";

    private static bool IsTunnels(string server) =>
        TunnelAddress.TryParse(server, out TunnelAddress address) && LoopbackServers.Contains(address);

    /// <summary>A keyword begins its line (resolv.conf(5)).</summary>
    private static string? NameserverOf(string line) =>
        line.StartsWith(Keyword, StringComparison.Ordinal) && Words(line) is [Keyword, var server, ..] ? server : null;

    private static string[] Words(string line) =>
        line.Split([' ', '\t', '\r'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    /// <summary>The lines, each from its start up to and with its end of line.</summary>
    private IEnumerable<(int Start, int End, string Text)> Lines()
    {
        for (int start = 0; start < _text.Length;)
        {
            int newLine = _text.IndexOf('\n', start);
            int end = newLine < 0 ? _text.Length : newLine + 1;
            yield return (start, end, _text[start..(newLine < 0 ? end : newLine)]);
            start = end;
        }
    }

    /// <summary>A nameserver's address; null where it is none.</summary>
    public static IPAddress? AddressOf(string server) => IPAddress.TryParse(server, out IPAddress? address) ? address : null;
}
