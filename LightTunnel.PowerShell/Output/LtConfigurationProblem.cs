using LightTunnel.Configuration;

namespace LightTunnel;

/// <summary>Something that is wrong in a configuration file. Its text is one line as compilers print it.</summary>
public sealed class LtConfigurationProblem
{
    internal LtConfigurationProblem(ConfigurationProblem problem)
    {
        Path = problem.File;
        Line = problem.Line;
        Column = problem.Column;
        Severity = (LtConfigurationSeverity)problem.Severity;
        Key = problem.Key;
        Message = problem.Message;
        RecommendedAction = problem.RecommendedAction;
    }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>Line, from 1; 0 when it concerns the whole file.</summary>
    public int Line { get; }

    /// <summary>Column, from 1; 0 when it concerns the whole file.</summary>
    public int Column { get; }

    /// <summary>Error: the file cannot be used. Warning: it works, but something should be looked at.</summary>
    public LtConfigurationSeverity Severity { get; }

    /// <summary>The key concerned, or null.</summary>
    public string? Key { get; }

    /// <summary>What is wrong.</summary>
    public string Message { get; }

    /// <summary>What to do about it.</summary>
    public string RecommendedAction { get; }

    /// <summary>"file(line,column): severity: message".</summary>
    public override string ToString() => FormattableString.Invariant($"{Path}({Line},{Column}): {Severity}: {Message}");
}
