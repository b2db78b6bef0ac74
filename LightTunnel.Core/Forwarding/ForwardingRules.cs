using System.Text.Json;
using LightTunnel.Addressing;

namespace LightTunnel.Forwarding;

/// <summary>
/// The rules of forwarding in nftables: one table for all tunnels of the machine, as one table's drop cannot be taken back by another's
/// accept. Only what passes between a tunnel and the networks offered by it is forwarded; what arrives by an interface whose forwarding was
/// switched on for that is dropped otherwise, so this machine becomes nobody's router.
/// </summary>
/// <remarks>
/// Each tunnel has chains of its own: what comes from it, what goes to it, whose sources are translated, and what settings it has changed,
/// as comments, for other tunnels and for people to read. The table is as short-lived as the settings are. It must outlive a process that
/// was killed, or its machine would forward without limits until the tunnel starts again: so it has no owner (nft's "flags owner").
/// </remarks>
internal static class ForwardingRules
{
    /// <summary>The table's name, of the family "inet".</summary>
    public const string Table = "lighttunnel";

    /// <summary>
    /// So many connections at once may one address have that is translated: each takes a place in the kernel's table, which is the whole
    /// machine's. More than a household or a browser has, and a fraction of what the smallest machine has room for.
    /// </summary>
    public const int MostConnections = 4096;

    private const string From = "from-", To = "to-", Translated = "nat-", Changed = "was-", Names = "names-", Here = "here-";
    private const string Forward = "forward", PostRouting = "postrouting", PreRouting = "prerouting", Input = "input";
    private const string NamesPort = "meta l4proto { tcp, udp } th dport 53";
    private const string Path = $"inet {Table}";

    /// <summary>Interface names that can stand in rules, and in the names of chains.</summary>
    public static bool IsInterfaceName(string name) =>
        name.Length is > 0 and <= 15 && name is not ("." or "..")
        && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' or '+' or '@' or '%');

    /// <summary>Reads the table as the program lists it; null: there is none.</summary>
    public static ForwardingTableState Read(JsonDocument? listed)
    {
        var rules = new Dictionary<string, int>();
        var tunnels = new Dictionary<string, List<SettingClaim>>();
        bool exists = false;
        foreach (JsonElement item in NftJson.Items(listed))
        {
            exists = true;
            if (NftJson.Text(item, "chain", "name") is { } chain)
            {
                rules.TryAdd(chain, 0);
                if (chain.StartsWith(From, StringComparison.Ordinal))
                    tunnels.TryAdd(chain[From.Length..], []);
            }
            else if (NftJson.Text(item, "rule", "chain") is { } of)
            {
                rules[of] = rules.GetValueOrDefault(of) + 1;
                if (of.StartsWith(Changed, StringComparison.Ordinal) && NftJson.Text(item, "rule", "comment") is { } comment
                    && SettingClaim.TryParse(comment, out SettingClaim claim)
                    && tunnels.TryGetValue(of[Changed.Length..], out List<SettingClaim>? claims))
                {
                    claims.Add(claim);
                }
            }
        }

        return new ForwardingTableState(
            exists, rules, tunnels.Where(tunnel => IsInterfaceName(tunnel.Key))
                .ToDictionary(tunnel => tunnel.Key, tunnel => (IReadOnlyList<SettingClaim>)tunnel.Value));
    }

