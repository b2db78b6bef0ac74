namespace LightTunnel.Routing;

/// <summary>What becomes of a network behind a node, as seen from one node.</summary>
public enum RouteStanding
{
    /// <summary>It is routed, as each member's own addresses are.</summary>
    Active,

    /// <summary>Another node carries it; this one takes over when that one fails.</summary>
    Standby,

    /// <summary>It is offered, and waits for an admin's approval.</summary>
    Offered,

    /// <summary>It is offered and approved; whether others take it is theirs to say.</summary>
    Approved,

    /// <summary>An admin does not approve it.</summary>
    Denied,

    /// <summary>It is approved, and not taken here, as nobody has said that it may.</summary>
    NotAccepted,

    /// <summary>It would be taken, but is in the way of something here.</summary>
    Conflict,
}
