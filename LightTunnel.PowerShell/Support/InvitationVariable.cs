using System.Security;

namespace LightTunnel;

/// <summary>An invitation in the environment, for where there is no file: containers.</summary>
internal static class InvitationVariable
{
    /// <summary>Name of the variable.</summary>
    public const string Name = "LIGHTTUNNEL_INVITATION";

    private static SecureString? _taken;

    /// <summary>
    /// The one that was taken last, for another attempt in this process where nobody can be asked; null when there is none.
    /// </summary>
    public static SecureString? Taken => Volatile.Read(ref _taken);

    /// <summary>
    /// Takes the invitation out of the environment, so that programs which this process starts do not inherit it. Null when there is none.
    /// </summary>
    public static SecureString? Take()
    {
        if (Environment.GetEnvironmentVariable(Name) is not { } text)
            return null;
        Environment.SetEnvironmentVariable(Name, null);
        Volatile.Write(ref _taken, string.IsNullOrWhiteSpace(text) ? null : SecretText.Protect(text.Trim()));
        return Taken;
    }
}
