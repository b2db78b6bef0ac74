using System.Text.Json;
using LightTunnel.Addressing;

namespace LightTunnel.Forwarding;

/// <summary>
/// Finds what keeps packets of a tunnel from being forwarded in the rules of others: docker, ufw, firewalld, an admin's own. A packet
/// passes when every table lets it, so what these drop, no rule of ours lets pass; they are left as they are, and it is said what allows
/// it.
/// </summary>
/// <remarks>
/// A chain at the hook "forward" counts when it drops or rejects what no rule decides, unless its table accepts the tunnel's interface by
/// name. What rules in between do is not worked out.
/// </remarks>
/// <param name="filter">The packet filter.</param>
internal sealed class ForeignFilters(INftables filter)
{
    /// <summary>What drops the tunnel's packets, and the command that allows them; null when nothing does.</summary>
    /// <param name="name">The tunnel's interface.</param>
    /// <param name="networks">The networks that are to be reached.</param>
    public string? FindProblem(string name, IReadOnlyList<IpPrefix> networks)
    {
        bool hasIPv4 = networks.Any(network => network.Network.IsIPv4), hasIPv6 = networks.Any(network => !network.Network.IsIPv4);
        using JsonDocument? chains = filter.List("chains");
        foreach (JsonElement item in NftJson.Items(chains))
        {
            if (!item.TryGetProperty("chain", out JsonElement chain) || NftJson.Text(chain, "hook") != "forward"
                || NftJson.Text(chain, "family") is not { } family || NftJson.Text(chain, "table") is not { } table
                || NftJson.Text(chain, "name") is not { } chainName || table == ForwardingRules.Table
                || (family is not "inet" && !(family == "ip" && hasIPv4) && !(family == "ip6" && hasIPv6)))
            {
                continue;
            }

            using JsonDocument? rules = filter.List("table", family, table);
            if (FindDrop(rules, chain, name) is not { } how)
                continue;
            string what = string.Join(", ", networks);
            return $"This machine's firewall drops what members send to {what}: {how} in chain {chainName} of table {family} {table}. "
                + $"{Remedy(rules, family, table, chainName, name, networks)}";
        }

        return FindLegacyProblem(name, networks, hasIPv4);
    }

    /// <summary>How the chain drops packets from or to the interface; null when it does not.</summary>
    internal static string? FindDrop(JsonDocument? rules, JsonElement chain, string name)
    {
        string? chainName = NftJson.Text(chain, "name");
        (bool from, bool to, bool replies) = (false, false, false);
        JsonElement? last = null;
        foreach (JsonElement item in NftJson.Items(rules))
        {
            if (!item.TryGetProperty("rule", out JsonElement rule) || !rule.TryGetProperty("expr", out JsonElement expressions)
                || expressions.ValueKind != JsonValueKind.Array)
            {
                continue;
            }

            if (NftJson.Text(rule, "chain") == chainName)
                last = expressions;
            if (!Decides(expressions, "accept"))
                continue;
            from |= Names(expressions, name, "iifname", "iif");
            to |= Names(expressions, name, "oifname", "oif");
            replies |= AcceptsReplies(expressions);
        }

        if (from && (to || replies))
            return null;
        if (NftJson.Text(chain, "policy") == "drop")
            return "policy drop";
        return last is { } end && IsUnconditional(end) && (Decides(end, "drop") || Decides(end, "reject") || IsRejectTarget(end))
            ? "its last rule"
            : null;
    }

    private static string Remedy(
        JsonDocument? rules, string family, string table, string chain, string name, IReadOnlyList<IpPrefix> networks)
    {
        string[] chains = [.. NftJson.Items(rules).Select(item => NftJson.Text(item, "chain", "name")).OfType<string>()];
        string iptables = family == "ip6" ? "ip6tables" : "iptables";
        if (chains.Any(each => each.StartsWith("ufw", StringComparison.Ordinal)))
            return $"Allow it: ufw route allow in on {name}; ufw route allow out on {name}";
        if (chains.Contains("DOCKER-USER"))
            return $"Allow it: {iptables} -I DOCKER-USER -i {name} -j ACCEPT; {iptables} -I DOCKER-USER -o {name} -j ACCEPT";
        if (table == "firewalld")
        {
            string[] lines = [.. networks.SelectMany(network => RichRules(network))];
            return "Allow it: firewall-cmd --permanent --new-policy=lighttunnel; firewall-cmd --permanent --policy=lighttunnel "
                + $"--add-ingress-zone=ANY --add-egress-zone=ANY {string.Join(' ', lines)}; firewall-cmd --reload";
        }

        return table == "filter" && chain == "FORWARD"
            ? $"Allow it: {iptables} -I FORWARD -i {name} -j ACCEPT; {iptables} -I FORWARD -o {name} -j ACCEPT"
            : $"Allow it: nft insert rule {family} {table} {chain} iifname {name} accept; "
                + $"nft insert rule {family} {table} {chain} oifname {name} accept";
    }

