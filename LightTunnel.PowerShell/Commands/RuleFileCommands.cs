using System.Management.Automation;
using LightTunnel.Access;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;

namespace LightTunnel;

/// <summary>Says which access rule decides about a connection, without making one.</summary>
/// <remarks>
/// <para>The server works out what its rules say to a connection that one member begins to another. Nothing is sent. Where both have
/// addresses of two families there is an answer for each.</para>
/// <para>An answer passes with its connection, whatever rules say to its direction: ask in the direction in which the connection
/// is begun.</para>
/// </remarks>
/// <example>
/// <code>PS> Test-LtRule laptop server -Port 22
///
/// From             To               Protocol  Port Action Rule
/// ----             --               --------  ---- ------ ----
/// laptop           server           Tcp         22 Deny   5 (no ssh while it is lent)</code>
/// <para>Asks why ssh does not get through.</para>
/// </example>
/// <example>
/// <code>PS> (Get-LtMember).Name |
///         Where-Object { (Test-LtRule $_ nas -Port 445).Action -eq 'Allow' }</code>
/// <para>Lists who reaches a port.</para>
/// </example>
[Cmdlet(VerbsDiagnostic.Test, "LtRule")]
[OutputType(typeof(LtRuleTest))]
public sealed class TestLtRuleCommand : RuleCommand
{
    /// <summary>Who begins: server, the name of a member, or an address.</summary>
    [Parameter(Mandatory = true, Position = 0)]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(RuleSideCompleter))]
    public string From { get; set; } = string.Empty;

    /// <summary>Who is talked to: server, the name of a member, or an address.</summary>
    [Parameter(Mandatory = true, Position = 1)]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(RuleSideCompleter))]
    public string To { get; set; } = string.Empty;

    /// <summary>By which protocol: Tcp unless said otherwise; Any stands for one that rules have no name for.</summary>
    [Parameter]
    [NotSecret]
    public LtRuleProtocol Protocol { get; set; } = LtRuleProtocol.Tcp;

    /// <summary>At which port of who is talked to; with Tcp or Udp.</summary>
    [Parameter]
    [ValidateRange(0, 65535)]
    [NotSecret]
    public int Port { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        string? network = Network;
        var question = new RuleQuestion(From, To, (RuleProtocol)Protocol, Port);
        Run(
            async (output, cancellationToken) =>
            {
                if (await ServerFinder.OneAsync(output, network, null, cancellationToken).ConfigureAwait(false) is not { } tunnel)
                    return;
                foreach (RuleVerdict verdict in await tunnel.TestRuleAsync(question, cancellationToken).ConfigureAwait(false))
                    output.WriteObject(new LtRuleTest(verdict, question));
            },
            From);
    }
}

/// <summary>Writes all access rules of a server into a file.</summary>
/// <remarks>
/// <para>The file is YAML, one rule after the other in the order in which they count: made to be looked at, kept in version control, and
/// taken by Import-LtRule. Without -Path its text is put out. Client isolation is a setting of the server and is left out.</para>
/// </remarks>
/// <example>
/// <code>PS> Export-LtRule rules.yaml</code>
/// <para>Saves the rules.</para>
/// </example>
/// <example>
/// <code>PS> Export-LtRule -Network office | git diff --no-index rules.yaml -</code>
/// <para>Shows what has changed since the file was written.</para>
/// </example>
[Cmdlet(VerbsData.Export, "LtRule", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low)]
[OutputType(typeof(string))]
public sealed class ExportLtRuleCommand : RuleCommand
{
    /// <summary>The file. Without it the text is put out.</summary>
    [Parameter(Position = 0)]
    [ValidateNotNullOrEmpty]
    public string? Path { get; set; }

    /// <summary>Overwrites a file that is there.</summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter Force { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        if (Find(Path) is not { } found)
            return;
        string text = RuleFile.Write(found.Tunnel.Name, found.Rules);
        if (Path is null)
        {
            WriteObject(text);
            return;
        }

