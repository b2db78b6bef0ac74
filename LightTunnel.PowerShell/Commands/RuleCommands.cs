using System.Globalization;
using System.Management.Automation;
using LightTunnel.Access;
using LightTunnel.Management;

namespace LightTunnel;

/// <summary>Shows access rules: who may begin to talk to whom, and what was dropped because of it.</summary>
/// <remarks>
/// <para>On a server: all rules of its network, in the order in which they count; of those that fit a connection the first decides, and
/// where none fits, all is allowed. A server with client isolation shows that as rule 0. Dropped counts the packets that the server itself
/// has dropped, and those of plain WireGuard clients.</para>
/// <para>On a client: the rules that concern it, as the server told them, with addresses in place of names and groups. Dropped counts what
/// this machine has dropped: what came in, and what it did not send.</para>
/// </remarks>
/// <example>
/// <code>PS> Get-LtRule
///
/// Number Action Protocol Port        From             To               Dropped
/// ------ ------ -------- ----        ----             --               -------
///     10 Allow  Tcp      22,443      group:office     group:servers          0
///     20 Deny   Any                  *                group:servers         17</code>
/// <para>Shows the rules of all networks on this machine.</para>
/// </example>
/// <example>
/// <code>PS> Get-LtRule | Where-Object Dropped -gt 0</code>
/// <para>Shows which rules had something to do.</para>
/// </example>
[Cmdlet(VerbsCommon.Get, "LtRule")]
[OutputType(typeof(LtRule))]
public sealed class GetLtRuleCommand : LtCommand
{
    /// <summary>Number of the rule. All when left out.</summary>
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [NotSecret]
    public int[]? Number { get; set; }

    /// <summary>Name of the rule; wildcards are allowed.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    public string[]? Name { get; set; }

    /// <summary>Name of the network on this machine; wildcards are allowed. All when left out.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [Alias("Server")]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(TunnelNameCompleter))]
    public string[]? Network { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        (int[]? numbers, string[]? names, string[]? networks) = (Number, Name, Network);
        Run(
            async (output, cancellationToken) =>
            {
                IReadOnlyList<ITunnelHandle> tunnels = await TunnelFinder.ByNameAsync(
                    output, null, networks, cancellationToken).ConfigureAwait(false);
                IReadOnlyList<RuleStatus> rules = await TunnelFinder.AskAllAsync(
                    output, tunnels, tunnel => tunnel.GetRulesAsync(cancellationToken)).ConfigureAwait(false);
                NameFilter? byName = names is null ? null : new NameFilter(names);
                foreach (RuleStatus rule in rules)
                {
                    if (numbers?.Contains(rule.Number) != false && byName?.Accepts(rule.Name) != false)
                        output.WriteObject(new LtRule(rule));
                }

                if (tunnels.Count == 0)
                    return;
                IEnumerable<string> missing = (numbers ?? []).Except(rules.Select(rule => rule.Number))
                    .Select(number => number.ToString(CultureInfo.InvariantCulture)).Concat(byName?.Unmatched ?? []);
                foreach (string one in missing)
                    output.WriteError(ErrorRecords.NotFound("rule", one, "Get-LtRule without a number shows all rules."), one);
            },
            numbers);
    }
}

