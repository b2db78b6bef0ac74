using System.Text;

namespace LightTunnel.Forwarding;

/// <summary>
/// What a tunnel has changed, written down before it is: so that the next start of the tunnel puts it back when this one was killed.
/// Lines of text: what this is, the lifetime of the settings, the tunnel's interface, one <see cref="SettingClaim"/> each.
/// </summary>
/// <param name="Lifetime">What the settings live and end with.</param>
/// <param name="Interface">The tunnel's interface.</param>
/// <param name="Claims">The settings, in the order in which they were changed.</param>
internal sealed record ForwardingRecord(string Lifetime, string Interface, IReadOnlyList<SettingClaim> Claims)
{
    /// <summary>Longest file, bytes.</summary>
    public const int MaximumLength = 64 * 1024;

    private const string Title = "LightTunnel forwarding 1";

    /// <summary>The file's content.</summary>
    public byte[] Encode() => Encoding.UTF8.GetBytes(
        string.Join('\n', [Title, Lifetime, Interface, .. Claims.Select(claim => claim.ToString())]) + "\n");

    /// <summary>Reads a file's content; null when it is none of these, or damaged.</summary>
    public static ForwardingRecord? Decode(ReadOnlySpan<byte> content)
    {
        if (content.Length > MaximumLength)
            return null;
        string[] lines = Encoding.UTF8.GetString(content).Split('\n');
        if (lines.Length < 4 || lines[0] != Title || lines[^1].Length > 0 || !ForwardingRules.IsInterfaceName(lines[2]))
            return null;
        var claims = new List<SettingClaim>();
        foreach (string line in lines[3..^1])
        {
            if (!SettingClaim.TryParse(line, out SettingClaim claim))
                return null;
            claims.Add(claim);
        }

        return new ForwardingRecord(lines[1], lines[2], claims);
    }
}
