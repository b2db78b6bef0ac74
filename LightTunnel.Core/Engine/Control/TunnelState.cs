namespace LightTunnel.Engine.Control;

/// <summary>Where a tunnel stands.</summary>
public enum TunnelState
{
    /// <summary>Being set up.</summary>
    Starting,

    /// <summary>A client on its way to its first registration.</summary>
    Connecting,

    /// <summary>Working: a server that listens, a client that is registered.</summary>
    Up,

    /// <summary>A client whose server stopped answering; it tries again for ever.</summary>
    Reconnecting,

    /// <summary>Being taken down.</summary>
    Stopping,

    /// <summary>Taken down.</summary>
    Stopped,

    /// <summary>Given up; LastError says why.</summary>
    Failed,

    /// <summary>
    /// In the network, but the system's interface is not as it should be, and cannot be put right; LastError says what is wrong.
    /// </summary>
    Impaired,

    /// <summary>
    /// A client that is no member yet: an administrator of the network has to approve it, or has denied it. LastError says which, and what
    /// to do.
    /// </summary>
    AwaitingApproval,
}
