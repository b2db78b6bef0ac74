namespace LightTunnel.Engine.Data;

/// <summary>What becomes of packets for somebody.</summary>
internal enum RouteVerdict : byte
{
    /// <summary>They are carried.</summary>
    Carry,

    /// <summary>They are refused, and their sender is told: nobody is there.</summary>
    Refuse,

    /// <summary>They are handed to the control loop, which finds out whose they are.</summary>
    Ask,
}
