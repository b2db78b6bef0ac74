using System.Globalization;
using System.Net.Sockets;
using System.Runtime.Versioning;
using LightTunnel.Addressing;
using LightTunnel.Transport;

namespace LightTunnel.Forwarding;

/// <summary>What the rules of an exit node have to know of the machine.</summary>
/// <param name="Uplinks">Interfaces by which it leaves for the internet without a tunnel.</param>
/// <param name="Inner">Interfaces to what runs on it: containers, virtual machines.</param>
/// <param name="Begun">Connections of others' that went on when it began.</param>
internal sealed record ExitSurroundings(
    IReadOnlyList<string> Uplinks, IReadOnlyList<string> Inner, IReadOnlyList<BegunSession> Begun);

/// <summary>
/// The rules in nftables of a machine that goes out by an exit node, a table of its own beside that of forwarding. Routes say what goes
/// where; the rules do what routes cannot: answers go back the way on which they were asked for, questions for names are asked at the exit
/// node, and the kill switch.
/// </summary>
/// <remarks>
/// All of it may stay behind when the process is killed. Without the kill switch that must not keep the machine from its network: marks
/// that nobody looks for do nothing, and what is done about names is for as long as the process says so, again and again (a set whose
/// elements time out).
/// </remarks>
[SupportedOSPlatform("linux")]
internal static class ExitRules
{
    /// <summary>The table's name, of the family "inet".</summary>
    public const string Table = "lighttunnel-exit";

    /// <summary>For so long names are asked for at the exit node after this was said last.</summary>
    public const int NamesSeconds = 90;

    private const string Private4 = "10.0.0.0/8, 100.64.0.0/10, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16";
    private const string Private6 = "fc00::/7, fe80::/10";
    private const string NamesPorts = "meta l4proto @names th dport 53";
    private const string RejectAll = "reject with icmpx type admin-prohibited";

    /// <summary>The networks that machines have among themselves, which no exit node leads to.</summary>
    public static IReadOnlyList<IpPrefix> PrivateNetworks { get; } = [.. $"{Private4}, {Private6}".Split(", ").Select(Parse)];

    /// <summary>The commands that make the table, in place of the one that there may be.</summary>
    public static string Set(ExitPlan plan, ExitSurroundings around)
    {
        string tunnel = Quote(plan.Interface);
        string[] lines =
        [
            .. Delete,
            $"table inet {Table} {{",
            $"  set names {{ type inet_proto; flags timeout; elements = {{ {Names} }} }}",
            // Who was talked to first answers by the way on which that came, also where that is not by the exit node.
            "  chain answers-through {",
            "    type filter hook prerouting priority -150; policy accept;",
            $"    ct direction reply meta mark 0 meta mark set {TunnelMark.Replies}",
            "  }",
            .. Set("begun4", "ipv4_addr", around.Begun.Where(session => session.Remote.AddressFamily == AddressFamily.InterNetwork)),
            .. Set("begun6", "ipv6_addr", around.Begun.Where(session => session.Remote.AddressFamily == AddressFamily.InterNetworkV6)),
            "  chain answers {",
            "    type route hook output priority -150; policy accept;",
            $"    ct direction reply meta mark 0 meta mark set {TunnelMark.Replies}",
            $"    meta mark 0 ip daddr . tcp sport . tcp dport @begun4 meta mark set {TunnelMark.Replies}",
            $"    meta mark 0 ip6 daddr . tcp sport . tcp dport @begun6 meta mark set {TunnelMark.Replies}",
            "  }",
            .. NamesOf(plan, around, tunnel),
            .. plan.KillSwitch ? KillSwitchOf(plan, around, tunnel) : [],
            "}",
        ];
        return string.Join('\n', lines) + "\n";
    }

    /// <summary>The commands that say again that names are asked for at the exit node.</summary>
    public static string Renew() =>
        $"flush set inet {Table} names\nadd element inet {Table} names {{ {Names} }}\n";

    /// <summary>The commands that take the table away, whether there is one or not.</summary>
    public static string Remove() => string.Join('\n', Delete) + "\n";

    private static IEnumerable<string> Set(string name, string address, IEnumerable<BegunSession> sessions)
    {
        string elements = string.Join(", ", sessions.Select(session => string.Create(
            CultureInfo.InvariantCulture, $"{session.Remote} . {session.LocalPort} . {session.RemotePort}")));
        string content = elements.Length == 0 ? string.Empty : $" elements = {{ {elements} }}";
        return [$"  set {name} {{ type {address} . inet_service . inet_service;{content} }}"];
    }

