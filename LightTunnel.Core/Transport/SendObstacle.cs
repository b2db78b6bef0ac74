namespace LightTunnel.Transport;

/// <summary>Why this machine itself did not send a datagram.</summary>
internal enum SendObstacle
{
    /// <summary>It was sent, or lost for a moment's reason.</summary>
    None,

    /// <summary>No route leads there, or no address to send from.</summary>
    NoRoute,

    /// <summary>The socket does not speak the family.</summary>
    NoFamily,

    /// <summary>A rule of this machine's own refuses: its firewall, or a prohibiting route.</summary>
    Refused,
}
