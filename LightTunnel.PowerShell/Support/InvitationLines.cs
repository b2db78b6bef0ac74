using System.Text.RegularExpressions;

namespace LightTunnel;

/// <summary>Invitations that come through the pipeline, where Get-Content gives a file line by line: put together again.</summary>
internal sealed partial class InvitationLines
{
    private readonly List<string> _texts = [];

    /// <summary>The invitations, without what is only empty lines and comments.</summary>
    public IEnumerable<string> Texts =>
        _texts.Select(text => text.Trim()).Where(text => text.Split('\n').Any(line => line.Length > 0 && line[0] != '#'));

    public void Add(string line)
    {
        if (_texts.Count == 0 || Beginning().IsMatch(line))
            _texts.Add(line);
        else
            _texts[^1] += '\n' + line;
    }

    [GeneratedRegex("^[\\s>\"'<`]*lt[0-9]+:", RegexOptions.IgnoreCase)]
    private static partial Regex Beginning();
}
