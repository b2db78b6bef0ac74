using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Membership;

namespace LightTunnel.Configuration;

/// <summary>Reads what a person wrote of networks behind nodes: which this one offers, which it takes, which need no approval.</summary>
internal static class RouteSettings
{
    private const string NetworkRemedy = "Give a network's address and prefix length, such as 192.168.7.0/24 or 2001:db8:7::/64.";

    /// <summary>The networks that are offered.</summary>
    /// <param name="settings">What a person wrote.</param>
    /// <param name="inside">The tunnel's own network, as far as it is known.</param>
    /// <param name="check">Takes what is wrong.</param>
    public static IReadOnlyList<OfferedRoute> Offered(TunnelSettings settings, IReadOnlyList<IpPrefix> inside, SettingsCheck check)
    {
        var offered = new HashSet<IpPrefix>();
        List<OfferedRoute> routes = check.ReadAll(nameof(settings.Route), settings.Route, text =>
        {
            IpPrefix prefix = OfferedPrefix(text, inside);
            return offered.Add(prefix) ? new OfferedRoute(prefix, null, settings.NoSnat != true) : throw new LightTunnelException(
                LightTunnelError.InvalidOption, $"Route: {prefix} is there twice.", "Name each network once.") { Target = text };
        });
        CheckCount(check, nameof(settings.Route), settings.Route, OfferedRoute.MaximumCount);
        if (settings.As is { Count: > 0 })
            routes = WithNames(routes, settings, inside, check);
        if (settings.OfferExitNode == true)
            routes.AddRange(OfferedRoute.Everything);
        if (settings is { OfferExitNode: true, Route.Count: <= OfferedRoute.MaximumCount } && routes.Count > OfferedRoute.MaximumCount)
        {
            check.Add(nameof(settings.Route), new LightTunnelException(
                LightTunnelError.InvalidOption, $"Route: {settings.Route.Count} networks are too many beside -OfferExitNode.",
                $"Name at most {OfferedRoute.MaximumCount - OfferedRoute.Everything.Count}."));
        }

        if (routes.Count <= OfferedRoute.MaximumCount
            && routes.Sum(route => MemberRoutes.LengthOf(route.Told)) > MemberRoutes.MaximumLength)
        {
            check.Add(nameof(settings.Route), new LightTunnelException(
                LightTunnelError.InvalidOption, $"Route: {routes.Count} networks with such long prefixes are too many to be told.",
                "Offer fewer, or shorter prefixes: up to 64 of IPv4, or of IPv6 up to /64, and 35 single addresses of IPv6."));
        }

        return routes;
    }

    /// <summary>The networks that are offered, by the names that others know them by.</summary>
    private static List<OfferedRoute> WithNames(
        List<OfferedRoute> routes, TunnelSettings settings, IReadOnlyList<IpPrefix> inside, SettingsCheck check)
    {
        List<IpPrefix> names = check.ReadAll(nameof(settings.As), settings.As, text => OfferedPrefix(text, inside));
        if (settings.As!.Count != (settings.Route?.Count ?? 0))
        {
            check.Add(nameof(settings.As), new LightTunnelException(
                LightTunnelError.InvalidOption,
                $"As: there are {settings.As.Count} networks for the {settings.Route?.Count ?? 0} of Route.",
                "Give one for each of Route, in the same order; a network that is to be known as what it is stands in both."));
        }

        if (names.Count != routes.Count || names.Count != settings.As.Count)
            return routes;
        var named = new List<OfferedRoute>();
        for (int i = 0; i < routes.Count; i++)
        {
            OfferedRoute route = routes[i] with { As = names[i] == routes[i].Prefix ? null : names[i] };
            check.Guard(nameof(settings.As), i, () => CheckName(route, named));
            named.Add(route);
        }

        return named;
    }

