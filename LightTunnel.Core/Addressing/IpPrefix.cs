using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace LightTunnel.Addressing;

/// <summary>A set of addresses: the first <see cref="Length"/> bits are given, the others are zero. "10.0.0.0/24".</summary>
internal readonly record struct IpPrefix
{
    /// <summary>The prefix that the address lies in; bits beyond the length are cleared.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The length exceeds the address's bits.</exception>
    public IpPrefix(TunnelAddress address, int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, address.BitLength);
        Network = TunnelAddress.FromBits(address.Bits & MaskOf(length), address.IsIPv4);
        Length = length;
    }

    /// <summary>The lowest address.</summary>
    public TunnelAddress Network { get; }

    /// <summary>Number of leading bits that are fixed, 0..32 or 0..128.</summary>
    public int Length { get; }

    /// <summary>The prefix of exactly one address, "10.0.0.20/32".</summary>
    public static IpPrefix Host(TunnelAddress address) => new(address, address.BitLength);

    /// <summary>The upper <paramref name="length"/> of 128 bits set.</summary>
    public static UInt128 MaskOf(int length) => length == 0 ? UInt128.Zero : UInt128.MaxValue << (128 - length);

    /// <summary>True when the address is of the same family and lies in the prefix.</summary>
    public bool Contains(TunnelAddress address) =>
        address.IsIPv4 == Network.IsIPv4 && (address.Bits & MaskOf(Length)) == Network.Bits;

    /// <summary>True when some address lies in both.</summary>
    public bool Overlaps(IpPrefix other) => Length <= other.Length ? Contains(other.Network) : other.Contains(Network);

    /// <summary>
    /// Reads "10.0.0.0/24" or "fd00::/64"; an address without a length is the prefix of that one address. Host bits must be zero.
    /// </summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out IpPrefix prefix)
    {
        prefix = default;
        if (!TrySplit(text, out TunnelAddress address, out int length))
            return false;
        prefix = new IpPrefix(address, length);
        return prefix.Network == address;
    }

    /// <summary>"10.0.0.0/24".</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Network}/{Length}");

    internal static bool TrySplit([NotNullWhen(true)] string? text, out TunnelAddress address, out int length)
    {
        address = default;
        length = 0;
        if (text is null)
            return false;
        int slash = text.IndexOf('/', StringComparison.Ordinal);
        if (!TunnelAddress.TryParse(slash < 0 ? text : text[..slash], out address))
            return false;
        if (slash < 0)
        {
            length = address.BitLength;
            return true;
        }

        return int.TryParse(text.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out length)
            && length <= address.BitLength;
    }
}

/// <summary>An interface's own address together with the prefix that it lies in: "10.0.0.1/24".</summary>
/// <param name="Address">The interface's address.</param>
/// <param name="PrefixLength">Leading bits shared by the whole network.</param>
internal readonly record struct InterfaceAddress(TunnelAddress Address, int PrefixLength)
{
    /// <summary>The network that the address lies in.</summary>
    public IpPrefix Prefix => new(Address, PrefixLength);

    /// <summary>Reads "10.0.0.1/24"; the length must be there.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out InterfaceAddress result)
    {
        result = default;
        if (text is null || !text.Contains('/', StringComparison.Ordinal)
            || !IpPrefix.TrySplit(text, out TunnelAddress address, out int length))
        {
            return false;
        }
        result = new InterfaceAddress(address, length);
        return true;
    }

    /// <summary>"10.0.0.1/24".</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Address}/{PrefixLength}");
}