    private static IEnumerable<string> RichRules(IpPrefix network)
    {
        string family = network.Network.IsIPv4 ? "ipv4" : "ipv6";
        yield return $"--add-rich-rule='rule family={family} destination address={network} accept'";
        yield return $"--add-rich-rule='rule family={family} source address={network} accept'";
    }

    /// <summary>True when the rules end with this verdict for what they match.</summary>
    private static bool Decides(JsonElement expressions, string verdict) =>
        expressions.EnumerateArray().Any(each => each.ValueKind == JsonValueKind.Object && each.TryGetProperty(verdict, out _));

    /// <summary>True when a rule matches everything: it only counts or logs besides.</summary>
    private static bool IsUnconditional(JsonElement expressions) => expressions.EnumerateArray().All(each =>
        each.ValueKind == JsonValueKind.Object && !each.TryGetProperty("match", out _) && !each.TryGetProperty("vmap", out _)
        && (!each.TryGetProperty("xt", out JsonElement xt) || NftJson.Text(xt, "type") == "target"));

    private static bool IsRejectTarget(JsonElement expressions) => expressions.EnumerateArray().Any(each =>
        each.TryGetProperty("xt", out JsonElement xt) && NftJson.Text(xt, "name") is "REJECT" or "DROP");

    private static bool Names(JsonElement expressions, string name, params string[] keys) => expressions.EnumerateArray().Any(each =>
        TryMatch(each, out JsonElement left, out JsonElement right) && left.TryGetProperty("meta", out JsonElement meta)
        && keys.Contains(NftJson.Text(meta, "key")) && Contains(right, name));

    /// <summary>True for what accepts the packets of connections that were let pass, of any interface.</summary>
    private static bool AcceptsReplies(JsonElement expressions)
    {
        bool isReply = false;
        foreach (JsonElement each in expressions.EnumerateArray())
        {
            if (each.TryGetProperty("xt", out _))
                return false;
            if (!TryMatch(each, out JsonElement left, out JsonElement right))
                continue;
            if (!left.TryGetProperty("ct", out JsonElement ct) || NftJson.Text(ct, "key") != "state" || !Contains(right, "established"))
                return false;
            isReply = true;
        }

        return isReply;
    }

    private static bool TryMatch(JsonElement expression, out JsonElement left, out JsonElement right)
    {
        (left, right) = (default, default);
        return expression.ValueKind == JsonValueKind.Object && expression.TryGetProperty("match", out JsonElement match)
            && match.ValueKind == JsonValueKind.Object && NftJson.Text(match, "op") is "==" or "in"
            && match.TryGetProperty("left", out left) && left.ValueKind == JsonValueKind.Object && match.TryGetProperty("right", out right);
    }

    private static bool Contains(JsonElement right, string text) => right.ValueKind switch
    {
        JsonValueKind.String => right.GetString() is { } value
            && (value == text || (value.EndsWith('*') && text.StartsWith(value[..^1], StringComparison.Ordinal))),
        JsonValueKind.Array => right.EnumerateArray().Any(each => Contains(each, text)),
        JsonValueKind.Object => right.TryGetProperty("set", out JsonElement set) && Contains(set, text),
        _ => false,
    };

    /// <summary>What nft does not list: rules that the older iptables has put into the kernel's older filter.</summary>
    private static string? FindLegacyProblem(string name, IReadOnlyList<IpPrefix> networks, bool hasIPv4)
    {
        const string Tables = "/proc/thread-self/net/ip_tables_names";
        try
        {
            if (!hasIPv4 || !File.Exists(Tables) || !File.ReadAllLines(Tables).Contains("filter"))
                return null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }

        string program = NftProgram.Find("iptables-legacy") is null ? "iptables" : "iptables-legacy";
        (int status, string output, _) = NftProgram.Run(program, ["-S", "FORWARD"], null);
        return status == 0 && DropsInLegacy(output, name)
            ? $"This machine's firewall drops what members send to {string.Join(", ", networks)}: chain FORWARD of iptables. "
                + $"Allow it: {program} -I FORWARD -i {name} -j ACCEPT; {program} -I FORWARD -o {name} -j ACCEPT"
            : null;
    }

    /// <summary>True when what "iptables -S FORWARD" tells drops the interface's packets.</summary>
    internal static bool DropsInLegacy(string listed, string name)
    {
        string[] lines = [.. listed.Split('\n').Select(line => line.Trim()).Where(line => line.Length > 0)];
        bool drops = lines.Contains("-P FORWARD DROP")
            || (lines.Length > 0
                && (lines[^1].StartsWith("-A FORWARD -j REJECT", StringComparison.Ordinal) || lines[^1] == "-A FORWARD -j DROP"));
        return drops && !lines.Any(line => line.StartsWith($"-A FORWARD -i {name} ", StringComparison.Ordinal)
            && line.EndsWith("-j ACCEPT", StringComparison.Ordinal));
    }
}
