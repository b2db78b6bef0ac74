using System.Text;

namespace LightTunnel.PortMapping;

/// <summary>The search for UPnP devices: HTTP's header lines in a datagram (UPnP Device Architecture section 1.3).</summary>
internal static class SsdpMessages
{
    /// <summary>A longer answer is no answer.</summary>
    public const int MaximumLength = 2048;

    /// <summary>Gateways, of version 1 or later.</summary>
    public const string InternetGatewayDevice = "urn:schemas-upnp-org:device:InternetGatewayDevice:1";

    /// <summary>All devices, each once: for gateways that answer to nothing else.</summary>
    public const string RootDevice = "upnp:rootdevice";

    private const string Location = "LOCATION:";

    /// <summary>A search; devices answer within a second.</summary>
    public static byte[] Search(string target) => Encoding.ASCII.GetBytes(
        $"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: {target}\r\n\r\n");

    /// <summary>Reads where a device that answered a search has its description.</summary>
    public static bool TryReadLocation(ReadOnlySpan<byte> message, out Uri? location)
    {
        location = null;
        if (message.Length > MaximumLength)
            return false;
        string[] lines = Encoding.ASCII.GetString(message).Split('\n', StringSplitOptions.TrimEntries);
        if (!lines[0].StartsWith("HTTP/1.", StringComparison.OrdinalIgnoreCase) || !lines[0].Contains(" 200", StringComparison.Ordinal))
            return false;
        string? line = lines.FirstOrDefault(line => line.StartsWith(Location, StringComparison.OrdinalIgnoreCase));
        return line is not null && Uri.TryCreate(line[Location.Length..].Trim(), UriKind.Absolute, out location);
    }
}
