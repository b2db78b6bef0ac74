using System.Globalization;
using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Membership;
using LightTunnel.Membership.Signing;
using LightTunnel.WireGuard;

namespace LightTunnel.Configuration;

/// <summary>
/// Reads single values that a person wrote; each error names the value and says what is expected. Secrets are never named.
/// </summary>
internal static class SettingValues
{
    /// <summary>Longest interface name on Linux: IFNAMSIZ less its end.</summary>
    private const int MaximumInterfaceNameLength = 15;

    private const int MaximumWindowsInterfaceNameLength = 63;

    /// <summary>The server's own address, "10.0.0.1/24".</summary>
    /// <exception cref="LightTunnelException">InvalidAddress.</exception>
    public static InterfaceAddress ServerAddress(string text)
    {
        const string Action = "Give the server a host address with its network's prefix length, such as 10.0.0.1/24 or fd00::1/64.";
        string trimmed = text.Trim();
        if (TunnelAddress.TryParse(trimmed, out _))
            throw Address(text, "has no prefix length", Action);
        if (!InterfaceAddress.TryParse(trimmed, out InterfaceAddress result))
            throw Address(text, "is not an address with a prefix length", Action);
        CheckKind(text, result.Address, Action);
        int hostBits = result.Address.BitLength - result.PrefixLength;
        if (HostAddresses.IsTooShort(result.Prefix))
            throw Address(text, "has too short a prefix: the network would take addresses of the internet", Action);
        if (hostBits == 0)
            throw Address(text, "leaves no room for members: its prefix is this one address", Action);
        if (hostBits > 1 && result.Prefix.Network == result.Address)
            throw Address(text, "is the address of the network itself, not of a host in it", Action);
        if (hostBits > 1 && IsBroadcast(result.Address, result.Prefix))
            throw Address(text, "is the broadcast address of its network", Action);
        return result;
    }

    /// <summary>An address that a client asks for, "10.0.0.20".</summary>
    /// <exception cref="LightTunnelException">InvalidAddress.</exception>
    public static TunnelAddress ClientAddress(string text)
    {
        const string Action = "Ask for a host address without prefix length, such as 10.0.0.20; leave it out to get a free one.";
        string trimmed = text.Trim();
        if (!TunnelAddress.TryParse(trimmed, out TunnelAddress address))
        {
            bool hasLength = IpPrefix.TrySplit(trimmed, out _, out _);
            throw Address(text, hasLength ? "has a prefix length, which the server decides" : "is not an address", Action);
        }

        CheckKind(text, address, Action);
        return address;
    }

    /// <summary>A duration: "90d", "12h", "30m", or as .NET writes it, "90.00:00:00".</summary>
    /// <exception cref="LightTunnelException">InvalidOption.</exception>
    public static TimeSpan Duration(string what, string text, TimeSpan least, TimeSpan most)
    {
        string trimmed = text.Trim();
        TimeSpan? unit = trimmed.Length == 0 ? null : char.ToLowerInvariant(trimmed[^1]) switch
        {
            'd' => TimeSpan.FromDays(1),
            'h' => TimeSpan.FromHours(1),
            'm' => TimeSpan.FromMinutes(1),
            _ => null,
        };
        TimeSpan? duration = null;
        CultureInfo culture = CultureInfo.InvariantCulture;
        if (unit is { } one && int.TryParse(trimmed.AsSpan(0, trimmed.Length - 1), NumberStyles.None, culture, out int count))
            duration = count <= most / one ? one * count : TimeSpan.MaxValue;
        else if (trimmed.Contains(':', StringComparison.Ordinal) && TimeSpan.TryParse(trimmed, culture, out TimeSpan parsed))
            duration = parsed;
        return duration is { } time && time >= least && time <= most ? time : throw new LightTunnelException(
            LightTunnelError.InvalidOption, $"{what} '{text}' is no duration from {least.TotalHours:0} h to {most.TotalDays:0} days.",
            "Write 90d for 90 days, 12h for twelve hours.") { Target = text };
    }

    /// <summary>A prefix that a server may give to this machine, "10.0.0.0/24".</summary>
    /// <exception cref="LightTunnelException">InvalidAddress.</exception>
    public static IpPrefix AcceptedPrefix(string text)
    {
        const string Action = "Give the network's address and prefix length, such as 10.0.0.0/24 or fd00::/64.";
        string trimmed = text.Trim();
        if (!trimmed.Contains('/', StringComparison.Ordinal))
            throw Address(text, "has no prefix length", Action);
        if (!IpPrefix.TryParse(trimmed, out IpPrefix prefix))
            throw Address(text, "is not the prefix of a network", Action);
        CheckKind(text, prefix.Network, Action);
        return HostAddresses.IsTooShort(prefix)
            ? throw Address(text, "is too short a prefix: the network would take addresses of the internet", Action)
            : prefix;
    }

