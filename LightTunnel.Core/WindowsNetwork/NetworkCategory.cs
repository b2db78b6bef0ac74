namespace LightTunnel.WindowsNetwork;

/// <summary>
/// What Windows takes a network for (NLM_NETWORK_CATEGORY), as far as somebody may choose; its firewall has a profile for each.
/// </summary>
public enum NetworkCategory
{
    /// <summary>Others in it are not trusted.</summary>
    Public,

    /// <summary>Others in it may find this machine, and reach what it shares.</summary>
    Private,
}
