namespace LightTunnel.Membership;

/// <summary>What a node is in its network.</summary>
public enum TunnelRole
{
    /// <summary>Admits members, leases addresses and relays.</summary>
    Server,

    /// <summary>A member.</summary>
    Client,
}