    /// <summary>The commands that give a tunnel its rules, in place of those that it has, and leave others theirs.</summary>
    /// <param name="options">The tunnel and its networks.</param>
    /// <param name="claims">What settings it has changed.</param>
    /// <param name="table">The table as it is.</param>
    /// <param name="inForce">Which claims, of whomever, still limit what is forwarded.</param>
    /// <param name="isRouter">
    /// Whether the machine forwards for others too: what comes from the tunnel may then be an answer to these, or for a port that is
    /// forwarded to them, as docker does for containers.
    /// </param>
    /// <param name="countsConnections">Whether <see cref="MostConnections"/> is kept to; some kernels cannot count them.</param>
    /// <param name="found">By what an exit node leads to the internet, and to whom it has questions for names go.</param>
    public static string Set(
        ForwardingOptions options, IReadOnlyList<SettingClaim> claims, ForwardingTableState table, Func<SettingClaim, bool> inForce,
        bool isRouter, bool countsConnections = true, ForwardedInterfaces? found = null)
    {
        string name = options.Interface;
        ForwardedNetwork[] networks = [.. options.Networks.Where(network => !network.IsExit)];
        IReadOnlyList<TunnelAddress> resolvers = found?.Resolvers ?? [];
        bool isExit = found?.IsExit == true;
        bool translates = options.Networks.Any(network => network.TranslateSources);
        var commands = new List<string>();
        string[] limits = countsConnections ? [.. LimitsOf(options)] : [];
        if (limits.Length > 0)
        {
            commands.AddRange(
            [
                $"add set {Path} members4 {{ type ipv4_addr; size 65535; flags dynamic; }}",
                $"add set {Path} members6 {{ type ipv6_addr; size 65535; flags dynamic; }}",
            ]);
        }

        string[] others = isRouter ? ["ct state established,related accept", "ct status dnat accept"] : [];
        AddChain(
            commands, From + name,
            [
                .. limits, .. networks.Select(network => $"{Match(network, "daddr")} accept"),
                .. resolvers.Select(resolver => $"{Match(resolver)} {NamesPort} ct status dnat accept"),
                .. ExitsOf(found).Select(exit => $"{exit} accept"), .. others, "drop",
            ]);
        // A host that never hears of the tunnel's MTU, as somebody drops ICMP, has its connections cut to it all the same.
        AddChain(
            commands, To + name,
            [
                "tcp flags syn tcp option maxseg size set rt mtu",
                .. networks.Select(network => $"{Match(network, "saddr")} accept"),
                // Nobody of the internet begins.
                .. isExit ? ["ct state established,related accept"] : (string[])[],
            ]);
        AddChain(commands, Changed + name, [.. claims.Select(claim => $"return comment \"{claim}\"")]);
        if (translates)
        {
            AddChain(
                commands, Translated + name,
                [
                    .. networks.OrderByDescending(network => network.Prefix.Length)
                        .Select(network => $"{Match(network, "daddr")} {(network.TranslateSources ? "masquerade" : "return")}"),
                    .. resolvers.Select(resolver => $"{Match(resolver)} {NamesPort} ct status dnat masquerade"),
                    .. ExitsOf(found).Select(exit => $"{exit} masquerade"),
                ]);
        }

        if (isExit)
        {
            // Its own address on the internet is not one of the internet: who reaches it so would have passed by its firewall of there.
            AddChain(
                commands, Here + name,
                [
                    "ct status dnat accept", .. networks.Select(network => $"{Match(network, "daddr")} accept"),
                    "fib daddr . iif type != { local, broadcast, multicast } drop",
                ]);
        }

        if (resolvers.Count > 0)
        {
            AddChain(
                commands, Names + name,
                [.. resolvers.Select(resolver => $"meta nfproto {(resolver.IsIPv4 ? "ipv4" : "ipv6")} fib daddr type local {NamesPort} "
                    + $"dnat {(resolver.IsIPv4 ? "ip" : "ip6")} to {resolver}")]);
        }

        var tunnels = new Dictionary<string, IReadOnlyList<SettingClaim>>(table.Tunnels) { [name] = claims };
        IEnumerable<string> translating = table.Tunnels.Keys.Where(other => other != name && table.Has(Translated + other));
        IEnumerable<string> naming = table.Tunnels.Keys.Where(other => other != name && table.Has(Names + other));
        IEnumerable<string> guarded = table.Tunnels.Keys.Where(other => other != name && table.Has(Here + other));
        AddShared(
            commands, tunnels, translates ? translating.Append(name) : translating, resolvers.Count > 0 ? naming.Append(name) : naming,
            isExit ? guarded.Append(name) : guarded, inForce);
        foreach ((string kind, bool isWanted) in
            new[] { (Translated, translates), (Names, resolvers.Count > 0), (Here, isExit) })
        {
            if (!isWanted && table.Has(kind + name))
                commands.AddRange([$"flush chain {Path} {kind}{name}", $"delete chain {Path} {kind}{name}"]);
        }

        return string.Join('\n', [$"add table {Path}", .. commands]) + "\n";
    }

