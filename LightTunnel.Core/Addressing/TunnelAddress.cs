using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;

namespace LightTunnel.Addressing;

/// <summary>
/// An IPv4 or IPv6 address inside the network, as a value: read from a packet and looked up without an allocation.
/// The bits are left-aligned, so that a prefix of an IPv4 address is a prefix of the value too.
/// </summary>
internal readonly struct TunnelAddress : IEquatable<TunnelAddress>, IComparable<TunnelAddress>
{
    private TunnelAddress(UInt128 bits, bool isIPv4)
    {
        Bits = bits;
        IsIPv4 = isIPv4;
    }

    /// <summary>The address left-aligned in 128 bits: an IPv4 address fills the upper 32.</summary>
    public UInt128 Bits { get; }

    /// <summary>True for IPv4, false for IPv6 (and for the default value, the unspecified IPv6 address).</summary>
    public bool IsIPv4 { get; }

    /// <summary>32 or 128.</summary>
    public int BitLength => IsIPv4 ? 32 : 128;

    /// <summary>False for 0.0.0.0 and ::.</summary>
    public bool IsSpecified => Bits != UInt128.Zero;

    public static TunnelAddress FromIPv4(uint address) => new((UInt128)address << 96, isIPv4: true);

    public static TunnelAddress FromIPv6(UInt128 address) => new(address, isIPv4: false);

    /// <summary>The address from its left-aligned bits.</summary>
    public static TunnelAddress FromBits(UInt128 bits, bool isIPv4) => new(bits, isIPv4);

    /// <summary>From 4 or 16 bytes in network order.</summary>
    /// <exception cref="ArgumentException">Another number of bytes.</exception>
    public static TunnelAddress FromBytes(ReadOnlySpan<byte> bytes) => bytes.Length switch
    {
        4 => FromIPv4(BinaryPrimitives.ReadUInt32BigEndian(bytes)),
        16 => FromIPv6(BinaryPrimitives.ReadUInt128BigEndian(bytes)),
        _ => throw new ArgumentException("An address has 4 or 16 bytes.", nameof(bytes)),
    };

    public static TunnelAddress FromIPAddress(IPAddress address)
    {
        ArgumentNullException.ThrowIfNull(address);
        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out int length);
        return FromBytes(bytes[..length]);
    }

    /// <summary>
    /// Reads "10.0.0.20" or "fd00::20". Refused are the forms of <see cref="IPAddress"/> that people misread: short, hexadecimal and octal
    /// IPv4 ("10", "010.0.0.1" is 8.0.0.1), and IPv4-mapped IPv6, which would be a second name for one address.
    /// </summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out TunnelAddress address)
    {
        address = default;
        if (!IPAddress.TryParse(text, out IPAddress? parsed))
            return false;
        if (parsed.AddressFamily == AddressFamily.InterNetwork && parsed.ToString() != text)
            return false;
        if (parsed.ScopeIdOrZero() != 0 || parsed.IsIPv4MappedToIPv6 || text.Contains('[', StringComparison.Ordinal))
            return false;
        address = FromIPAddress(parsed);
        return true;
    }

    /// <summary>Writes 4 or 16 bytes in network order and returns their number.</summary>
    public int WriteTo(Span<byte> destination)
    {
        if (IsIPv4)
        {
            BinaryPrimitives.WriteUInt32BigEndian(destination, (uint)(Bits >> 96));
            return 4;
        }

        BinaryPrimitives.WriteUInt128BigEndian(destination, Bits);
        return 16;
    }

    /// <summary>The same address as the framework's type.</summary>
    public IPAddress ToIPAddress()
    {
        Span<byte> bytes = stackalloc byte[16];
        return new IPAddress(bytes[..WriteTo(bytes)]);
    }

    /// <inheritdoc/>
    public bool Equals(TunnelAddress other) => Bits == other.Bits && IsIPv4 == other.IsIPv4;

    /// <inheritdoc/>
    public override bool Equals([NotNullWhen(true)] object? obj) => obj is TunnelAddress other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Bits, IsIPv4);

    /// <summary>IPv4 before IPv6, then by value.</summary>
    public int CompareTo(TunnelAddress other) => IsIPv4 == other.IsIPv4 ? Bits.CompareTo(other.Bits) : IsIPv4 ? -1 : 1;

    /// <summary>"10.0.0.20", "fd00::20".</summary>
    public override string ToString() => ToIPAddress().ToString();

    public static bool operator ==(TunnelAddress left, TunnelAddress right) => left.Equals(right);

    public static bool operator !=(TunnelAddress left, TunnelAddress right) => !left.Equals(right);
}

file static class IPAddressExtensions
{
    public static long ScopeIdOrZero(this IPAddress address) => address.AddressFamily == AddressFamily.InterNetworkV6 ? address.ScopeId : 0;
}
