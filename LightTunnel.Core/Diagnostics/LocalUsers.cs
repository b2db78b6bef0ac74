namespace LightTunnel.Diagnostics;

/// <summary>Users of this machine as logs name them.</summary>
internal static class LocalUsers
{
    private const int Longest = 100;

    /// <summary>The name that another process says is its user's, of bounded length and without what is no text.</summary>
    public static string Shown(string name)
    {
        string shown = new([.. name.Where(character => !char.IsControl(character)).Take(Longest)]);
        return shown.Length == 0 ? "an unknown user" : shown;
    }
}
