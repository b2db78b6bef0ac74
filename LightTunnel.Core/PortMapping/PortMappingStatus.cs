using System.Net;
using LightTunnel.Addressing;

namespace LightTunnel.PortMapping;

/// <summary>How a router is asked to forward a port.</summary>
internal enum PortMappingProtocol
{
    /// <summary>Not at all, or it is not yet known how.</summary>
    None,

    /// <summary>Port Control Protocol (RFC 6887).</summary>
    Pcp,

    /// <summary>NAT Port Mapping Protocol (RFC 6886).</summary>
    NatPmp,

    /// <summary>UPnP Internet Gateway Device.</summary>
    UpnpIgd,
}

/// <summary>How far asking has come.</summary>
internal enum PortMappingState
{
    /// <summary>Nobody asks: it is switched off, not started or stopped.</summary>
    Disabled,

    /// <summary>A router is being asked.</summary>
    Searching,

    /// <summary>The port is forwarded.</summary>
    Mapped,

    /// <summary>There is no router, or none that can be asked. Tried again once in a while.</summary>
    NotAvailable,

    /// <summary>The router understood and said no. Tried again once in a while.</summary>
    Refused,
}

/// <summary>What is known of the port that the router forwards to this node. Immutable.</summary>
/// <param name="State">How far it has come.</param>
internal sealed record PortMappingStatus(PortMappingState State)
{
    /// <summary>Nobody asks.</summary>
    public static PortMappingStatus Disabled { get; } = new(PortMappingState.Disabled);

    /// <summary>How the port was mapped, or refused.</summary>
    public PortMappingProtocol Protocol { get; init; }

    /// <summary>The router; null when there is none.</summary>
    public IPAddress? Gateway { get; init; }

    /// <summary>Where others reach this node; unspecified unless <see cref="PortMappingState.Mapped"/>.</summary>
    public UdpEndpoint External { get; init; }

    /// <summary>When the mapping ends unless it is renewed before; null when there is none, or it has no end.</summary>
    public DateTimeOffset? LeaseEnd { get; init; }

    /// <summary>A sentence that says why there is no mapping; null when there is one or the answer is not in.</summary>
    public string? Reason { get; init; }

    /// <summary>
    /// True when the router is behind another NAT: the endpoint is of use only to those behind that NAT too. Private addresses (RFC 1918)
    /// and those that providers share among customers (RFC 6598, RFC 6333).
    /// </summary>
    public bool IsExternalPrivate => External.IsSpecified && !IsPublic(External);

    /// <summary>True for an IPv4 address that the whole internet can reach.</summary>
    public static bool IsPublic(in UdpEndpoint endpoint)
    {
        uint address = (uint)endpoint.MappedAddress;
        return endpoint.IsIPv4 && Candidate.IsUsable(endpoint) && !endpoint.IsLocal
            && address >> 22 != 0x6440_0000 >> 22 // 100.64.0.0/10
            && address >> 8 != 0xC000_0000 >> 8; // 192.0.0.0/24
    }
}
