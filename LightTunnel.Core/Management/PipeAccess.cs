namespace LightTunnel.Management;

/// <summary>
/// Who owns a control pipe of Windows, who may connect to it, and whose pipe is trusted: said, so that it does not depend on what the
/// process's token or a policy has for a default. What an administrator makes belongs to all of them, as state folders do.
/// </summary>
internal static class PipeAccess
{
    private const string Administrators = "S-1-5-32-544", LocalSystem = "S-1-5-18";

    // PIPE_ACCESS of winnt.h: everything, and without the right to make further instances (0x4) to which others would connect.
    private const string Full = "0x1f019f", Connect = "0x12019b";

    /// <summary>The security descriptor of a pipe, in SDDL.</summary>
    /// <param name="user">The user that this process acts as, "S-1-5-21-...".</param>
    /// <param name="isAdministrator">Whether this process is elevated.</param>
    public static string Describe(string user, bool isAdministrator) =>
        $"O:{(isAdministrator ? "BA" : user)}D:P(A;;{Full};;;SY)(A;;{Full};;;BA)(A;;{(isAdministrator ? Connect : Full)};;;{user})";

    /// <summary>
    /// True when what its listener says is to be believed. An elevated process does not believe one that is not, though it be the same
    /// user's.
    /// </summary>
    /// <param name="owner">The pipe's owner.</param>
    /// <param name="user">As above.</param>
    /// <param name="isAdministrator">As above.</param>
    public static bool IsTrusted(string? owner, string user, bool isAdministrator) =>
        owner is Administrators or LocalSystem || (owner == user && !isAdministrator);
}