    /// <summary>Checks that an address can be had in a network of certain prefixes.</summary>
    /// <exception cref="LightTunnelException">InvalidAddress.</exception>
    public static void CheckInside(TunnelAddress address, IReadOnlyList<IpPrefix> prefixes)
    {
        foreach (IpPrefix prefix in prefixes)
        {
            if (!prefix.Contains(address))
                continue;
            if (address.BitLength - prefix.Length <= 1 || (address != prefix.Network && !IsBroadcast(address, prefix)))
                return;
        }

        throw Address(
            address.ToString(),
            $"is not a host address of the network {string.Join(" and ", prefixes)}",
            "Ask for a host address inside the network, or for none to get a free one.");
    }

    /// <summary>"host:port", or "host" when there is a default port.</summary>
    /// <exception cref="LightTunnelException">InvalidEndpoint.</exception>
    public static ServerEndpoint Endpoint(string text, int defaultPort)
    {
        const string Action =
            "Write host:port, such as vpn.example.org:9000, 192.0.2.1:9000 or [2001:db8::1]:9000, with a port from 1 to 65535.";
        if (!ServerEndpoint.TryParse(text, defaultPort, out ServerEndpoint endpoint))
            throw Endpoint(text, "is not an endpoint", Action);
        if (IPAddress.TryParse(endpoint.Host, out IPAddress? address)
            && (address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any) || address.Equals(IPAddress.Broadcast)))
        {
            throw Endpoint(text, "names no machine that could be reached", Action);
        }

