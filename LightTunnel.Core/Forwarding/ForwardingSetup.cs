using System.Text.Json;
using LightTunnel.Diagnostics;
using LightTunnel.Timing;

namespace LightTunnel.Forwarding;

/// <summary>
/// Sets up what a tunnel's networks need of the kernel, looks whether it is still so, and puts it back: the forwarding of the interfaces
/// concerned, and the rules that limit it. Exactly what was changed is put back, and what is no longer as it was left stays as it is.
/// For one thread at a time.
/// </summary>
/// <remarks>
/// The order is what keeps a machine safe that is killed in between: first the record, then the rules, then the settings; and the other way
/// round at the end. IPv4 is forwarded for each interface by itself. IPv6 is too since Linux 6.17 (force_forwarding). Before, there is one
/// switch for all interfaces, and with it they no longer listen to router advertisements, and lose the default routes that they have from
/// there: so accept_ra becomes 2 first wherever it is 1, which keeps both (ip-sysctl.rst), and goes back last.
/// <para>Several tunnels may need the same interface. Each writes into the shared table what it changed or would have had to change, and
/// only who is the last to do without puts it back. Who switches forwarding on for a whole family meanwhile, as docker does, wants a
/// router: from then on nothing is dropped any more for having been opened by a tunnel, and nothing of that family is put back.</para>
/// </remarks>
/// <param name="options">The tunnel and its networks.</param>
/// <param name="settings">The kernel's settings.</param>
/// <param name="filter">The packet filter.</param>
/// <param name="file">Where what was changed is written down.</param>
/// <param name="log">The tunnel's log.</param>
/// <param name="clock">The clock; null for the system's.</param>
/// <param name="suspect">Tells which program changed rules last, as far as the kernel tells; null where nobody can.</param>
internal sealed class ForwardingSetup(
    ForwardingOptions options, IKernelSettings settings, INftables filter, IForwardingRecordFile file, TunnelLog log,
    TimeProvider? clock = null, Func<string?>? suspect = null)
{
    private const string On = "1";

    private readonly Dictionary<string, int> _indices = [];
    private List<SettingClaim> _claims = [];
    private List<SettingClaim> _othersClaims = [];
    private readonly RepairLimit _limit = new();
    private string? _leftAlone;
    private string? _setCommands;
    private bool _isSet;
    private bool _hasAdopted;
    private bool _countsConnections = true;

    private string Networks => string.Join(", ", options.Networks.Select(network => network.Prefix));

    /// <summary>
    /// Puts back what a tunnel of this name has left that was killed. Nothing where the system was started anew meanwhile.
    /// </summary>
    public static void Recover(IKernelSettings settings, INftables filter, IForwardingRecordFile file, TunnelLog log)
    {
        if (file.Read() is not { } content)
            return;
        if (ForwardingRecord.Decode(content) is not { } record)
        {
            log.Warning("What forwarding was changed before this tunnel was ended cannot be read: nothing is put back");
            file.Delete();
            return;
        }

        if (record.Lifetime != settings.Lifetime())
        {
            file.Delete();
            return;
        }

        log.Information("This tunnel was ended before it could put back what it changed for forwarding: that is done now");
        var left = new ForwardingSetup(new ForwardingOptions(record.Interface, []), settings, filter, file, log)
        {
            _claims = [.. record.Claims],
        };
        left.Restore();
    }

    /// <summary>Sets up what is missing.</summary>
    /// <param name="found">By which interfaces the networks are reached now.</param>
    /// <returns>What is wrong, with what to do about it.</returns>
    public IReadOnlyList<string> Set(ForwardedInterfaces found)
    {
        List<string> problems = [.. found.Unreached.Select(prefix => prefix.Length == 0
            ? $"This machine has no default route of {(prefix.Network.IsIPv4 ? "IPv4" : "IPv6")}: members do not reach the internet by it."
            : $"No interface of this machine leads to {prefix}: give one an address there, or add a route.")];
        if (found.IsExit && found.Resolvers.Count == 0)
        {
            problems.Add(
                "Members that go out by this machine find no names: no resolver of its own is one that others can ask (127.0.0.53 and the "
                    + "like are not). Name one in /etc/resolv.conf.");
        }

        if (_leftAlone is not null && !_limit.MayRepair(Now))
            return [.. problems, _leftAlone];
        _leftAlone = null;
        ForwardingTableState table = ReadTable();
        Adopt();
        ReleaseOverruled();
        bool isLess = PutBackUnused(found, table);
        var fresh = new List<SettingClaim>();
        PlanIPv4(found, table, fresh, problems);
        PlanIPv6(found, table, fresh, problems);
        List<SettingClaim> all = [.. _claims, .. fresh];
        if (!filter.IsInstalled)
        {
            if (DescribeMissingFilter(all) is { } missing)
            {
                problems.Add(missing);
                return problems;
            }
        }
        else if (!SetRules(found, table, all, isChanged: isLess || fresh.Count > 0, problems))
        {
            return problems;
        }

        _claims = all;
        WriteSettings(fresh, found, problems);
        return problems;
    }

    /// <summary>What an earlier process of this tunnel changed, and could not be put back, is this one's to put back.</summary>
    private void Adopt()
    {
        if (_hasAdopted)
            return;
        if (file.Read() is { } content && ForwardingRecord.Decode(content) is { } left && left.Lifetime == settings.Lifetime()
            && left.Interface == options.Interface)
        {
            _claims = [.. left.Claims];
        }

        _hasAdopted = true;
    }

    /// <summary>Puts back what was changed and is still as it was left.</summary>
    public void Restore()
    {
        ForwardingTableState table = ReadTable();
        bool isDone = PutBack(_claims, table);
        _claims = [];
        try
        {
            if (table.Tunnels.ContainsKey(options.Interface))
                filter.Apply(ForwardingRules.Remove(options.Interface, table, IsInForce));
            if (isDone)
                file.Delete();
        }
        catch (Exception exception) when (exception is LightTunnelException or IOException or UnauthorizedAccessException)
        {
            log.Warning("The rules of forwarding stay: {Reason}. nft delete table inet lighttunnel removes them", exception.Message);
        }
    }

    /// <summary>Puts back what is still as it was left; false when the system refuses some of it.</summary>
    private bool PutBack(IEnumerable<SettingClaim> claims, ForwardingTableState table)
    {
        bool isDone = true;
        // All are looked at before any is changed: one of them sets others.
        SettingClaim[] restored = [.. claims.Where(claim => MayRestore(claim, table))];
        foreach (SettingClaim claim in restored.Reverse())
        {
            try
            {
                settings.Write(claim.Key, claim.Was);
                log.Information("{Setting} is {Value} again", SettingClaim.Display(claim.Key), claim.Was);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                isDone = false;
                log.Warning("{Setting} stays {Value}: {Reason}", SettingClaim.Display(claim.Key), claim.Set, exception.Message);
            }
        }

        return isDone;
    }

    /// <summary>
    /// An interface that does not lead to the networks any more is closed: it may lead to strangers, who could take addresses of the
    /// networks for theirs.
    /// </summary>
    private bool PutBackUnused(ForwardedInterfaces found, ForwardingTableState table)
    {
        SettingClaim[] unused = [.. _claims.Where(claim =>
            claim.OpensInterface && !(claim.IsIPv4 ? found.IPv4 : found.IPv6).ContainsKey(claim.Interface))];
        PutBack(unused, table);
        return _claims.RemoveAll(unused.Contains) > 0;
    }

    private void PlanIPv4(ForwardedInterfaces found, ForwardingTableState table, List<SettingClaim> fresh, List<string> problems)
    {
        foreach ((string name, int index) in found.IPv4)
            Want(SettingClaim.InterfaceKey(true, name, "forwarding"), On, index, table, fresh, problems);
        AddCondition(true, fresh);
    }

    private void PlanIPv6(ForwardedInterfaces found, ForwardingTableState table, List<SettingClaim> fresh, List<string> problems)
    {
        string all = SettingClaim.AllOf(isIPv4: false);
        if (found.IPv6.Count == 0)
            return;
        if (settings.Read(all) is not { } current)
        {
            problems.Add("This machine has no IPv6, so it cannot forward it: switch it on, or do not offer IPv6 networks.");
            return;
        }

        if (HasOwnSwitch)
        {
            if (current != "0")
                return;
            foreach ((string name, int index) in found.IPv6)
                Want(SettingClaim.InterfaceKey(false, name, "force_forwarding"), On, index, table, fresh, problems);
            AddCondition(false, fresh);
            return;
        }

        if (_claims.Any(claim => claim.Key == all))
        {
            Want(all, On, 0, table, fresh, problems);
        }
        else if (current == "0")
        {
            KeepRouterAdvertisements(table, fresh, problems);
            Want(all, On, 0, table, fresh, problems);
        }
        else if (table.ClaimOfOthers(options.Interface, all) is not null)
        {
            // Another tunnel has done it: who is the last of both puts everything back.
            fresh.AddRange(table.Tunnels.Where(tunnel => tunnel.Key != options.Interface).SelectMany(tunnel => tunnel.Value)
                .Where(claim => !claim.IsIPv4).Distinct());
        }
    }

    private bool HasOwnSwitch => settings.Read(SettingClaim.InterfaceKey(false, options.Interface, "force_forwarding")) is not null;

    /// <summary>Before IPv6 is forwarded by all interfaces: those that listen to routers go on to.</summary>
    private void KeepRouterAdvertisements(ForwardingTableState table, List<SettingClaim> fresh, List<string> problems)
    {
        var forwarding = new List<SettingClaim>();
        foreach (string name in settings.Interfaces(isIPv4: false).Where(name => name != "all" && name != options.Interface))
        {
            string own = SettingClaim.InterfaceKey(false, name, "forwarding");
            if (settings.Read(own) == On)
                forwarding.Add(new SettingClaim(own, On, On)); // Goes off with the switch for all, and on again after it.
            else if (settings.Read(SettingClaim.InterfaceKey(false, name, "accept_ra")) == On)
                Want(SettingClaim.InterfaceKey(false, name, "accept_ra"), "2", 0, table, fresh, problems);
        }

        fresh.AddRange(forwarding);
    }

    /// <summary>Notes that a setting has to have a value, if it is another, or is what another tunnel made it.</summary>
    private void Want(
        string key, string value, int index, ForwardingTableState table, List<SettingClaim> fresh, List<string> problems)
    {
        if (settings.Read(key) is not { } current)
            return; // The interface has just gone.
        if (_claims.Any(claim => claim.Key == key))
        {
            if (index != 0 && _indices.GetValueOrDefault(key, index) != index)
            {
                _claims.RemoveAll(claim => claim.Key == key); // Another interface of that name.
            }
            else
            {
                if (current != value)
                {
                    problems.Add(
                        $"{SettingClaim.Display(key)} was set to {current} by somebody, so members do not reach {Networks}. "
                            + "Start the tunnel again to have it set.");
                }

                return;
            }
        }

        if (!ForwardingRules.IsInterfaceName(key.Split('/')[3]))
        {
            problems.Add($"The interface of {SettingClaim.Display(key)} has a name that cannot stand in rules: give it another.");
            return;
        }

        SettingClaim? other = table.ClaimOfOthers(options.Interface, key);
        if (other is { } same && same.Set == current && current == value)
            fresh.Add(same);
        else if (current != value)
            fresh.Add(new SettingClaim(key, current, value));
        _indices[key] = index;
    }

    /// <summary>What is opened stays limited, and is put back, only while nobody wants the whole family to be forwarded.</summary>
    private void AddCondition(bool isIPv4, List<SettingClaim> fresh)
    {
        string all = SettingClaim.AllOf(isIPv4);
        if (fresh.Any(claim => claim.IsIPv4 == isIPv4) && !_claims.Any(claim => claim.Key == all) && settings.Read(all) == "0")
            fresh.Add(new SettingClaim(all, "0", "0"));
    }

    private void ReleaseOverruled()
    {
        SettingClaim[] released = [.. _claims.Where(claim => !IsInForce(claim))];
        if (released.Length == 0)
            return;
        _claims.RemoveAll(released.Contains);
        log.Information("Somebody made this machine a router ({Settings} is 1): its forwarding is left alone from now on",
            string.Join(", ", released.Select(claim => SettingClaim.Display(SettingClaim.AllOf(claim.IsIPv4))).Distinct()));
        WriteRecord(_claims);
    }

    /// <summary>True while nobody has switched forwarding on for the whole family since the setting was changed.</summary>
    private bool IsInForce(SettingClaim claim)
    {
        // Whose claims say that they changed the switch themselves cannot know who else did.
        bool changesAll = claim.Key == SettingClaim.AllOf(claim.IsIPv4) && !claim.IsCondition;
        bool isIPv6Switch = !claim.IsIPv4 && !claim.Key.EndsWith("/force_forwarding", StringComparison.Ordinal) && !claim.IsCondition;
        return changesAll || isIPv6Switch || settings.Read(SettingClaim.AllOf(claim.IsIPv4)) == "0"
            || !WasOffWhenClaimed(claim.IsIPv4);
    }

    /// <summary>
    /// An interface may be opened on a machine that is a router already and leaves that one out: then the switch says nothing new.
    /// </summary>
    private bool WasOffWhenClaimed(bool isIPv4) =>
        _claims.Concat(_othersClaims).Any(claim => claim.IsIPv4 == isIPv4 && claim.IsCondition);

    private ForwardingTableState ReadTable()
    {
        if (!filter.IsInstalled)
            return ForwardingRules.Read(null);
        using JsonDocument? listed = filter.List("table", "inet", ForwardingRules.Table);
        ForwardingTableState table = ForwardingRules.Read(listed);
        _othersClaims = [.. table.Tunnels.Where(tunnel => tunnel.Key != options.Interface).SelectMany(tunnel => tunnel.Value)];
        return table;
    }

    private string? DescribeMissingFilter(List<SettingClaim> all)
    {
        if (options.Networks.Any(network => network.TranslateSources))
            return $"What members send to {Networks} cannot be given this machine's address there. {MissingFilter.RecommendedAction}";
        return all.Count == 0 ? null
            : $"Forwarding is off, and cannot be limited to {Networks}: the program nft is not installed. Install the package nftables "
                + $"(Debian, Ubuntu: apt-get install nftables), or make this machine a router: sysctl -w {string.Join(' ', all
                    .Select(claim => SettingClaim.Display(SettingClaim.AllOf(claim.IsIPv4)) + "=1").Distinct())}";
    }

    /// <summary>What is said when sources are to be translated where the program for it is missing.</summary>
    public static LightTunnelException MissingFilter { get; } = new(
        LightTunnelError.ForwardingUnavailable,
        "What members send to the networks behind this machine cannot be given its address there: the program nft is not installed.",
        "Install the package nftables (Debian, Ubuntu: apt-get install nftables); or start with -NoSnat, and give the hosts there a route "
            + "back by this machine.");

    private bool SetRules(
        ForwardedInterfaces found, ForwardingTableState table, List<SettingClaim> all, bool isChanged, List<string> problems)
    {
        bool isRouter = IsRouter(isIPv4: true) || IsRouter(isIPv4: false);
        string commands = ForwardingRules.Set(options, all, table, IsInForce, isRouter, _countsConnections, found);
        isChanged |= found.IsExit && _setCommands is not null && commands != _setCommands && table.Tunnels.ContainsKey(options.Interface);
        if (!isChanged && ForwardingRules.IsAsSet(table, commands))
            return true;
        if (!isChanged && _isSet && (commands == _setCommands || !table.Tunnels.ContainsKey(options.Interface))
            && !MaySetAgain(table, problems))
        {
            return false;
        }

        WriteRecord(all);
        try
        {
            Apply(commands, () => ForwardingRules.Set(options, all, table, IsInForce, isRouter, false, found));
            (_isSet, _setCommands) = (true, commands);
            return true;
        }
        catch (LightTunnelException exception)
        {
            problems.Add($"{exception.Message}. {exception.RecommendedAction}");
            WriteRecord(_claims);
            return false;
        }
    }

    private Timestamp Now => (clock ?? SystemClock.Instance).Now();

    /// <summary>
    /// Somebody removed the rules: three times a minute they are set again. Then what they limit is closed, too, or the machine would
    /// forward for everybody.
    /// </summary>
    private bool MaySetAgain(ForwardingTableState table, List<string> problems)
    {
        string who = suspect?.Invoke() is { } known ? $"Somebody, perhaps {known}," : "Somebody";
        if (_limit.MayRepair(Now))
        {
            _limit.Note(Now);
            log.Warning("{Who} removed the rules of forwarding: they are set again", who);
            return true;
        }

        _limit.LeaveAlone(Now);
        if (PutBack(_claims, table))
            file.Delete();
        (_claims, _isSet) = ([], false);
        CloseTunnel();
        _leftAlone = $"{who} removes the rules of forwarding again and again: they were set {RepairLimit.Most} times within a minute, and "
            + $"members do not reach {Networks} for {RepairLimit.Truce.TotalMinutes:0} minutes now. Have whatever loads rules on this "
            + $"machine leave the table inet {ForwardingRules.Table} alone: no 'flush ruleset'.";
        problems.Add(_leftAlone);
        return false;
    }

    /// <summary>What members send would be forwarded anywhere, without the rules.</summary>
    private void CloseTunnel()
    {
        foreach ((bool isIPv4, string setting) in ((bool, string)[])[(true, "forwarding"), (false, "force_forwarding")])
        {
            string key = SettingClaim.InterfaceKey(isIPv4, options.Interface, setting);
            if (!IsRouter(isIPv4) && settings.Read(key) == On)
                settings.Write(key, "0");
        }
    }

    private bool IsRouter(bool isIPv4) => settings.Read(SettingClaim.AllOf(isIPv4)) == On;

    private void Apply(string commands, Func<string> withoutCounting)
    {
        try
        {
            filter.Apply(commands);
        }
        catch (LightTunnelException) when (_countsConnections)
        {
            filter.Apply(withoutCounting());
            _countsConnections = false;
            log.Warning(
                "This kernel cannot count connections (nft_connlimit): a member may fill its table of them by what it sends to {Networks}",
                Networks);
        }
    }

    private void WriteRecord(List<SettingClaim> claims) =>
        file.Write(new ForwardingRecord(settings.Lifetime(), options.Interface, claims).Encode());

    private void WriteSettings(List<SettingClaim> fresh, ForwardedInterfaces found, List<string> problems)
    {
        IEnumerable<SettingClaim> own = [];
        if (found.IPv4.Count > 0)
            own = own.Append(new SettingClaim(SettingClaim.InterfaceKey(true, options.Interface, "forwarding"), "0", On));
        if (found.IPv6.Count > 0 && HasOwnSwitch)
            own = own.Append(new SettingClaim(SettingClaim.InterfaceKey(false, options.Interface, "force_forwarding"), "0", On));
        foreach (SettingClaim claim in fresh.Concat(own))
        {
            string display = SettingClaim.Display(claim.Key);
            try
            {
                if (settings.Read(claim.Key) == claim.Set)
                    continue;
                settings.Write(claim.Key, claim.Set);
                log.Information("{Setting} was {Before}, and is {Value} while members may reach {Networks} by this machine",
                    display, claim.Was, claim.Set, Networks);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // What follows may rely on it.
                string all = SettingClaim.Display(SettingClaim.AllOf(claim.IsIPv4));
                problems.Add(
                    $"{display} cannot be set to {claim.Set} ({exception.Message}), so members do not reach {Networks}. "
                        + $"Set {all}=1 where this machine is started from, for a container with --sysctl {all}=1.");
                return;
            }
        }
    }

    private bool MayRestore(SettingClaim claim, ForwardingTableState table)
    {
        if (claim.IsCondition || settings.Read(claim.Key) is not { } current)
            return false;
        if (table.ClaimOfOthers(options.Interface, claim.Key, other => settings.Interfaces(isIPv4: true).Contains(other)) is not null)
        {
            log.Information("{Setting} stays {Value}: another tunnel needs it", SettingClaim.Display(claim.Key), current);
            return false;
        }

        if (current == claim.Set && IsInForce(claim))
            return true;
        log.Information("{Setting} is {Value}: somebody else changed it, so it stays", SettingClaim.Display(claim.Key), current);
        return false;
    }
}
