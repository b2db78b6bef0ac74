namespace LightTunnel.PortMapping;

/// <summary>One way of having a gateway forward a port.</summary>
internal interface IPortControl
{
    /// <summary>Asks the gateway and, as long as it forwards the port, keeps it so.</summary>
    /// <param name="report">Gets what becomes true while this goes on.</param>
    /// <param name="cancellationToken">Ends it; what is mapped stays so.</param>
    /// <returns>How it ended: <see cref="PortMappingState.NotAvailable"/> or <see cref="PortMappingState.Refused"/>.</returns>
    Task<PortMappingStatus> KeepAsync(Action<PortMappingStatus> report, CancellationToken cancellationToken);

    /// <summary>
    /// Lets the gateway forward no longer what <see cref="KeepAsync"/> last had. Failing is no error: the lease ends by itself.
    /// </summary>
    Task RemoveAsync(CancellationToken cancellationToken);
}

/// <summary>The ports that gateways and hosts are asked at; others in tests only.</summary>
/// <param name="Control">PCP and NAT-PMP, at the gateway.</param>
/// <param name="Announcement">PCP and NAT-PMP, at every host.</param>
/// <param name="Ssdp">The search for UPnP devices.</param>
internal sealed record GatewayPorts(int Control = 5351, int Announcement = 5350, int Ssdp = 1900);