/// <summary>Makes an access rule on a server: who may begin to talk to whom, or may not.</summary>
/// <remarks>
/// <para>A rule is about who begins a connection (-From) and who is talked to (-To), by which protocol and at which ports of who is talked
/// to. Answers pass with the connection that they belong to. Rules count in the order of their numbers, and the first that fits
/// decides; where none fits, all is allowed. A last rule 'Deny' from * to * turns that round.</para>
/// <para>-From and -To take: * for everybody, server, clients (everybody but the server), the name of a member, group:office, an address, a
/// prefix; several of them. A name stands for the machine that has it now: who takes the name later is somebody else. For machines that are
/// still to join use a group.</para>
/// <para>The rule is saved before the command returns, and acts within a second as a rule: connections that it forbids end, others go on.
/// Every member enforces it on what it receives; who sends is refused at once, by ICMP "administratively prohibited".</para>
/// </remarks>
/// <example>
/// <code>PS> New-LtRule group:office group:servers,10.0.0.5 -Action Allow `
///         -Protocol Tcp -Port 22,443
/// PS> New-LtRule * group:servers -Action Deny</code>
/// <para>Lets the office reach two ports of the servers, and nobody else anything of them.</para>
/// </example>
/// <example>
/// <code>PS> New-LtRule laptop server -Protocol Tcp -Port 22 -Action Deny `
///         -Number 5 -Name 'no ssh while it is lent'</code>
/// <para>Forbids one machine one port of the server, before all other rules.</para>
/// </example>
[Cmdlet(VerbsCommon.New, "LtRule", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
[OutputType(typeof(LtRule))]
public sealed class NewLtRuleCommand : RuleCommand
{
    /// <summary>Who begins: *, server, clients, names of members, group:office, addresses, prefixes.</summary>
    [Parameter(Mandatory = true, Position = 0)]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(RuleSideCompleter))]
    public string[] From { get; set; } = [];

    /// <summary>Who is talked to, in the same way.</summary>
    [Parameter(Mandatory = true, Position = 1)]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(RuleSideCompleter))]
    public string[] To { get; set; } = [];

    /// <summary>What becomes of it: Allow or Deny.</summary>
    [Parameter(Mandatory = true)]
    [NotSecret]
    public LtRuleAction Action { get; set; }

    /// <summary>By which protocol: Any, Tcp, Udp, Icmp (which is ICMPv6 too).</summary>
    [Parameter]
    [NotSecret]
    public LtRuleProtocol Protocol { get; set; }

    /// <summary>At which ports of who is talked to, such as 22 or 8000-8099; with Tcp or Udp. All when left out.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[] Port { get; set; } = [];

    /// <summary>Its place among the others, 1 to 1000000. Behind all others when left out.</summary>
    [Parameter]
    [ValidateRange(1, 1_000_000)]
    [NotSecret]
    public int Number { get; set; }

    /// <summary>What it is for, for people.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string Name { get; set; } = string.Empty;

    /// <summary>Makes a rule that does not count yet; Set-LtRule -Enabled $true has it count.</summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter Disabled { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        var rule = new RuleSpec
        {
            Number = Number, Name = Name, From = From, To = To, Protocol = (RuleProtocol)Protocol, Ports = Port,
            Action = (RuleAction)Action, Enabled = !Disabled,
        };
        if (Find(From) is not { } found || !ShouldProcess(found.Tunnel.Name, $"Make the rule {Describe(rule)}"))
            return;
        Change(found.Tunnel, new RuleChange { Kind = RuleChangeKind.Add, Rules = [rule] }, passThru: true, Number);
    }
}

