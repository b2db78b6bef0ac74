namespace LightTunnel.Engine.Data;

/// <summary>Where a packet goes next.</summary>
internal enum NextHop : byte
{
    /// <summary>Into this machine, by the TUN device.</summary>
    Tun,

    /// <summary>To another node, sealed by its link.</summary>
    Link,

    /// <summary>To whoever passes it on, by the link with that one, which opens it: its <see cref="PeerRoute.Carrier"/>.</summary>
    Carrier,
}
