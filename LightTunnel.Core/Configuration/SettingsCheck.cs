using LightTunnel.Diagnostics;

namespace LightTunnel.Configuration;

/// <summary>Something wrong with the value of one setting.</summary>
/// <param name="Key">Name of the setting as in <see cref="TunnelSettings"/>.</param>
/// <param name="Index">Which value of a list, from 0.</param>
/// <param name="Exception">What is wrong, and what to do about it.</param>
internal sealed record SettingsProblem(string Key, int Index, LightTunnelException Exception);

/// <summary>Collects what is wrong with settings, so that one pass can tell a person all of it.</summary>
/// <param name="complete">True when settings that cannot be left out must be there; false for a file that parameters may complete.</param>
internal sealed class SettingsCheck(bool complete)
{
    private readonly List<SettingsProblem> _problems = [];

    /// <summary>True when settings that cannot be left out must be there.</summary>
    public bool Complete => complete;

    /// <summary>In the order of finding.</summary>
    public IReadOnlyList<SettingsProblem> Problems => _problems;

    /// <summary>Reads a value if there is one; a value that cannot be read becomes a problem.</summary>
    public TResult? Read<T, TResult>(string key, T? value, Func<T, TResult> read)
        where T : class
        where TResult : class
    {
        TResult? result = null;
        if (value is not null)
            Guard(key, 0, () => result = read(value));
        return result;
    }

    /// <summary>Reads each value of a list.</summary>
    public List<TResult> ReadAll<TResult>(string key, IReadOnlyList<string>? values, Func<string, TResult> read)
    {
        var results = new List<TResult>();
        for (int i = 0; i < (values?.Count ?? 0); i++)
        {
            string value = values![i];
            Guard(key, i, () => results.Add(read(value)));
        }

        return results;
    }

    /// <summary>Checks something about a value.</summary>
    public void Guard(string key, int index, Action check)
    {
        try
        {
            check();
        }
        catch (LightTunnelException exception)
        {
            _problems.Add(new SettingsProblem(key, index, exception));
        }
    }

    /// <summary>Adds a problem.</summary>
    public void Add(string key, LightTunnelException exception) => _problems.Add(new SettingsProblem(key, 0, exception));

    /// <summary>Throws the first problem.</summary>
    public void ThrowFirst()
    {
        if (_problems.Count > 0)
            throw _problems[0].Exception;
    }
}
