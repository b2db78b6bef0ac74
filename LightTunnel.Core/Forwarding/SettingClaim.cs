using System.Diagnostics.CodeAnalysis;

namespace LightTunnel.Forwarding;

/// <summary>A setting of the kernel that a tunnel has changed.</summary>
/// <param name="Key">Its path below /proc/sys, "net/ipv4/conf/eth0/forwarding".</param>
/// <param name="Was">What it was.</param>
/// <param name="Set">
/// What it was set to. The same as it was: it was not changed, but what else was changed holds only as long as it stays so.
/// </param>
internal readonly record struct SettingClaim(string Key, string Was, string Set)
{
    private const int LongestText = 120;

    /// <summary>Whether a family's packets are forwarded at all: setting it sets every interface's.</summary>
    public static string AllOf(bool isIPv4) => InterfaceKey(isIPv4, "all", "forwarding");

    /// <summary>The path of an interface's setting.</summary>
    public static string InterfaceKey(bool isIPv4, string name, string setting) =>
        $"net/{(isIPv4 ? "ipv4" : "ipv6")}/conf/{name}/{setting}";

    /// <summary>True for a setting of IPv4.</summary>
    public bool IsIPv4 => Key.StartsWith("net/ipv4/", StringComparison.Ordinal);

    /// <summary>The interface that the setting is of.</summary>
    public string Interface => Key.Split('/') is { Length: 5 } parts ? parts[3] : string.Empty;

    /// <summary>True when packets that arrive by <see cref="Interface"/> are forwarded by it, which they were not before.</summary>
    public bool OpensInterface => Set == "1" && Was == "0" && Interface is not ("all" or "default")
        && Key.EndsWith(IsIPv4 ? "/forwarding" : "/force_forwarding", StringComparison.Ordinal);

    /// <summary>True when packets of all interfaces are forwarded by it, which they were not before.</summary>
    public bool OpensFamily => Set == "1" && Was == "0" && Interface == "all";

    /// <summary>True when it only says that a family was not forwarded, and that nobody had asked for that.</summary>
    public bool IsCondition => Interface == "all" && Was == Set;

    /// <summary>
    /// As administrators write it, "net.ipv4.conf.eth0.forwarding"; with slashes where an interface has dots in its name (sysctl.d(5)).
    /// </summary>
    public static string Display(string key) => key.Contains('.', StringComparison.Ordinal) ? key : key.Replace('/', '.');

    /// <summary>Reads what <see cref="ToString"/> writes. It is written to a path: whatever else stands there is refused.</summary>
    public static bool TryParse(string text, out SettingClaim claim)
    {
        claim = default;
        string[] parts = text.Split(' ');
        if (text.Length > LongestText || parts.Length != 3 || !IsKey(parts[0]) || !IsValue(parts[1]) || !IsValue(parts[2]))
            return false;
        claim = new SettingClaim(parts[0], parts[1], parts[2]);
        return true;
    }

    /// <summary>"net/ipv4/conf/eth0/forwarding 0 1".</summary>
    public override string ToString() => $"{Key} {Was} {Set}";

    private static bool IsKey([NotNullWhen(true)] string? key) =>
        key?.Split('/') is ["net", "ipv4" or "ipv6", "conf", { Length: > 0 and <= 15 } name, { } setting]
        && setting is "forwarding" or "force_forwarding" or "accept_ra" or "rp_filter"
        && name is not ("." or "..") && !name.Any(c => char.IsControl(c) || char.IsWhiteSpace(c) || c is '"' or '\\');

    private static bool IsValue(string value) => value.Length is 1 or 2 && value.All(c => char.IsAsciiDigit(c) || c == '-');
}