    /// <summary>The commands that take a tunnel's rules away, and the table with the last of them.</summary>
    /// <param name="name">The tunnel's interface.</param>
    /// <param name="table">The table as it is; there is one.</param>
    /// <param name="inForce">As above.</param>
    public static string Remove(string name, ForwardingTableState table, Func<SettingClaim, bool> inForce)
    {
        var others = table.Tunnels.Where(tunnel => tunnel.Key != name).ToDictionary();
        if (others.Count == 0)
            return $"delete table {Path}\n";
        var commands = new List<string>();
        AddShared(
            commands, others, others.Keys.Where(other => table.Has(Translated + other)),
            others.Keys.Where(other => table.Has(Names + other)), others.Keys.Where(other => table.Has(Here + other)), inForce);
        foreach (string chain in new[] { From, To, Changed, Translated, Names, Here }.Select(kind => kind + name).Where(table.Has))
            commands.AddRange([$"flush chain {Path} {chain}", $"delete chain {Path} {chain}"]);
        return string.Join('\n', commands) + "\n";
    }

    /// <summary>True when the table is as the commands of <see cref="Set"/> would make it, as far as the number of rules tells.</summary>
    public static bool IsAsSet(ForwardingTableState table, string commands)
    {
        IEnumerable<IGrouping<string, string>> wanted = commands.Split('\n')
            .Where(command => command.StartsWith($"add rule {Path} ", StringComparison.Ordinal))
            .GroupBy(command => command.Split(' ')[4]);
        return wanted.All(chain => table.Rules.GetValueOrDefault(chain.Key) == chain.Count());
    }

    private static IEnumerable<string> LimitsOf(ForwardingOptions options)
    {
        IEnumerable<bool> families = options.Networks.Where(network => network.TranslateSources)
            .Select(network => network.Prefix.Network.IsIPv4).Distinct();
        return families.Select(isIPv4 => isIPv4
            ? $"ct state new add @members4 {{ ip saddr ct count over {MostConnections} }} drop"
            : $"ct state new add @members6 {{ ip6 saddr ct count over {MostConnections} }} drop");
    }

    private static void AddShared(
        List<string> commands, Dictionary<string, IReadOnlyList<SettingClaim>> tunnels, IEnumerable<string> translating,
        IEnumerable<string> naming, IEnumerable<string> guarded, Func<SettingClaim, bool> inForce)
    {
        SettingClaim[] claims = [.. tunnels.Values.SelectMany(each => each).Where(inForce)];
        var rules = new List<string>
        {
            $"iifname vmap {{ {Jumps(tunnels.Keys, From)} }}",
            $"oifname vmap {{ {Jumps(tunnels.Keys, To)} }}",
        };
        foreach (bool isIPv4 in (bool[])[true, false])
        {
            string[] opened = [.. claims.Where(claim => claim.IsIPv4 == isIPv4 && claim.OpensInterface)
                .Select(claim => $"\"{claim.Interface}\"").Distinct().Order(StringComparer.Ordinal)];
            string family = isIPv4 ? "ipv4" : "ipv6";
            if (claims.Any(claim => claim.IsIPv4 == isIPv4 && claim.OpensFamily))
                rules.Add($"meta nfproto {family} drop");
            else if (opened.Length > 0)
                rules.Add($"meta nfproto {family} iifname {{ {string.Join(", ", opened)} }} drop");
        }

        AddChain(commands, Forward, rules, " { type filter hook forward priority -10; policy accept; }");
        AddHook(commands, PostRouting, [.. translating], Translated, " { type nat hook postrouting priority 100; policy accept; }");
        AddHook(commands, PreRouting, [.. naming], Names, " { type nat hook prerouting priority -100; policy accept; }");
        AddHook(commands, Input, [.. guarded], Here, " { type filter hook input priority -10; policy accept; }");
    }

    /// <summary>A chain that leads to chains of tunnels; none when no tunnel has one.</summary>
    private static void AddHook(List<string> commands, string chain, string[] tunnels, string kind, string hook)
    {
        if (tunnels.Length > 0)
            AddChain(commands, chain, [$"iifname vmap {{ {Jumps(tunnels, kind)} }}"], hook);
        else
            commands.AddRange([$"add chain {Path} {chain}", $"flush chain {Path} {chain}", $"delete chain {Path} {chain}"]);
    }

