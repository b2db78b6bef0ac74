using LightTunnel.Addressing;
using LightTunnel.Tun;

namespace LightTunnel.Engine.Probing;

/// <summary>
/// What stands in a tunnel's way on this machine itself, on Windows: routes of others that take its packets, metrics, IPv6 that is
/// switched off, other tunnels and drivers. Judges facts; who reads them is <see cref="WindowsSurroundingsReader"/>.
/// </summary>
internal static class SurroundingProblems
{
    /// <summary>How the filters begin that Windows itself puts on adapters.</summary>
    private static readonly string[] OwnFilters =
        ["WFP ", "QoS Packet Scheduler", "Native WiFi Filter", "Virtual WiFi Filter", "Hyper-V ", "Microsoft "];

    /// <summary>What is wrong, the worst first.</summary>
    /// <param name="facts">What Windows has beside the tunnel.</param>
    /// <param name="adapter">The GUID of the tunnel's adapter.</param>
    /// <param name="addresses">The tunnel's addresses.</param>
    /// <param name="report">What was measured.</param>
    public static IEnumerable<NetworkProblem> Find(
        WindowsSurroundings facts, Guid adapter, IReadOnlyList<InterfaceAddress> addresses, NetworkTestReport report)
    {
        if (facts.Interfaces.FirstOrDefault(one => one.Id == adapter && !one.IsFilter) is not { } tunnel)
            return []; // Gone meanwhile; the tunnel ends by itself.
        var others = facts.Interfaces.Where(one => one.IsUp && !one.IsFilter && one.Luid != tunnel.Luid)
            .GroupBy(one => one.Luid)
            .ToDictionary(same => same.Key, same => same.First());
        WindowsInterface? uplink = BestOf(facts.Routes.Where(route => route.Prefix.Length == 0), others);
        return
        [
            .. IPv6Problems(facts, tunnel, uplink, addresses, report),
            .. addresses.Select(address => address.Prefix).Distinct().SelectMany(own => RouteProblems(facts, tunnel, others, own)),
            .. ServerProblems(facts, tunnel, others, report),
            .. MetricProblems(tunnel, uplink, addresses),
            .. FilterProblems(facts, tunnel, uplink, report),
        ];
    }

    /// <summary>Who takes packets to a network of the tunnel: a longer prefix goes first, then the lower sum of both metrics.</summary>
    private static IEnumerable<NetworkProblem> RouteProblems(
        WindowsSurroundings facts, WindowsInterface tunnel, Dictionary<ulong, WindowsInterface> others, IpPrefix own)
    {
        bool isIPv4 = own.Network.IsIPv4;
        if (tunnel.Metric(isIPv4) is not { } metric)
            yield break; // This family is off, which is another problem.
        uint? cost = facts.Routes.Where(route => route.Luid == tunnel.Luid && route.Prefix == own)
            .Select(route => (uint?)(route.Metric + metric))
            .Min();
        foreach (IGrouping<ulong, WindowsRoute> taken in facts.Routes
            .Where(route => others.ContainsKey(route.Luid) && route.Prefix.Length >= own.Length && own.Contains(route.Prefix.Network))
            .GroupBy(route => route.Luid))
        {
            WindowsInterface other = others[taken.Key];
            if (taken.Where(route => route.Prefix == own).Select(route => route.Metric + other.Metric(isIPv4)).Min() is { } its)
            {
                yield return cost is { } ours && its > ours
                    ? new NetworkProblem(
                        $"The network {own} is that of {other} as well, whose machines are not reached while the tunnel is up.",
                        "Give one of the two another network.")
                    : new NetworkProblem(
                        $"Packets to the tunnel's network {own} leave by {other}: the metric of its route is {its}, "
                            + (cost is { } worse ? $"the tunnel's {worse}." : "and the tunnel has none."),
                        $"Disconnect {Short(other)} or give one of the two another network; or let the tunnel go first, by "
                            + $"Set-NetIPInterface -InterfaceAlias '{other.Name}' -InterfaceMetric with a number above the tunnel's.");
                continue;
            }

            IpPrefix[] parts = [.. taken.Select(route => route.Prefix).Distinct()];
            yield return new NetworkProblem(
                $"A part of the tunnel's network {own} is routed into {other}: {parts[0]}"
                    + (parts.Length > 1 ? $" and {parts.Length - 1} more." : "."),
                $"Disconnect {Short(other)} or have it leave these addresses out; Get-NetRoute -InterfaceAlias '{other.Name}' shows its "
                    + "routes.");
        }

        IEnumerable<WindowsRoute> shorter = facts.Routes.Where(
            route => route.Prefix.Length < own.Length && route.Prefix.Contains(own.Network));
        if (cost is null && BestOf(shorter, others) is { } instead)
        {
            yield return new NetworkProblem(
                $"The tunnel's network {own} is not routed into the tunnel: its packets leave by {instead}.",
                "End the program that manages routes, best known for it are other VPNs, and join again.");
        }
    }

