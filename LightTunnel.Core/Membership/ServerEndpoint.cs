using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace LightTunnel.Membership;

/// <summary>Where a server is reached: a host name or address and a UDP port, "vpn.example.org:9000", "[2001:db8::1]:9000".</summary>
/// <param name="Host">DNS name, IPv4 or IPv6 address; without brackets.</param>
/// <param name="Port">UDP port, 1..65535.</param>
internal readonly record struct ServerEndpoint(string Host, int Port)
{
    /// <summary>Longest DNS name (RFC 1035 section 2.3.4).</summary>
    private const int MaximumHostLength = 253;

    /// <summary>Reads "host:port"; without a port <paramref name="defaultPort"/> is taken, or the text refused when that is 0.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, int defaultPort, out ServerEndpoint endpoint)
    {
        endpoint = default;
        if (string.IsNullOrWhiteSpace(text))
            return false;
        text = text.Trim();
        if (IPAddress.TryParse(text, out IPAddress? bare) && bare.AddressFamily == AddressFamily.InterNetworkV6 && !text.StartsWith('['))
            return Take(text, defaultPort, out endpoint);

        int colon = text.LastIndexOf(':');
        bool bracketed = text.StartsWith('[');
        if (colon < 0 || (bracketed && text.EndsWith(']')))
            return Take(text.Trim('[', ']'), defaultPort, out endpoint);
        if (!int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out int port))
            return false;
        string host = text[..colon];
        if (bracketed)
        {
            if (!host.EndsWith(']'))
                return false;
            host = host[1..^1];
        }

        return Take(host, port, out endpoint);
    }

    private static bool Take(string host, int port, out ServerEndpoint endpoint)
    {
        endpoint = new ServerEndpoint(host, port);
        return port is >= 1 and <= 65535 && host.Length is >= 1 and <= MaximumHostLength
            && Uri.CheckHostName(host) != UriHostNameType.Unknown;
    }

    /// <summary>"vpn.example.org:9000", "[2001:db8::1]:9000".</summary>
    public override string ToString() =>
        Host is null ? string.Empty : Host.Contains(':', StringComparison.Ordinal) ? $"[{Host}]:{Port}" : $"{Host}:{Port}";
}