        return endpoint;
    }

    /// <summary>Checks that an endpoint is not inside the network that is reached through it.</summary>
    /// <exception cref="LightTunnelException">InvalidEndpoint.</exception>
    public static void CheckOutside(ServerEndpoint endpoint, IReadOnlyList<IpPrefix> prefixes)
    {
        if (TunnelAddress.TryParse(endpoint.Host, out TunnelAddress address) && prefixes.Any(prefix => prefix.Contains(address)))
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidEndpoint,
                $"The endpoint {endpoint} lies inside the tunnel's own network.",
                "Use an address that is reached without the tunnel.") { Target = endpoint.ToString() };
        }
    }

    /// <summary>
    /// An endpoint at which other members reach this one, "203.0.113.4:9000", "[2001:db8::4]:9000". A literal address: members use it as it
    /// is told, and it is what the router's owner has set up.
    /// </summary>
    /// <param name="text">What was written.</param>
    /// <param name="inside">The network's prefixes, or own addresses in it, as far as they are known.</param>
    /// <exception cref="LightTunnelException">InvalidEndpoint.</exception>
    public static UdpEndpoint AdvertisedEndpoint(string text, IReadOnlyList<IpPrefix> inside)
    {
        const string Action =
            "Write the address and UDP port at which the internet or the local network reaches this machine, such as 203.0.113.4:9000 or "
                + "[2001:db8::4]:9000.";
        if (!ServerEndpoint.TryParse(text, 0, out ServerEndpoint parsed))
            throw Endpoint(text, "is not an endpoint", Action);
        if (!TunnelAddress.TryParse(parsed.Host, out TunnelAddress address))
            throw Endpoint(text, "has no literal address", Action);
        var endpoint = new UdpEndpoint(address.ToIPAddress(), parsed.Port);
        if (!Candidate.IsUsable(endpoint) || IPAddress.IsLoopback(endpoint.Address))
            throw Endpoint(text, "is at no address where other machines could reach this one", Action);
        CheckOutside(parsed, inside);
        return endpoint;
    }

    /// <exception cref="LightTunnelException">InvalidKey.</exception>
    public static PresharedKey NetworkKey(Secret secret)
    {
        const string Action = "Use the network's key as New-LtNetworkKey made it, whole: 44 characters of base64.";
        if (!PresharedKey.TryParse(secret.Reveal(), out PresharedKey? key))
            throw new LightTunnelException(LightTunnelError.InvalidKey, "The network key is not 44 characters of base64.", Action);
        if (!key.Bytes.ContainsAnyExcept((byte)0))
            throw new LightTunnelException(LightTunnelError.InvalidKey, "The network key is all zeros, which is no secret.", Action);
        return key;
    }

    /// <exception cref="LightTunnelException">InvalidInvitation.</exception>
    public static InvitationToken InvitationSecret(Secret secret) => InvitationToken.TryParse(secret.Reveal(), out InvitationToken? token)
        ? token
        : throw new LightTunnelException(
            LightTunnelError.InvalidInvitation, "The invitation's secret is damaged.", "Give the invitation again, whole.");

    /// <exception cref="LightTunnelException">InvalidKey.</exception>
    public static PublicKey ServerKey(string text)
    {
        // The text is not repeated: it might be a private key pasted by mistake.
        if (PublicKey.TryParse(text, out PublicKey key) && key != default)
            return key;
        throw new LightTunnelException(
            LightTunnelError.InvalidKey,
            "The server key is not 44 characters of base64.",
            "Use the server's public key as Get-LtServer shows it.");
    }

    /// <summary>The public half of an admin's signing key.</summary>
    /// <exception cref="LightTunnelException">InvalidKey.</exception>
    public static SigningPublicKey SigningKey(string text)
    {
        // The text is not repeated: it might be the private half pasted by mistake.
        if (SigningPublicKey.TryParse(text, out SigningPublicKey? key))
            return key;
        throw new LightTunnelException(
            LightTunnelError.InvalidKey, "The signing key is not the public half of one, 44 characters of base64.",
            "Use the PublicKey that New-LtSigningKey has shown; it also stands in the key's file, as a comment.");
    }

    /// <exception cref="LightTunnelException">InvalidName.</exception>
    public static string Name(string text) => NodeName.IsValid(text) ? text : throw new LightTunnelException(
        LightTunnelError.InvalidName,
        $"'{text}' is not a usable name.",
        "Use 1 to 63 of a-z A-Z 0-9 - _ . beginning with a letter or digit.") { Target = text };

    /// <exception cref="LightTunnelException">InvalidName.</exception>
    public static string InterfaceName(string text)
    {
        bool windows = OperatingSystem.IsWindows();
        int longest = windows ? MaximumWindowsInterfaceNameLength : MaximumInterfaceNameLength;
        bool valid = text.Length >= 1 && text.Length <= longest && char.IsAsciiLetterOrDigit(text[0]) && text is not ("all" or "default")
            && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' || (windows && c == ' '));
        return valid ? text : throw new LightTunnelException(
            LightTunnelError.InvalidName,
            $"'{text}' is not a usable interface name.",
            $"Use 1 to {longest} of a-z A-Z 0-9 - _ . beginning with a letter or digit, and neither 'all' "
                + "nor 'default'.") { Target = text };
    }

    /// <exception cref="LightTunnelException">InvalidOption.</exception>
    public static int Number(string what, int value, int minimum, int maximum)
    {
        if (value >= minimum && value <= maximum)
            return value;
        throw new LightTunnelException(
            LightTunnelError.InvalidOption,
            string.Create(CultureInfo.InvariantCulture, $"{what} {value} is out of range."),
            string.Create(CultureInfo.InvariantCulture, $"Use a number from {minimum} to {maximum}.")) { Target = value };
    }

    /// <exception cref="LightTunnelException">InvalidOption.</exception>
    public static string FullPath(string what, string path)
    {
        if (path.Trim().Length > 0 && !path.Contains('\0', StringComparison.Ordinal))
            return Path.GetFullPath(path);
        throw new LightTunnelException(
            LightTunnelError.InvalidOption, $"The {what} is empty or not a path.", "Use the path of a file or folder.");
    }

    private static bool IsBroadcast(TunnelAddress address, IpPrefix prefix) =>
        address.IsIPv4 && (address.Bits | IpPrefix.MaskOf(prefix.Length)) >> 96 == uint.MaxValue;

    private static void CheckKind(string text, TunnelAddress address, string action)
    {
        if (HostAddresses.WhyUnusable(address) is { } kind)
            throw Address(text, kind, action);
    }

    private static LightTunnelException Address(string text, string what, string action) =>
        new(LightTunnelError.InvalidAddress, $"'{text.Trim()}' {what}.", action) { Target = text };

    private static LightTunnelException Endpoint(string text, string what, string action) =>
        new(LightTunnelError.InvalidEndpoint, $"'{text.Trim()}' {what}.", action) { Target = text };
}
