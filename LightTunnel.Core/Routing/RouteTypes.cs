namespace LightTunnel.Routing;

/// <summary>How a destination is reached.</summary>
public enum RouteType
{
    /// <summary>Straight to the peer.</summary>
    Direct,

    /// <summary>Through another client.</summary>
    Relay,

    /// <summary>Through the server.</summary>
    Server,

    /// <summary>Not at all: the peer is offline, or the path policy allows none of the ways there are.</summary>
    Offline,

    /// <summary>Without the tunnel: it lies behind this node itself.</summary>
    Own,
}

/// <summary>The kind of path that is in use to a peer.</summary>
public enum PathType
{
    /// <summary>The peer is not there.</summary>
    Offline,

    /// <summary>Straight, within the local network.</summary>
    Lan,

    /// <summary>Straight, through the public network.</summary>
    Direct,

    /// <summary>Through another client.</summary>
    Relay,

    /// <summary>Through the server.</summary>
    Server,
}

/// <summary>What is known of the path that a route uses.</summary>
public enum RouteState
{
    /// <summary>No probe was answered yet; packets are sent, and set the link up.</summary>
    Unproven,

    /// <summary>Probes are answered.</summary>
    Up,

    /// <summary>The path does not answer.</summary>
    Down,

    /// <summary>There is no path, as <see cref="RouteType.Offline"/>.</summary>
    Offline,
}
