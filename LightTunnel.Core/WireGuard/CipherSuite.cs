namespace LightTunnel.WireGuard;

/// <summary>
/// What a session's packets are sealed with. The initiator chooses; the choice is part of everything that the handshake hashes.
/// </summary>
public enum CipherSuite
{
    /// <summary>ChaCha20-Poly1305, as in every WireGuard implementation.</summary>
    WireGuard = 0,

    /// <summary>AEGIS-256, between LightTunnel nodes.</summary>
    Aegis256 = 1,
}

/// <summary>Which cipher suites a node wants.</summary>
public enum CipherPolicy
{
    /// <summary>
    /// AEGIS-256 with LightTunnel nodes that want it too, if this machine's processor has AES instructions; otherwise WireGuard's.
    /// </summary>
    Auto,

    /// <summary>WireGuard's with everybody.</summary>
    WireGuard,
}