    private static IEnumerable<NetworkProblem> ServerProblems(
        WindowsSurroundings facts, WindowsInterface tunnel, Dictionary<ulong, WindowsInterface> others, NetworkTestReport report)
    {
        if (report.Server is null)
            yield break;
        var server = TunnelAddress.FromIPAddress(report.Server.Address);
        WindowsRoute[] ways = [.. facts.Routes.Where(route => route.Prefix.Contains(server))];
        int longest = ways.Length == 0 ? 0 : ways.Max(route => route.Prefix.Length);
        bool isInside = ways.Any(route => route.Luid == tunnel.Luid && route.Prefix.Length == longest);
        if (BestOf(ways.Where(route => route.Prefix.Length == longest), others) is { } way)
        {
            if (way.Kind == InterfaceKind.Tunnel)
            {
                yield return new NetworkProblem(
                    $"The way to the server leads through another tunnel, {way}: what that loses or delays this one does, too, and members "
                        + "are hardly reached directly.",
                    $"Disconnect {Short(way)}, or have it leave out {report.Server.Address} (many call that split tunnelling).");
            }
        }
        else if (isInside)
        {
            yield return new NetworkProblem(
                $"The way to the server leads into the tunnel itself: a route of '{tunnel.Name}' holds {report.Server.Address}.",
                $"Remove it: Get-NetRoute -InterfaceAlias '{tunnel.Name}' shows it.");
        }
    }

    private static IEnumerable<NetworkProblem> MetricProblems(
        WindowsInterface tunnel, WindowsInterface? uplink, IReadOnlyList<InterfaceAddress> addresses)
    {
        foreach (bool isIPv4 in addresses.Select(address => address.Address.IsIPv4).Distinct())
        {
            if (uplink is { Kind: InterfaceKind.Ordinary } && tunnel.Metric(isIPv4) is { } ours
                && uplink.Metric(isIPv4) is { } its && ours < its)
            {
                yield return new NetworkProblem(
                    $"Windows prefers the tunnel, with the metric {ours}, to {uplink}, with {its}, for broadcasts, multicast and names, "
                        + "which the tunnel does not carry.",
                    $"Set-NetIPInterface -InterfaceAlias '{tunnel.Name}' -InterfaceMetric {IIpHelper.Metric}");
                yield break;
            }
        }
    }

    private static IEnumerable<NetworkProblem> IPv6Problems(
        WindowsSurroundings facts, WindowsInterface tunnel, WindowsInterface? uplink, IReadOnlyList<InterfaceAddress> addresses,
        NetworkTestReport report)
    {
        bool isOffHere = tunnel.MetricIPv6 is null && addresses.Any(address => !address.Address.IsIPv4);
        bool isServersMissed = report.IsServerReachableByIPv6 == false && uplink is { MetricIPv6: null };
        if (!isOffHere && !isServersMissed)
            yield break;
        string lost = isOffHere ? "nobody is reached by the tunnel's IPv6 addresses" : "the server is not reached over it";
        if (facts.IsIPv6Off)
        {
            yield return new NetworkProblem(
                $"IPv6 is switched off on this machine, by DisabledComponents 0x{facts.DisabledComponents:X} in the registry: {lost}.",
                @"Set it to 0 in HKLM\SYSTEM\CurrentControlSet\Services\Tcpip6\Parameters and start the machine again, or do without "
                    + "IPv6.");
            yield break;
        }

        WindowsInterface where = isOffHere ? tunnel : uplink!;
        yield return new NetworkProblem(
            $"IPv6 is switched off on '{where.Name}': {lost}.",
            $"Enable-NetAdapterBinding -Name '{where.Name}' -ComponentID ms_tcpip6");
    }

    /// <summary>Drivers are in the way of nothing on most machines: they are named only where something is lost.</summary>
    private static IEnumerable<NetworkProblem> FilterProblems(
        WindowsSurroundings facts, WindowsInterface tunnel, WindowsInterface? uplink, NetworkTestReport report)
    {
        if (report.IsServerReachable && report.LargestPacket >= report.Mtu)
            yield break;
        foreach (WindowsInterface below in uplink is null ? [tunnel] : new[] { uplink, tunnel })
        {
            string[] foreign =
            [
                .. facts.Interfaces.Where(one => one is { IsFilter: true, IsUp: true })
                    .Where(one => one.Name.StartsWith(below.Name + "-", StringComparison.Ordinal))
                    .Select(one => NameOfFilter(one.Name[(below.Name.Length + 1)..]))
                    .Where(name => !OwnFilters.Any(own => name.StartsWith(own, StringComparison.OrdinalIgnoreCase)))
                    .Distinct(),
            ];
            if (foreign.Length > 0)
            {
                yield return new NetworkProblem(
                    $"Drivers of other programs see what goes through {below}, and may keep it: {string.Join(", ", foreign)}.",
                    $"See whether it works without: Get-NetAdapterBinding -Name '{below.Name}' shows them, Disable-NetAdapterBinding takes "
                        + "one off.");
            }
        }
    }

    /// <summary>NDIS numbers the filters of one kind: "Npcap Packet Driver (NPCAP)-0000".</summary>
    private static string NameOfFilter(string name) =>
        name.Length > 5 && name[^5] == '-' && name.AsSpan(name.Length - 4).IndexOfAnyExceptInRange('0', '9') < 0 ? name[..^5] : name;

    /// <summary>The interface of the best of some routes: the longest prefix, then the lowest sum of metrics.</summary>
    private static WindowsInterface? BestOf(IEnumerable<WindowsRoute> routes, Dictionary<ulong, WindowsInterface> interfaces) => routes
        .Where(route => interfaces.ContainsKey(route.Luid))
        .OrderByDescending(route => route.Prefix.Length)
        .ThenBy(route => (long)route.Metric + (interfaces[route.Luid].Metric(route.Prefix.Network.IsIPv4) ?? 0))
        .Select(route => interfaces[route.Luid])
        .FirstOrDefault();

    private static string Short(WindowsInterface one) => $"'{one.Name}'";
}