    private static void CheckName(OfferedRoute route, List<OfferedRoute> before)
    {
        if (!route.Pair.IsOneToOne)
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidOption, $"As: {route.Prefix} cannot be known as {route.Told}, which is not as large.",
                $"Give a network of the same family with the length /{route.Prefix.Length}.") { Target = route.Told.ToString() };
        }

        if (before.Find(other => other.Pair.Contradicts(route.Pair)) is { } contradicted)
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidOption, $"As: {route.Pair} contradicts {contradicted.Pair}: some addresses are in both.",
                "Name networks that have no address in common, on either side.") { Target = route.Told.ToString() };
        }
    }

    /// <summary>The networks that are taken.</summary>
    public static AcceptedRoutes Accepted(TunnelSettings settings, SettingsCheck check)
    {
        bool all = settings.AcceptRoute?.Any(text => text.Trim() == AcceptedRoutes.Everything) == true;
        List<IpPrefix> within = check.ReadAll(
            nameof(settings.AcceptRoute), settings.AcceptRoute,
            text => text.Trim() == AcceptedRoutes.Everything ? default : AcceptedPrefix(text));
        CheckCount(check, nameof(settings.AcceptRoute), settings.AcceptRoute, AcceptedRoutes.MaximumCount);
        if (settings.ForceRoute == true && all)
        {
            check.Add(nameof(settings.ForceRoute), new LightTunnelException(
                LightTunnelError.InvalidOption, $"Every network is accepted ('{AcceptedRoutes.Everything}'), and to be taken by force.",
                "Name the networks that are to be taken also where they are in the way of something: who offers them could take any."));
        }

        return new AcceptedRoutes(all, [.. within.Where(prefix => prefix != default)], settings.ForceRoute == true);
    }

    /// <summary>The exit node that is taken.</summary>
    public static ExitOptions Exit(TunnelSettings settings, SettingsCheck check)
    {
        string? name = settings.ExitNode?.Trim();
        if (name?.Length is 0 or > ExitOptions.LongestName || name?.Any(char.IsControl) == true)
        {
            check.Add(nameof(settings.ExitNode), new LightTunnelException(
                LightTunnelError.InvalidOption, "ExitNode: this is the name of no member.",
                $"Give the name, the tunnel address or the key of the member, or {ExitOptions.Nobody}.") { Target = settings.ExitNode });
            return ExitOptions.None;
        }

        name = ExitOptions.Nobody.Equals(name, StringComparison.OrdinalIgnoreCase) ? null : name;
        if (name is not null && settings.OfferExitNode == true)
        {
            check.Add(nameof(settings.ExitNode), new LightTunnelException(
                LightTunnelError.InvalidOption, "ExitNode: a machine that offers itself as an exit node cannot go out by another one.",
                "Give -OfferExitNode or -ExitNode: what members sent here would go round and round.") { Target = name });
        }

        if (name is null && check.Complete && (settings.KillSwitch == true || settings.AllowLan == true))
        {
            string key = settings.KillSwitch == true ? nameof(settings.KillSwitch) : nameof(settings.AllowLan);
            check.Add(key, new LightTunnelException(
                LightTunnelError.InvalidOption, $"{key}: there is no exit node that it would be about.",
                "Name one with -ExitNode, or leave it out."));
        }

        return new ExitOptions(name, settings.AllowLan == true, settings.KillSwitch == true);
    }

    /// <summary>Whose networks need no approval.</summary>
    public static IReadOnlyList<AutoApprovedRoutes> AutoApproved(ServerSettings settings, SettingsCheck check)
    {
        List<AutoApprovedRoutes> read = check.ReadAll(nameof(settings.AutoApproveRoute), settings.AutoApproveRoute, text =>
        {
            const string Remedy = "Write a group, such as gateways, or a group and the prefix that its networks lie in, "
                + "gateways=192.168.0.0/16.";
            string[] parts = text.Split('=', 2, StringSplitOptions.TrimEntries);
            return new AutoApprovedRoutes(GroupName.Read(parts[0]), parts.Length == 1 ? null : Prefix(parts[1], text, Remedy));
        });
        CheckCount(check, nameof(settings.AutoApproveRoute), settings.AutoApproveRoute, AutoApprovedRoutes.MaximumCount);
        return read;
    }

    /// <summary>A network that somebody names.</summary>
    /// <exception cref="LightTunnelException">InvalidAddress.</exception>
    public static IpPrefix Network(string text) => Prefix(text, text, NetworkRemedy);

    /// <summary>A network behind this machine, "192.168.7.0/24".</summary>
    /// <param name="text">What was written.</param>
    /// <param name="inside">The tunnel's own network, as far as it is known.</param>
    /// <exception cref="LightTunnelException">InvalidAddress.</exception>
    private static IpPrefix OfferedPrefix(string text, IReadOnlyList<IpPrefix> inside)
    {
        IpPrefix prefix = Prefix(text, text, NetworkRemedy);
        if (prefix.Length == 0)
        {
            throw Invalid(
                text, "is a default route, and no network",
                "Name the networks that are to be reached; a machine that all traffic leaves by, an exit node, says -OfferExitNode.");
        }

        if (HostAddresses.WhyUnusable(prefix.Network) is { } kind)
            throw Invalid(text, kind, NetworkRemedy);
        if (HostAddresses.IsTooShort(prefix))
            throw Invalid(text, "is too short a prefix: it would take addresses of the internet", NetworkRemedy);
        return inside.Where(prefix.Overlaps).Select(own => (IpPrefix?)own).FirstOrDefault() is { } tunnel
            ? throw Invalid(
                text, $"has addresses of the tunnel's own network {tunnel}",
                "Offer networks outside of the tunnel's: its own addresses are reached already.")
            : prefix;
    }

    /// <summary>A prefix within which networks are taken.</summary>
    private static IpPrefix AcceptedPrefix(string text)
    {
        IpPrefix prefix = Prefix(
            text, text,
            $"Give prefixes within which networks are accepted, such as 192.168.0.0/16, or '{AcceptedRoutes.Everything}' for all.");
        return prefix.Length > 0 ? prefix : throw Invalid(
            text, "is a default route, which is never taken as a network",
            $"Write '{AcceptedRoutes.Everything}' to accept every network. All other traffic goes by the member that -ExitNode names.");
    }

    private static IpPrefix Prefix(string text, string whole, string remedy)
    {
        string trimmed = text.Trim();
        if (TunnelAddress.TryParse(trimmed, out TunnelAddress host))
            throw Invalid(whole, "has no prefix length", $"{remedy} A single host is {IpPrefix.Host(host)}.");
        if (!IpPrefix.TrySplit(trimmed, out TunnelAddress address, out int length))
            throw Invalid(whole, "is not the prefix of a network", remedy);
        var prefix = new IpPrefix(address, length);
        return prefix.Network == address ? prefix : throw Invalid(
            whole, $"is an address in the network {prefix}, not a network", $"Write {prefix}.");
    }

    private static void CheckCount(SettingsCheck check, string key, IReadOnlyList<string>? values, int most)
    {
        if (values?.Count > most)
        {
            check.Add(key, new LightTunnelException(
                LightTunnelError.InvalidOption, $"{key}: {values.Count} networks are too many.",
                $"Name at most {most}; a shorter prefix says the same of many."));
        }
    }

    private static LightTunnelException Invalid(string text, string what, string action) =>
        new(LightTunnelError.InvalidAddress, $"'{text.Trim()}' {what}.", action) { Target = text };
}