    private static string[] Delete => [$"add table inet {Table}", $"delete table inet {Table}"];

    private static string Names => $"tcp timeout {NamesSeconds}s, udp timeout {NamesSeconds}s";

    private static IEnumerable<string> NamesOf(ExitPlan plan, ExitSurroundings around, string tunnel)
    {
        string[] ways = [tunnel, .. around.Uplinks.Select(Quote)];
        string from = $"    oifname != {{ {string.Join(", ", ways)} }} return";
        string[] inside4 = [.. plan.Inside.Where(prefix => prefix.Network.IsIPv4).Select(prefix => prefix.ToString())];
        string[] inside6 = [.. plan.Inside.Where(prefix => !prefix.Network.IsIPv4).Select(prefix => prefix.ToString())];
        return
        [
            "  chain names-to {",
            "    type nat hook output priority -100; policy accept;",
            $"    meta mark {TunnelMark.Value} return",
            from,
            .. inside4.Select(prefix => $"    ip daddr {prefix} return"),
            .. inside6.Select(prefix => $"    ip6 daddr {prefix} return"),
            // What is on the internet and goes by the exit node anyway stays what it is.
            $"    oifname {tunnel} ip daddr != {{ {Private4} }} return",
            $"    oifname {tunnel} ip6 daddr != {{ {Private6} }} return",
            .. plan.IPv4 is { } four ? [$"    meta nfproto ipv4 {NamesPorts} dnat ip to {four}"] : (string[])[],
            .. plan.IPv6 is { } six ? [$"    meta nfproto ipv6 {NamesPorts} dnat ip6 to {six}"] : (string[])[],
            "  }",
            "  chain names-from {",
            "    type nat hook postrouting priority 100; policy accept;",
            $"    oifname {tunnel} ct status dnat ct direction original meta l4proto {{ tcp, udp }} th dport 53 masquerade",
            "  }",
            // What cannot be asked at the exit node is not asked at all.
            "  chain names-kept {",
            "    type filter hook output priority 10; policy accept;",
            .. around.Uplinks.Count == 0 ? (string[])[] :
            [
                $"    meta mark {TunnelMark.Value} return",
                "    ct status dnat return", // It leaves by another interface than it seems here.
                $"    oifname {{ {string.Join(", ", around.Uplinks.Select(Quote))} }} {NamesPorts} {RejectAll}",
            ],
            "  }",
        ];
    }

    /// <remarks>
    /// What a program sends is told to be refused. Where it is led elsewhere on its way, as questions for names are, only the last hook
    /// knows by which interface it leaves, and it can be dropped there alone.
    /// </remarks>
    private static IEnumerable<string> KillSwitchOf(ExitPlan plan, ExitSurroundings around, string tunnel) =>
    [
        "  chain kill {",
        $"    oifname {{ {string.Join(", ", (string[])["\"lo\"", tunnel, .. around.Inner.Select(Quote)])} }} accept",
        $"    meta mark {TunnelMark.Value} accept",
        $"    iifname {tunnel} accept", // Members', into networks that are offered.
        // The machine's own addresses (DHCP), and its neighbours' (ND, RFC 4861).
        "    udp sport 68 udp dport 67 accept",
        "    udp sport 546 udp dport 547 accept",
        "    icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-report, mld-listener-done, "
            + "mld2-listener-report } accept",
        .. plan.AllowLan
            ? (string[])[
                "    meta l4proto { tcp, udp } th dport 53 return",
                $"    ip daddr {{ {Private4}, 224.0.0.0/4, 255.255.255.255 }} accept",
                $"    ip6 daddr {{ {Private6}, ff00::/8 }} accept",
            ]
            : [],
        "  }",
        "  chain kill-out {",
        "    type filter hook output priority 20; policy accept;",
        "    ct status dnat accept",
        "    jump kill",
        $"    {RejectAll}",
        "  }",
        "  chain kill-through {",
        "    type filter hook forward priority 20; policy accept;",
        "    jump kill",
        $"    {RejectAll}",
        "  }",
        "  chain kill-last {",
        "    type filter hook postrouting priority 300; policy accept;",
        "    jump kill",
        "    drop",
        "  }",
    ];

    private static string Quote(string name) => $"\"{name}\"";

    private static IpPrefix Parse(string text) => IpPrefix.TryParse(text, out IpPrefix prefix) ? prefix : throw new FormatException(text);
}
