using System.Management.Automation;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Management;

namespace LightTunnel;

/// <summary>Checks configuration files without starting anything.</summary>
/// <remarks>
/// <para>Returns one object for each thing that is wrong, with line and column, and nothing for a file that is fine. With -Quiet it returns
/// True or False instead; warnings alone do not make it False.</para>
/// </remarks>
/// <example>
/// <code>PS> Test-LtConfiguration server.yaml
///
///    Path: /etc/lighttunnel/server.yaml
///
/// Line Column Severity Key               Message
/// ---- ------ -------- ---               -------
///    3      1 Error    listenPrt         'listenPrt' is not a key of this file.
///                                        Did you mean 'listenPort'?</code>
/// <para>Shows what is wrong with a file.</para>
/// </example>
/// <example>
/// <code>PS> Get-ChildItem /etc/lighttunnel/*.yaml | Test-LtConfiguration -Quiet
/// True
/// True</code>
/// <para>Checks all files of a folder.</para>
/// </example>
[Cmdlet(VerbsDiagnostic.Test, "LtConfiguration")]
[OutputType(typeof(LtConfigurationProblem), typeof(bool))]
public sealed class TestLtConfigurationCommand : LtCommand
{
    /// <summary>The file; wildcards are allowed.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("ConfigurationPath", "FullName")]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    public string[] Path { get; set; } = [];

    /// <summary>Returns True for a file that is fine, otherwise False.</summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter Quiet { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        bool quiet = Quiet;
        foreach (string path in Path)
        {
            foreach (string file in Expand(path))
                Run((output, _) => Task.Run(() => Check(output, file, quiet), CancellationToken.None), file);
        }
    }

    private static void Check(CommandOutput output, string file, bool quiet)
    {
        try
        {
            IReadOnlyList<ConfigurationProblem> problems = TunnelCatalog.CheckConfiguration(file);
            if (quiet)
            {
                output.WriteObject(!problems.Any(problem => problem.Severity == ConfigurationSeverity.Error));
                return;
            }

            foreach (ConfigurationProblem problem in problems)
                output.WriteObject(new LtConfigurationProblem(problem));
        }
        catch (LightTunnelException) when (quiet)
        {
            output.WriteObject(false);
            throw;
        }
    }

    /// <summary>The files that a path with wildcards names; one without names itself, there or not.</summary>
    private IReadOnlyList<string> Expand(string path)
    {
        try
        {
            if (!WildcardPattern.ContainsWildcardCharacters(path))
                return [ResolvePath(path, nameof(Path))!];
            var files = SessionState.Path.GetResolvedProviderPathFromPSPath(path, out ProviderInfo provider);
            return provider.Name == "FileSystem" ? [.. files] : [ResolvePath(path, nameof(Path))!];
        }
        catch (LightTunnelException exception)
        {
            WriteError(ErrorRecords.From(exception, path));
            return [];
        }
    }
}
