using System.Runtime.Versioning;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Timing;
using LightTunnel.Transport;
using LightTunnel.Tun;

namespace LightTunnel.Forwarding;

/// <summary>
/// Has this machine go out by an exit node, looks whether it is still so, and puts everything back. For one thread at a time.
/// </summary>
/// <remarks>
/// A table of routes of its own leads everything into the tunnel, and a rule has everything look there first but the tunnels' own
/// datagrams, which are marked. Nothing of the main table is touched, so whatever becomes of that (another default route, another network),
/// the rule holds. In the table stands too what is to go elsewhere: containers, other tunnels, and the local network where that is allowed;
/// of that only networks with private addresses, as who gives a machine its address can also give it routes (CVE-2024-3661,
/// "TunnelVision").
/// <para>The way into the tunnel goes with its interface. So when the process is killed, the machine has its own network at once; only the
/// kill switch stays. What is left of rules and routes is found by their numbers, what is changed of settings stands in the record; that is
/// written first, then come the packet filter's rules, then settings, routes, rules; the other way round at the end.</para>
/// </remarks>
/// <param name="tunnelInterface">The tunnel's interface.</param>
/// <param name="settings">The kernel's settings.</param>
/// <param name="filter">The packet filter.</param>
/// <param name="file">Where what was changed is written down.</param>
/// <param name="log">The tunnel's log.</param>
[SupportedOSPlatform("linux")]
internal sealed class ExitSetup(
    string tunnelInterface, IKernelSettings settings, INftables filter, IForwardingRecordFile file, TunnelLog log)
{
    /// <summary>The number of the table of routes.</summary>
    public const uint Table = TunnelMark.Value;

    /// <summary>The place of the rules among others: before the main table, and before Tailscale's.</summary>
    public const uint Priority = 5180;

    private static readonly IpPrefix Default4 = new(TunnelAddress.FromBits(UInt128.Zero, isIPv4: true), 0);
    private static readonly IpPrefix Default6 = new(TunnelAddress.FromBits(UInt128.Zero, isIPv4: false), 0);
    private static readonly IpPrefix Multicast4 = new(TunnelAddress.FromBits((UInt128)0xE0 << 120, isIPv4: true), 4);

    private List<SettingClaim> _claims = [];
    private string? _setRules;
    private readonly RepairLimit _warnings = new();
    private IReadOnlyList<BegunSession>? _begun;
    private bool _isPolicySet;
    private bool _hasAdopted;

    /// <summary>
    /// Puts back what a tunnel of this name has left that was killed. Nothing where the system was started anew meanwhile.
    /// </summary>
    /// <param name="settings">The kernel's settings.</param>
    /// <param name="filter">The packet filter.</param>
    /// <param name="file">What was changed.</param>
    /// <param name="keepsKillSwitch">True to leave everything to who sets it up anew.</param>
    /// <param name="log">The tunnel's log.</param>
    public static void Recover(
        IKernelSettings settings, INftables filter, IForwardingRecordFile file, bool keepsKillSwitch, TunnelLog log)
    {
        if (file.Read() is not { } content)
            return;
        if (ForwardingRecord.Decode(content) is not { } record || record.Lifetime != settings.Lifetime())
        {
            file.Delete();
            return;
        }

        if (keepsKillSwitch)
            return;
        log.Information("This tunnel was ended before it could put back what it changed for its exit node: that is done now");
        new ExitSetup(record.Interface, settings, filter, file, log) { _claims = [.. record.Claims] }.Restore();
    }

    /// <summary>The tunnel that the machine goes out by already; null when there is none.</summary>
    /// <param name="except">An interface that does not count.</param>
    public static string? FindOther(string? except)
    {
        using var routes = new PolicyRoutes();
        return FindOther(routes, except);
    }

    /// <summary>Sets up what is missing.</summary>
    /// <returns>What is wrong, with what to do about it.</returns>
    public IReadOnlyList<string> Set(ExitPlan plan, bool looksAtFilter)
    {
        using var routes = new PolicyRoutes();
        if (FindOther(routes, tunnelInterface) is { } other)
            return [Occupied(other)];
        Adopt(routes);
        var problems = new List<string>();
        IReadOnlyList<LinkDetails> links = routes.GetLinks();
        IReadOnlyList<TableRoute> main = routes.Read(PolicyRoutes.Main);
        int own = links.FirstOrDefault(link => link.Name == tunnelInterface).Index;
        HashSet<int> uplinks = [.. main.Where(route => route.Prefix.Length == 0).SelectMany(route => route.Interfaces)];
        uplinks.Remove(own);
        SettingClaim[] fresh = [.. Loosened(links.Where(link => uplinks.Contains(link.Index)))];
        if (fresh.Length > 0 || _setRules is null)
            file.Write(new ForwardingRecord(settings.Lifetime(), tunnelInterface, [.. _claims, .. fresh]).Encode());
        SetRules(plan, Around(links, uplinks), looksAtFilter, problems);
        foreach (SettingClaim claim in fresh)
            Loosen(claim, problems);
        SetRoutes(routes, Wanted(plan, main, links, uplinks, own), own, problems);
        SetPolicy(routes, problems);
        return problems;
    }

    /// <summary>Says again that names are asked for at the exit node.</summary>
    public void Renew() => filter.Apply(ExitRules.Renew());

    /// <summary>Puts everything back.</summary>
    public void Restore()
    {
        using var routes = new PolicyRoutes();
        if (FindOther(routes, tunnelInterface) is null)
        {
            RemovePolicy(routes, tunnelInterface);
            foreach (TableRoute route in routes.Read(Table))
                routes.Remove(Table, route);
            if (filter.IsInstalled)
                filter.Apply(ExitRules.Remove());
        }

        bool isDone = true;
        foreach (SettingClaim claim in _claims.AsEnumerable().Reverse())
            isDone &= PutBack(claim);
        (_claims, _setRules, _begun, _isPolicySet) = ([], null, null, false);
        if (isDone)
            file.Delete();
    }

    /// <summary>What is said when another tunnel is the machine's way out already.</summary>
    public static string Occupied(string other) =>
        $"This machine goes out by the exit node of the tunnel at {other} already. Set-LtNetwork -ExitNode none there, or here.";

    private static string? FindOther(PolicyRoutes routes, string? except)
    {
        int[] used = [.. routes.Read(Table).Where(route => route.Prefix.Length == 0).SelectMany(route => route.Interfaces)];
        return used.Select(index => routes.GetLink(index)?.Name).FirstOrDefault(name => name is not (null or "lo") && name != except);
    }

    private static IEnumerable<PolicyRule> Rules(string tunnelInterface, bool isIPv4) =>
    [
        // What arrives through the tunnel is for a network behind this machine.
        new PolicyRule(Priority, PolicyRoutes.Main, From: tunnelInterface),
        // Or the machine would lose its address.
        .. isIPv4 ? [new PolicyRule(Priority + 1, PolicyRoutes.Main, IsLease: true)] : (PolicyRule[])[],
        new PolicyRule(Priority + 2, Table, UnlessMarked: true),
    ];

    private static void RemovePolicy(PolicyRoutes routes, string tunnelInterface)
    {
        foreach (bool isIPv4 in (bool[])[true, false])
        {
            foreach (PolicyRule rule in Rules(tunnelInterface, isIPv4).Reverse())
                routes.Remove(isIPv4, rule);
        }
    }

    /// <summary>What an earlier process of this tunnel changed, and was not put back.</summary>
    private void Adopt(PolicyRoutes routes)
    {
        if (!_hasAdopted && file.Read() is { } content && ForwardingRecord.Decode(content) is { } left
            && left.Lifetime == settings.Lifetime())
        {
            _claims = [.. left.Claims];
            // The packet filter stays closed while the rules are made anew.
            if (left.Interface != tunnelInterface)
                RemovePolicy(routes, left.Interface);
        }

        _hasAdopted = true;
    }

    private ExitSurroundings Around(IReadOnlyList<LinkDetails> links, HashSet<int> uplinks)
    {
        IReadOnlyDictionary<int, InterfaceKind> kinds = InterfaceKinds.Classify(links);
        LinkDetails[] named = [.. links.Where(link => ForwardingRules.IsInterfaceName(link.Name)).OrderBy(link => link.Index)];
        return new ExitSurroundings(
            [.. named.Where(link => uplinks.Contains(link.Index)).Select(link => link.Name)],
            [
                .. named.Where(link => kinds[link.Index] == InterfaceKind.Inner && !uplinks.Contains(link.Index))
                    .Select(link => link.Name),
            ],
            _begun ??= BegunSessions.Find());
    }

    /// <summary>
    /// Where the kernel takes packets only by the interface that it would answer by (rp_filter 1), which is the tunnel's now, it is to take
    /// what it can answer at all (2): datagrams of the tunnel come by another one.
    /// </summary>
    private IEnumerable<SettingClaim> Loosened(IEnumerable<LinkDetails> uplinks)
    {
        bool isStrict = settings.Read(SettingClaim.InterfaceKey(true, "all", "rp_filter")) == "1";
        foreach (LinkDetails link in uplinks.Where(link => ForwardingRules.IsInterfaceName(link.Name)))
        {
            string key = SettingClaim.InterfaceKey(true, link.Name, "rp_filter");
            if (settings.Read(key) is { } current && (current == "1" || (isStrict && current == "0"))
                && !_claims.Any(claim => claim.Key == key))
            {
                yield return new SettingClaim(key, current, "2");
            }
        }
    }

    private void Loosen(SettingClaim claim, List<string> problems)
    {
        _claims.Add(claim);
        string display = SettingClaim.Display(claim.Key);
        try
        {
            settings.Write(claim.Key, claim.Set);
            log.Information(
                "{Setting} was {Before}, and is {Value} while this machine goes out by an exit node", display, claim.Was, claim.Set);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            problems.Add($"{display} cannot be set to {claim.Set} ({exception.Message}): the tunnel's datagrams may be dropped.");
        }
    }

    private bool PutBack(SettingClaim claim)
    {
        string display = SettingClaim.Display(claim.Key);
        if (settings.Read(claim.Key) is not { } current)
            return true;
        if (current != claim.Set)
        {
            log.Information("{Setting} is {Value}: somebody else changed it, so it stays", display, current);
            return true;
        }

        try
        {
            settings.Write(claim.Key, claim.Was);
            log.Information("{Setting} is {Value} again", display, claim.Was);
            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            log.Warning("{Setting} stays {Value}: {Reason}", display, claim.Set, exception.Message);
            return false;
        }
    }

    private void SetRules(ExitPlan plan, ExitSurroundings around, bool looksAtFilter, List<string> problems)
    {
        string commands = ExitRules.Set(plan, around);
        if (commands == _setRules && (!looksAtFilter || IsThere()))
            return;
        try
        {
            filter.Apply(commands);
            if (commands == _setRules)
                TellRemoved("rules in the packet filter", problems);
            _setRules = commands;
        }
        catch (LightTunnelException exception)
        {
            problems.Add($"{exception.Message}. {exception.RecommendedAction}");
        }
    }

    /// <summary>
    /// Somebody removed something, which is set again each time: this is no fight that may be lost, or everything would leave unprotected.
    /// </summary>
    private void TellRemoved(string what, List<string> problems)
    {
        Timestamp now = SystemClock.Instance.Now();
        if (_warnings.MayRepair(now))
        {
            _warnings.Note(now);
            log.Warning("Somebody removed the exit node's {What}: they are set again", what);
        }
        else
        {
            problems.Add(
                $"Somebody removes the exit node's {what} again and again, which are set each time. Find out who does, or take no exit "
                    + "node: Set-LtNetwork -ExitNode none.");
        }
    }

    private bool IsThere()
    {
        using System.Text.Json.JsonDocument? table = filter.List("table", "inet", ExitRules.Table);
        return table is not null;
    }

    private static HashSet<TableRoute> Wanted(
        ExitPlan plan, IReadOnlyList<TableRoute> main, IReadOnlyList<LinkDetails> links, HashSet<int> uplinks, int own)
    {
        IReadOnlyDictionary<int, InterfaceKind> kinds = InterfaceKinds.Classify(links);
        var wanted = new HashSet<TableRoute> { Into(Default4, own), Into(Default6, own) };
        foreach (TableRoute route in main)
        {
            if (route.Prefix.Length > 0 && route.Kind == RouteKind.Forward && route.Interfaces is [int index] && index != own
                && IsElsewhere(route.Prefix, uplinks.Contains(index), kinds.GetValueOrDefault(index), plan.AllowLan))
            {
                wanted.Add(new TableRoute(route.Prefix, [], RouteKind.Elsewhere));
            }
        }

        if (plan.AllowLan)
            wanted.Add(new TableRoute(Multicast4, [], RouteKind.Elsewhere));
        return wanted;
    }

    /// <summary>
    /// True for a network that stays reached as it is. Of cards only what has private addresses: others could be anything that somebody
    /// told the machine who gave it its address.
    /// </summary>
    private static bool IsElsewhere(IpPrefix prefix, bool isUplink, InterfaceKind kind, bool allowLan)
    {
        bool isPrivate = ExitRules.PrivateNetworks.Any(network => network.Length <= prefix.Length && network.Contains(prefix.Network));
        return isUplink ? allowLan && isPrivate : isPrivate || (kind != InterfaceKind.Ordinary && !HostAddresses.IsTooShort(prefix));
    }

    private static void SetRoutes(PolicyRoutes routes, HashSet<TableRoute> wanted, int own, List<string> problems)
    {
        IReadOnlyList<TableRoute> present = routes.Read(Table);
        bool isUp = own != 0 && routes.GetLink(own) is { IsUp: true };
        foreach (TableRoute route in wanted.Where(route => !present.Contains(route)))
        {
            if (route.Kind == RouteKind.Forward && !isUp)
                continue; // Its network is not known yet. What is set up after it has come is heard.
            int error = routes.Add(Table, route);
            if (error is 0 or LibC.EEXIST || (route == Into(Default6, own) && TryBlock(routes)))
                continue;
            problems.Add($"The system does not route {route.Prefix} by the exit node: {LibC.Describe(error)}.");
        }

        foreach (TableRoute route in present.Where(route => !wanted.Contains(route) && route.Kind != RouteKind.Unreachable))
            routes.Remove(Table, route);
    }

    /// <summary>The tunnel's interface has no IPv6 (one with a small MTU), the machine may have: it goes nowhere then.</summary>
    private static bool TryBlock(PolicyRoutes routes) =>
        routes.Add(Table, new TableRoute(Default6, [], RouteKind.Unreachable)) is 0 or LibC.EEXIST or LibC.EAFNOSUPPORT;

    private void SetPolicy(PolicyRoutes routes, List<string> problems)
    {
        bool isMissing = false;
        foreach (bool isIPv4 in (bool[])[true, false])
        {
            foreach (PolicyRule rule in Rules(tunnelInterface, isIPv4))
            {
                int error = routes.Add(isIPv4, rule);
                isMissing |= error == 0;
                if (error is not (0 or LibC.EEXIST) && !(rule.IsLease && error == LibC.EINVAL)
                    && !(!isIPv4 && error is LibC.EAFNOSUPPORT or LibC.EOPNOTSUPP))
                {
                    problems.Add($"The system refuses the rule that has packets go out by the exit node: {LibC.Describe(error)}.");
                }
            }
        }

        if (isMissing && _isPolicySet)
            TellRemoved("rules of routing", problems);
        _isPolicySet = true;
    }

    private static TableRoute Into(IpPrefix prefix, int index) => new(prefix, [index], RouteKind.Forward);
}
