using LightTunnel.Engine.Control;

namespace LightTunnel;

/// <summary>What <see cref="LtTunnel.RouteChanged"/> tells.</summary>
public sealed class LtRouteChangedEventArgs : EventArgs
{
    internal LtRouteChangedEventArgs(LtRouteChange change) => Change = change;

    /// <summary>What changed.</summary>
    public LtRouteChange Change { get; }
}

/// <summary>What <see cref="LtTunnel.StateChanged"/> tells.</summary>
public sealed class LtStateChangedEventArgs : EventArgs
{
    internal LtStateChangedEventArgs(string network, DateTimeOffset time, StateChange change)
    {
        Network = network;
        Time = time;
        OldState = (LtTunnelState)change.Old;
        State = (LtTunnelState)change.New;
        Reason = change.Reason;
    }

    /// <summary>Name of the tunnel.</summary>
    public string Network { get; }

    /// <summary>When it happened.</summary>
    public DateTimeOffset Time { get; }

    /// <summary>Where the tunnel stood.</summary>
    public LtTunnelState OldState { get; }

    /// <summary>Where the tunnel stands.</summary>
    public LtTunnelState State { get; }

    /// <summary>What went wrong, or null.</summary>
    public string? Reason { get; }
}