        try
        {
            string path = ResolvePath(Path, nameof(Path))!;
            if (File.Exists(path) && !Force)
            {
                throw new LightTunnelException(
                    LightTunnelError.FileAccess, $"'{path}' is there already.", "Name another file, or overwrite it with -Force.")
                {
                    Target = path,
                };
            }

            if (ShouldProcess(path, $"Write the rules of {found.Tunnel.Name}"))
                Write(path, text);
        }
        catch (LightTunnelException exception)
        {
            WriteError(ErrorRecords.From(exception, Path));
        }
    }

    private static void Write(string path, string text)
    {
        try
        {
            File.WriteAllText(path, text);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new LightTunnelException(
                LightTunnelError.FileAccess, $"'{path}' cannot be written: {exception.Message}", "Name a file that can be written.",
                exception)
            {
                Target = path,
            };
        }
    }
}

/// <summary>Has the rules of a file take the place of all access rules of a server.</summary>
/// <remarks>
/// <para>The whole set is saved in one piece before the command returns, and acts as one: there is no moment at which some of the new rules
/// hold and others do not. Something wrong in the file changes nothing; the error names the file and the line.</para>
/// <para>-WhatIf shows what is different: '+' for a rule that is new, '-' for one that goes, '~' for one that changes.</para>
/// </remarks>
/// <example>
/// <code>PS> Import-LtRule rules.yaml -WhatIf
/// PS> Import-LtRule rules.yaml</code>
/// <para>Looks at the difference, and makes it.</para>
/// </example>
/// <example>
/// <code>PS> Import-LtRule rules.yaml -PassThru | Format-Table</code>
/// <para>Shows the rules that are others now.</para>
/// </example>
[Cmdlet(VerbsData.Import, "LtRule", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
[OutputType(typeof(LtRule))]
public sealed class ImportLtRuleCommand : RuleCommand
{
    /// <summary>The file, as Export-LtRule writes it.</summary>
    [Parameter(Mandatory = true, Position = 0)]
    [ValidateNotNullOrEmpty]
    public string Path { get; set; } = string.Empty;

    /// <summary>Returns the rules that are others now.</summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        IReadOnlyList<RuleSpec> rules;
        try
        {
            rules = RuleFile.Read(ResolvePath(Path, nameof(Path))!);
        }
        catch (LightTunnelException exception)
        {
            WriteError(ErrorRecords.From(exception, Path));
            return;
        }

        if (Find(Path) is not { } found)
            return;
        string[] differences = [.. Differences(found.Rules, rules)];
        if (differences.Length == 0)
        {
            WriteVerbose($"The rules of {found.Tunnel.Name} are those of the file already.");
            return;
        }

        if (ShouldProcess(found.Tunnel.Name, $"Change the rules:{string.Concat(differences.Select(line => $"\n  {line}"))}\n"))
            Change(found.Tunnel, new RuleChange { Kind = RuleChangeKind.Replace, Rules = rules }, PassThru, Path);
    }

    private static IEnumerable<string> Differences(IReadOnlyList<RuleStatus> before, IReadOnlyList<RuleSpec> after)
    {
        Dictionary<int, RuleSpec> had = before.Where(rule => rule.Number != 0)
            .ToDictionary(rule => rule.Number, SpecOf);
        foreach (RuleSpec rule in after.OrderBy(rule => rule.Number))
        {
            if (!had.Remove(rule.Number, out RuleSpec? old))
                yield return $"+ {rule.Number} {Describe(rule)}";
            else if (Describe(old) != Describe(rule) || old.Name != rule.Name)
                yield return $"~ {rule.Number} {Describe(rule)} (was {Describe(old)})";
        }

        foreach (RuleSpec gone in had.Values)
            yield return $"- {gone.Number} {Describe(gone)}";
    }
}
