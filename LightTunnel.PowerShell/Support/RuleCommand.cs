using System.Globalization;
using System.Management.Automation;
using LightTunnel.Access;
using LightTunnel.Management;

namespace LightTunnel;

/// <summary>What the commands that are about the rules of one server have in common.</summary>
public abstract class RuleCommand : LtCommand
{
    /// <summary>Name of the server. Needed only when several servers run on this machine.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    [Alias("Server")]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(ServerNameCompleter))]
    public string? Network { get; set; }

    /// <summary>The server and the rules that it has; null when an error was written.</summary>
    private protected (ITunnelHandle Tunnel, IReadOnlyList<RuleStatus> Rules)? Find(object? target)
    {
        string? network = Network;
        (ITunnelHandle, IReadOnlyList<RuleStatus>)? found = null;
        Run(
            async (output, cancellationToken) =>
            {
                if (await ServerFinder.OneAsync(output, network, null, cancellationToken).ConfigureAwait(false) is { } tunnel)
                    found = (tunnel, await tunnel.GetRulesAsync(cancellationToken).ConfigureAwait(false));
            },
            target);
        return found;
    }

    /// <summary>Makes a change, and puts out the rules that it was about, as they are afterwards, if that is wanted.</summary>
    private protected void Change(ITunnelHandle tunnel, RuleChange change, bool passThru, object? target) => Run(
        async (output, cancellationToken) =>
        {
            IReadOnlyList<int> changed = await tunnel.ChangeRulesAsync(
                change with { By = LocalUser.Name }, cancellationToken).ConfigureAwait(false);
            if (!passThru)
                return;
            foreach (RuleStatus rule in await tunnel.GetRulesAsync(cancellationToken).ConfigureAwait(false))
            {
                if (changed.Contains(rule.Number))
                    output.WriteObject(new LtRule(rule));
            }
        },
        target);

    /// <summary>A rule as it may be written anew.</summary>
    private protected static RuleSpec SpecOf(RuleStatus rule) => new()
    {
        Number = rule.Number,
        Name = rule.Name,
        From = rule.From,
        To = rule.To,
        Protocol = rule.Protocol,
        Ports = rule.Ports,
        Action = rule.Action,
        Enabled = rule.Enabled,
    };

    /// <summary>A rule in one line: "Allow Tcp 22,443 from group:office to 10.0.0.5".</summary>
    private protected static string Describe(RuleSpec rule) => string.Create(
        CultureInfo.InvariantCulture,
        $"{rule.Action} {rule.Protocol}{(rule.Ports.Count == 0 ? string.Empty : $" {string.Join(',', rule.Ports)}")} "
            + $"from {string.Join(',', rule.From)} to {string.Join(',', rule.To)}{(rule.Enabled ? string.Empty : " (disabled)")}");
}
