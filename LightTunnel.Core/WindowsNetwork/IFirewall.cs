namespace LightTunnel.WindowsNetwork;

/// <summary>What keeps rules of this machine's own from having an effect (NET_FW_MODIFY_STATE).</summary>
internal enum FirewallHindrance
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>A group policy decides, and does not merge local rules.</summary>
    GroupPolicy,

    /// <summary>Everything that comes in is blocked, whatever rules say.</summary>
    InboundBlocked,
}

/// <summary>
/// The Windows Firewall, as <see cref="WindowsPresence"/> uses it; replaced in tests. Every call may wait for a service, and throws
/// what <see cref="WindowsTrouble"/> has words for.
/// </summary>
internal interface IFirewall
{
    /// <summary>What keeps rules from having an effect in the profiles that are in force now.</summary>
    FirewallHindrance FindHindrance();

    /// <summary>The group of the first rule of that name, empty when it is in none; null when there is no such rule.</summary>
    string? FindGroup(string name);

    /// <summary>Removes the first rule of that name.</summary>
    void Remove(string name);

    /// <summary>Adds a rule.</summary>
    void Add(FirewallRule rule);
}
