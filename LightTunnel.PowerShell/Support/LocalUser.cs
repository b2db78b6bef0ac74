namespace LightTunnel;

/// <summary>Who works in this session, for logs of what admins do.</summary>
internal static class LocalUser
{
    /// <summary>The user's name; of one who became root by sudo both.</summary>
    public static string Name { get; } = NameOf(
        OperatingSystem.IsWindows() ? $@"{Environment.UserDomainName}\{Environment.UserName}" : Environment.UserName,
        OperatingSystem.IsWindows() ? null : Environment.GetEnvironmentVariable("SUDO_USER"));

    private static string NameOf(string user, string? before) => string.IsNullOrEmpty(before) ? user : $"{user} (sudo of {before})";
}
