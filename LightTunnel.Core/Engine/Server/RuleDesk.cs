using System.Globalization;
using LightTunnel.Access;
using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Membership;

namespace LightTunnel.Engine.Server;

/// <summary>
/// Where an admin of the server's machine sees access rules, changes them, and asks what they say. A change is in the store before anybody
/// is told of it, whole or not at all. Owned by the control loop.
/// </summary>
internal sealed class RuleDesk(
    Node node, ServerOptions options, Leases leases, Admission admission, RuleTeller teller, RouteDesk routes)
{
    /// <summary>Rules of one change that the audit log tells one by one.</summary>
    private const int MostTold = 20;

    /// <summary>Every rule that holds or is kept, in their order.</summary>
    public IReadOnlyList<RuleStatus> List() => [.. teller.All.Select(Describe)];

    /// <summary>Makes a change; the task completes when it lasts, with the numbers of the rules that are others now.</summary>
    /// <exception cref="LightTunnelException">A rule is not as it may be, or cannot be found; or the store takes nothing.</exception>
    public async Task<IReadOnlyList<int>> ChangeAsync(RuleChange change)
    {
        (List<AccessRule> Put, List<AccessRule> Removed) made = ([], []);
        await admission.ChangeAsync(new OwnerChange(
            "its access rules", _ => made = Make(change), done: () => Audit(made.Put, made.Removed, LocalUsers.Shown(change.By))))
            .ConfigureAwait(false);
        return [.. made.Put.Select(rule => rule.Number)];
    }

    /// <summary>What rules say to connections between two, one for each family of addresses that both have.</summary>
    /// <exception cref="LightTunnelException">Nobody is called so, or the two have no family in common.</exception>
    public IReadOnlyList<RuleVerdict> Test(RuleQuestion question)
    {
        TunnelAddress[] from = AddressesOf(question.From), to = AddressesOf(question.To);
        RuleVerdict[] verdicts =
        [
            .. from source in @from
               from destination in to
               where source.IsIPv4 == destination.IsIPv4
               select VerdictOf(source, destination, question),
        ];
        return verdicts.Length > 0 ? verdicts : throw new LightTunnelException(
            LightTunnelError.InvalidAddress, $"'{question.From}' and '{question.To}' have no addresses of one family.",
            "Give two addresses of IPv4, or two of IPv6.") { Target = question.To };
    }

    private static int NextNumber(SortedDictionary<int, AccessRule> rules)
    {
        int next = rules.Count == 0
            ? AccessRule.NumberStep
            : ((rules.Keys.Last() / AccessRule.NumberStep) + 1) * AccessRule.NumberStep;
        return next <= AccessRule.HighestNumber ? next : throw new LightTunnelException(
            LightTunnelError.InvalidOption, "There is no number left behind the last rule.", "Give the rule a number: -Number.");
    }

    private (List<AccessRule> Put, List<AccessRule> Removed) Make(RuleChange change)
    {
        IReadOnlyDictionary<int, AccessRule> before = leases.Rules.Planned;
        var after = new SortedDictionary<int, AccessRule>(before.ToDictionary());
        if (change.Kind == RuleChangeKind.Replace)
            after.Clear();
        foreach (int number in change.Numbers)
        {
            if (!after.Remove(number))
                throw NoSuchRule(number);
        }

        foreach (RuleSpec spec in change.Rules)
        {
            AccessRule? old = null;
            if (change.Kind == RuleChangeKind.Set && !after.Remove(spec.Number, out old))
                throw NoSuchRule(spec.Number);
            int wanted = spec.NewNumber != 0 ? spec.NewNumber : spec.Number;
            AccessRule rule = Read(spec, wanted == 0 && change.Kind == RuleChangeKind.Add ? NextNumber(after) : wanted,
                old ?? before.GetValueOrDefault(wanted));
            if (!after.TryAdd(rule.Number, rule))
            {
                throw new LightTunnelException(
                    LightTunnelError.InvalidOption, $"{Where(spec)}There is a rule {rule.Number} already.",
                    "Give another number, or none; Set-LtRule changes the rule that there is.") { Target = rule.Number };
            }
        }

        if (after.Count > AccessRule.MaximumCount)
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidOption, $"{after.Count} rules are more than the {AccessRule.MaximumCount} that a network can have.",
                "Join rules that differ in addresses or ports only: each takes many of them.");
        }

        // Nothing is wrong with any of it: from here on all of it is done.
        List<AccessRule> removed = [.. before.Values.Where(rule => !after.ContainsKey(rule.Number))];
        List<AccessRule> put = [.. after.Values.Where(rule => !rule.Equals(before.GetValueOrDefault(rule.Number)))];
        removed.ForEach(rule => leases.Rules.Remove(rule.Number));
        put.ForEach(leases.Rules.Put);
        return (put, removed);
    }

    private AccessRule Read(RuleSpec spec, int number, AccessRule? before)
    {
        var rule = new AccessRule
        {
            Number = number,
            Name = spec.Name,
            From = [.. spec.From.Select(text => Bind(text, spec, before?.From))],
            To = [.. spec.To.Select(text => Bind(text, spec, before?.To))],
            Protocol = spec.Protocol,
            Ports = [.. spec.Ports.Select(text => ReadPorts(text, spec))],
            Action = spec.Action,
            Enabled = spec.Enabled,
        };
        try
        {
            rule.Check();
            return rule;
        }
        catch (LightTunnelException wrong) when (spec.Origin is not null)
        {
            throw new LightTunnelException(wrong.Error, Where(spec) + wrong.Message, wrong.RecommendedAction, wrong)
            {
                Target = wrong.Target,
            };
        }
    }

    private static PortRange ReadPorts(string text, RuleSpec spec) => PortRange.TryParse(text, out PortRange range)
        ? range
        : throw new LightTunnelException(
            LightTunnelError.InvalidOption, $"{Where(spec)}'{text}' is no port and no range of ports.",
            "Give a number from 0 to 65535, or two of them: 8000-8099.") { Target = text };

    /// <summary>
    /// Whom a text means. A name is the member that has it now; if nobody has, the one that it stood for in the rule before.
    /// </summary>
    private RuleSelector Bind(string text, RuleSpec spec, IReadOnlyList<RuleSelector>? before)
    {
        if (!RuleSelector.TryParse(text, out RuleSelector selector))
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidOption, $"{Where(spec)}'{text}' is nobody whom a rule can be about.",
                "Give '*', 'server', 'clients', the name of a member, 'group:office', an address, or a prefix whose host bits are zero.")
            {
                Target = text,
            };
        }

        if (selector.Kind != SelectorKind.Member)
            return selector;
        if (leases.ByName(text) is { } member)
            return RuleSelector.OfMember(member.Name, member.MemberId);
        if (text.Equals(options.Name, StringComparison.OrdinalIgnoreCase))
            return new RuleSelector { Kind = SelectorKind.Server };
        foreach (RuleSelector old in before ?? [])
        {
            if (old.Kind == SelectorKind.Member && Show(old) == text)
                return old;
        }

        throw new LightTunnelException(
            LightTunnelError.NotFound, $"{Where(spec)}No member is called '{text}'.",
            "A rule is about the machine that has the name when the rule is made. For machines that are still to join use a group: "
                + "group:office.") { Target = text };
    }

    private static string Where(RuleSpec spec) => spec.Origin is null ? string.Empty : $"{spec.Origin}: ";

    private LightTunnelException NoSuchRule(int number) => new(
        LightTunnelError.NotFound, $"'{options.Name}' has no rule {number}.",
        number == AccessRule.ClientIsolationNumber && options.ClientIsolation
            ? "Client isolation is ended by starting the server with -ClientIsolation:$false."
            : "Get-LtRule shows those that there are.") { Target = number };

    private TunnelAddress[] AddressesOf(string text)
    {
        TunnelAddress[] found = !RuleSelector.TryParse(text, out RuleSelector selector) ? [] : selector.Kind switch
        {
            SelectorKind.Server => OwnAddresses,
            SelectorKind.Prefix when selector.Prefix.Length == selector.Prefix.Network.BitLength => [selector.Prefix.Network],
            SelectorKind.Member when leases.ByName(text) is { } member => [.. member.Addresses],
            SelectorKind.Member when text.Equals(options.Name, StringComparison.OrdinalIgnoreCase) => OwnAddresses,
            _ => [],
        };
        return found.Length > 0 ? found : throw new LightTunnelException(
            LightTunnelError.NotFound, $"'{text}' is no member of '{options.Name}', and no address.",
            "Give 'server', the name of a member (Get-LtMember), or a tunnel address.") { Target = text };
    }

    private TunnelAddress[] OwnAddresses => [.. options.Addresses.Select(own => own.Address)];

    private RuleVerdict VerdictOf(TunnelAddress source, TunnelAddress destination, RuleQuestion question)
    {
        AccessRule? rule = teller.Resolver.Decide(source, destination, question.Protocol, question.Port, routes.WhoHas(source));
        return new RuleVerdict(
            options.Name, source.ToIPAddress(), destination.ToIPAddress(), rule?.Action ?? RuleAction.Allow,
            rule is null ? null : Describe(rule));
    }

    private RuleStatus Describe(AccessRule rule) => new()
    {
        Tunnel = options.Name,
        Number = rule.Number,
        Name = rule.Name,
        From = [.. rule.From.Select(Show)],
        To = [.. rule.To.Select(Show)],
        Protocol = rule.Protocol,
        Ports = [.. rule.Ports.Select(range => range.ToString())],
        Action = rule.Action,
        Enabled = rule.Enabled,
        Dropped = teller.DroppedBy(rule.Number),
    };

    private string Show(RuleSelector selector) =>
        selector.Kind == SelectorKind.Member ? leases.ById(selector.MemberId)?.Name ?? selector.Name! : selector.ToString();

    private void Audit(List<AccessRule> put, List<AccessRule> removed, string by)
    {
        if (put.Count + removed.Count > MostTold)
        {
            node.Log.Audit(
                AuditAction.RulesChanged, by, "rules", null,
                $"{put.Count} access rules were made or changed and {removed.Count} removed by {by}");
            return;
        }

        foreach (AccessRule rule in put)
            Tell(rule, "holds");
        foreach (AccessRule rule in removed.Where(gone => !put.Exists(rule => rule.Number == gone.Number)))
            Tell(rule, "was removed");

        void Tell(AccessRule rule, string what) => node.Log.Audit(
            AuditAction.RulesChanged, by, rule.Number.ToString(CultureInfo.InvariantCulture), null,
            $"The access rule {rule} {what}{(what == "holds" ? " as it was written" : string.Empty)} by {by}");
    }
}
