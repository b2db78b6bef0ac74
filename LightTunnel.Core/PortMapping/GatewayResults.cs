using System.Globalization;

namespace LightTunnel.PortMapping;

/// <summary>Result codes as sentences for people. What a router says in words of its own is never shown.</summary>
internal static class GatewayResults
{
    /// <summary>It forwards ports, but none that others could reach.</summary>
    public const string NoAddress = "The router has no address on the internet.";

    private const string NotAllowed = "The router does not let this machine have a port forwarded; its settings can allow it.";
    private const string NoRoom = "The router has no room for another forwarded port.";

    /// <summary>The sentence for a result code other than 0.</summary>
    public static string Describe(PortMappingProtocol protocol, int code) => (protocol, code) switch
    {
        // RFC 6887 section 7.4.
        (PortMappingProtocol.Pcp, 2) => NotAllowed,
        (PortMappingProtocol.Pcp, 7) => NoAddress,
        (PortMappingProtocol.Pcp, 8 or 10 or 11) => NoRoom,
        (PortMappingProtocol.Pcp, 12) => "There is another NAT between this machine and the router that it asks.",
        // RFC 6886 section 3.5.
        (PortMappingProtocol.NatPmp, 2) => NotAllowed,
        (PortMappingProtocol.NatPmp, 3) => NoAddress,
        (PortMappingProtocol.NatPmp, 4) => NoRoom,
        // UPnP Device Architecture section 3.2.2, WANIPConnection:1 and :2 section 2.4.
        (PortMappingProtocol.UpnpIgd, 401 or 606) => NotAllowed,
        (PortMappingProtocol.UpnpIgd, 718 or 728 or 729) => NoRoom,
        _ => string.Create(CultureInfo.InvariantCulture, $"The router refused with {protocol} error {code}."),
    };
}