/// <summary>Changes access rules on a server: what is not named stays as it is.</summary>
/// <remarks>
/// <para>The change is saved before the command returns, and acts within a second as a rule. Connections that it forbids end, others
/// go on.</para>
/// </remarks>
/// <example>
/// <code>PS> Set-LtRule 10 -Port 22,443,8080</code>
/// <para>Has a rule be about one more port.</para>
/// </example>
/// <example>
/// <code>PS> Get-LtRule -Name 'lent*' | Set-LtRule -Enabled $false</code>
/// <para>Keeps rules, but has them not count.</para>
/// </example>
/// <example>
/// <code>PS> Set-LtRule 30 -NewNumber 5</code>
/// <para>Moves a rule before the others.</para>
/// </example>
[Cmdlet(VerbsCommon.Set, "LtRule", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
[OutputType(typeof(LtRule))]
public sealed class SetLtRuleCommand : RuleCommand
{
    /// <summary>Number of the rule.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipelineByPropertyName = true)]
    [NotSecret]
    public int Number { get; set; }

    /// <summary>Who begins: *, server, clients, names of members, group:office, addresses, prefixes.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(RuleSideCompleter))]
    public string[]? From { get; set; }

    /// <summary>Who is talked to, in the same way.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(RuleSideCompleter))]
    public string[]? To { get; set; }

    /// <summary>What becomes of it: Allow or Deny.</summary>
    [Parameter]
    [NotSecret]
    public LtRuleAction? Action { get; set; }

    /// <summary>By which protocol: Any, Tcp, Udp, Icmp (which is ICMPv6 too).</summary>
    [Parameter]
    [NotSecret]
    public LtRuleProtocol? Protocol { get; set; }

    /// <summary>At which ports of who is talked to, such as 22 or 8000-8099; none ($null) for all.</summary>
    [Parameter]
    [AllowNull]
    [AllowEmptyCollection]
    public string[]? Port { get; set; }

    /// <summary>Another place among the others, 1 to 1000000.</summary>
    [Parameter]
    [ValidateRange(1, 1_000_000)]
    [NotSecret]
    public int NewNumber { get; set; }

    /// <summary>What it is for, for people; an empty text for nothing.</summary>
    [Parameter]
    [AllowEmptyString]
    public string? Name { get; set; }

    /// <summary>Whether it counts.</summary>
    [Parameter]
    [NotSecret]
    public bool? Enabled { get; set; }

    /// <summary>Returns the rule, as it is afterwards.</summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        if (Find(Number) is not { } found)
            return;
        RuleSpec before = found.Rules.FirstOrDefault(rule => rule.Number == Number) is { } status
            ? SpecOf(status)
            : new RuleSpec { Number = Number, From = [], To = [] }; // The server says that there is none.
        RuleSpec rule = before with
        {
            NewNumber = NewNumber,
            Name = Name ?? before.Name,
            From = From ?? before.From,
            To = To ?? before.To,
            Protocol = (RuleProtocol?)Protocol ?? before.Protocol,
            Ports = MyInvocation.BoundParameters.ContainsKey(nameof(Port)) ? Port ?? [] : before.Ports,
            Action = (RuleAction?)Action ?? before.Action,
            Enabled = Enabled ?? before.Enabled,
        };
        if (ShouldProcess($"Rule {Number} of {found.Tunnel.Name}", $"Change it to {Describe(rule)}"))
            Change(found.Tunnel, new RuleChange { Kind = RuleChangeKind.Set, Rules = [rule] }, PassThru, Number);
    }
}

/// <summary>Removes access rules from a server.</summary>
/// <remarks>
/// <para>The rule is gone before the command returns; members act upon that within a second as a rule. What it forbade may begin
/// then, and connections that it had ended may go on.</para>
/// </remarks>
/// <example>
/// <code>PS> Remove-LtRule 20</code>
/// <para>Removes a rule.</para>
/// </example>
/// <example>
/// <code>PS> Get-LtRule -Name 'lent*' | Remove-LtRule -WhatIf</code>
/// <para>Shows which rules would be removed.</para>
/// </example>
[Cmdlet(VerbsCommon.Remove, "LtRule", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
public sealed class RemoveLtRuleCommand : RuleCommand
{
    /// <summary>Number of the rule.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [ObjectText("Number")]
    [NotSecret]
    public int[] Number { get; set; } = [];

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        if (Find(Number) is not { } found)
            return;
        foreach (int number in Number)
        {
            RuleStatus? rule = found.Rules.FirstOrDefault(one => one.Number == number);
            string what = rule is null ? "Remove it" : $"Remove {Describe(SpecOf(rule))}";
            if (ShouldProcess($"Rule {number} of {found.Tunnel.Name}", what))
                Change(found.Tunnel, new RuleChange { Kind = RuleChangeKind.Remove, Numbers = [number] }, passThru: false, number);
        }
    }
}