    private static void AddChain(List<string> commands, string name, IReadOnlyList<string> rules, string hook = "")
    {
        commands.AddRange([$"add chain {Path} {name}{hook}", $"flush chain {Path} {name}"]);
        commands.AddRange(rules.Select(rule => $"add rule {Path} {name} {rule}"));
    }

    private static string Jumps(IEnumerable<string> tunnels, string kind) =>
        string.Join(", ", tunnels.Order(StringComparer.Ordinal).Select(name => $"\"{name}\" : jump {kind}{name}"));

    /// <summary>What leaves by the interfaces that an exit node leads to the internet by.</summary>
    private static IEnumerable<string> ExitsOf(ForwardedInterfaces? found) =>
        new (string Family, IReadOnlyList<string> Names)[] { ("ipv4", found?.Exits4 ?? []), ("ipv6", found?.Exits6 ?? []) }
            .Select(exit => (exit.Family, Names: exit.Names.Where(IsInterfaceName).Select(each => $"\"{each}\"").ToArray()))
            .Where(exit => exit.Names.Length > 0)
            .Select(exit => $"meta nfproto {exit.Family} oifname {{ {string.Join(", ", exit.Names)} }}");

    private static string Match(TunnelAddress resolver) => $"{(resolver.IsIPv4 ? "ip" : "ip6")} daddr {resolver}";

    private static string Match(ForwardedNetwork network, string field) =>
        $"{(network.Prefix.Network.IsIPv4 ? "ip" : "ip6")} {field} {network.Prefix}";
}

/// <summary>What stands in the table.</summary>
/// <param name="Exists">Whether there is one.</param>
/// <param name="Rules">Its chains, and how many rules each has.</param>
/// <param name="Tunnels">The interfaces of the tunnels that have rules in it, with the settings that they have changed.</param>
internal sealed record ForwardingTableState(
    bool Exists, IReadOnlyDictionary<string, int> Rules, IReadOnlyDictionary<string, IReadOnlyList<SettingClaim>> Tunnels)
{
    /// <summary>True when there is a chain of that name.</summary>
    public bool Has(string chain) => Rules.ContainsKey(chain);

    /// <summary>A setting as another tunnel has changed it; null when none has.</summary>
    /// <param name="name">The tunnel that asks.</param>
    /// <param name="key">The setting.</param>
    /// <param name="isThere">Which tunnels count: one whose interface is gone was killed, and needs nothing any more. Null for all.</param>
    public SettingClaim? ClaimOfOthers(string name, string key, Func<string, bool>? isThere = null)
    {
        foreach ((string other, IReadOnlyList<SettingClaim> claims) in Tunnels)
        {
            foreach (SettingClaim claim in claims)
            {
                if (other != name && claim.Key == key && !claim.IsCondition && isThere?.Invoke(other) != false)
                    return claim;
            }
        }

        return null;
    }
}

/// <summary>Reads what nft lists as JSON (libnftables-json(5)).</summary>
internal static class NftJson
{
    /// <summary>The objects that are listed, each with one member that says what it is; but not about the program itself.</summary>
    public static IEnumerable<JsonElement> Items(JsonDocument? listed) =>
        listed?.RootElement is { ValueKind: JsonValueKind.Object } root && root.TryGetProperty("nftables", out JsonElement items)
            && items.ValueKind == JsonValueKind.Array
            ? items.EnumerateArray().Where(item => item.ValueKind == JsonValueKind.Object && !item.TryGetProperty("metainfo", out _))
            : [];

    /// <summary>A member of an object of one kind that is a text; null when it is none.</summary>
    public static string? Text(JsonElement item, string kind, string member) =>
        item.TryGetProperty(kind, out JsonElement body) ? Text(body, member) : null;

    /// <summary>A member that is a text; null when it is none.</summary>
    public static string? Text(JsonElement body, string member) =>
        body.ValueKind == JsonValueKind.Object && body.TryGetProperty(member, out JsonElement value)
            && value.ValueKind == JsonValueKind.String
            ? value.GetString()
            : null;
}
