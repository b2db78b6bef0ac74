using System.Globalization;
using LightTunnel.Diagnostics;

namespace LightTunnel.Configuration;

/// <summary>How bad a problem of a configuration file is.</summary>
public enum ConfigurationSeverity
{
    /// <summary>The file works, but something should be looked at.</summary>
    Warning,

    /// <summary>The file cannot be used.</summary>
    Error,
}

/// <summary>Something wrong with a configuration file.</summary>
/// <param name="File">The file, as a full path.</param>
/// <param name="Line">Line from 1, or 0 when it is about the file as a whole.</param>
/// <param name="Column">Column from 1, or 0 when it is about the file as a whole.</param>
/// <param name="Severity">How bad it is.</param>
/// <param name="Key">The key that it is about, or null.</param>
/// <param name="Message">What is wrong; never a secret.</param>
/// <param name="RecommendedAction">What to do about it.</param>
public sealed record ConfigurationProblem(
    string File, int Line, int Column, ConfigurationSeverity Severity, string? Key, string Message, string RecommendedAction)
{
    /// <summary>"server.yaml(3,7): error: ...".</summary>
    public override string ToString()
    {
        string place = Line == 0 ? File : string.Create(CultureInfo.InvariantCulture, $"{File}({Line},{Column})");
        return $"{place}: {(Severity == ConfigurationSeverity.Error ? "error" : "warning")}: {Message}";
    }

    internal LightTunnelException ToException(Exception? cause = null)
    {
        string place = Line == 0 ? File : string.Create(CultureInfo.InvariantCulture, $"{File}, line {Line}, column {Column}");
        LightTunnelError error = cause is LightTunnelException { Error: LightTunnelError.NotFound }
            ? LightTunnelError.NotFound
            : LightTunnelError.InvalidConfiguration;
        return new LightTunnelException(error, $"{place}: {Message}", RecommendedAction, cause) { Target = this };
    }
}
