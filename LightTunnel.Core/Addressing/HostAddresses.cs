namespace LightTunnel.Addressing;

/// <summary>Which addresses a machine can have, and which prefixes a private network.</summary>
internal static class HostAddresses
{
    /// <summary>Shortest prefixes that a network may have: shorter ones would swallow the internet.</summary>
    private const int MinimumIPv4PrefixLength = 8;
    private const int MinimumIPv6PrefixLength = 16;

    /// <summary>
    /// Why no host of a network can have an address, as the end of a sentence ("is a loopback address"); null when one can.
    /// </summary>
    public static string? WhyUnusable(TunnelAddress address)
    {
        byte first = (byte)(address.Bits >> 120);
        return !address.IsSpecified || (address.IsIPv4 && first == 0) ? "is not the address of a host"
            : address.IsIPv4 ? first switch
            {
                127 => "is a loopback address",
                >= 224 and < 240 => "is a multicast address",
                >= 240 => "is a broadcast or reserved address",
                _ => address.Bits >> 112 == 0xA9FE ? "is a link-local address" : null,
            }
            : address.Bits == UInt128.One ? "is a loopback address"
            : first == 0xFF ? "is a multicast address"
            : address.Bits >> 118 == 0x3FA ? "is a link-local address"
            : null;
    }

    /// <summary>
    /// True for an address of the internet: what a machine reaches by its default route alone, whoever it belongs to. Not the addresses
    /// that networks use among themselves (RFC 1918, RFC 6598, RFC 4193), and none that no host can have. Of IPv6 what is given out
    /// (2000::/3), but for 6to4 (RFC 7526), which has addresses of IPv4 in it, private ones too.
    /// </summary>
    public static bool IsOnInternet(TunnelAddress address)
    {
        uint high = (uint)(address.Bits >> 96);
        if (!address.IsIPv4)
            return high >> 29 == 1 && high >> 16 != 0x2002;
        return (high >> 24) is not (0 or 10 or 127 or >= 224) && high >> 22 != 0x191 && high >> 20 != 0xAC1
            && (high >> 16) is not (0xA9FE or 0xC0A8);
    }

    /// <summary>True when the prefix is so short that a network of it would take addresses of the internet.</summary>
    public static bool IsTooShort(IpPrefix prefix) =>
        prefix.Length < (prefix.Network.IsIPv4 ? MinimumIPv4PrefixLength : MinimumIPv6PrefixLength);
}
