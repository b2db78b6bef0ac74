using System.Management.Automation;
using LightTunnel.Diagnostics;

namespace LightTunnel;

/// <summary>
/// What stands on a command line and belongs to no parameter. PowerShell would repeat it in its error, and it may be a secret.
/// </summary>
internal sealed class StrayArguments
{
    /// <summary>Nothing, when all is right.</summary>
    [Parameter(ValueFromRemainingArguments = true, DontShow = true)]
    public object[]? Values { get; set; }

    /// <summary>The error that names what is wrong, as far as it may be shown; null when nothing is.</summary>
    /// <param name="command">Name of the command.</param>
    /// <param name="mayBeSecret">True for a command that takes secrets: a part of one is not known by its look.</param>
    public LightTunnelException? Error(string command, bool mayBeSecret)
    {
        if (Values is not { Length: > 0 } values)
            return null;
        string[] texts = [.. values.Select(value => $"{value}")];
        string? unknown = Array.Find(
            texts, text => text.Length is > 1 and < 40 && text[0] == '-' && text.AsSpan(1).ContainsAnyExceptInRange('0', '9'));
        if (unknown is not null)
        {
            return new LightTunnelException(
                LightTunnelError.InvalidOption, $"There is no parameter {unknown}.", $"Get-Help {command} -Full tells all parameters.");
        }
        string shown = mayBeSecret || SecretText.Hide(texts[0]) != texts[0]
            ? ", which is not shown: it may be a secret."
            : $": '{texts[0]}'.";
        return new LightTunnelException(
            LightTunnelError.InvalidOption, $"There is a value too many{shown}",
            $"Name the parameter that it is for; several values of one have commas between them. Get-Help {command} -Full tells "
                + "all parameters.");
    }
}
