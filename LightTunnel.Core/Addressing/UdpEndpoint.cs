using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;

namespace LightTunnel.Addressing;

/// <summary>
/// A UDP address and port as a value: what <see cref="IPEndPoint"/> says, without an allocation per datagram.
/// IPv4 addresses are kept in their IPv4-mapped IPv6 form (RFC 4291 section 2.5.5.2), so that one address has one value.
/// </summary>
internal readonly struct UdpEndpoint : IEquatable<UdpEndpoint>
{
    private const ulong MappedPrefix = 0x0000_FFFF_0000_0000;

    private readonly UInt128 _address;

    /// <summary>An endpoint from the 128 bits of its (mapped) address, a port and, for link-local addresses, a scope.</summary>
    public UdpEndpoint(UInt128 mappedAddress, ushort port, uint scopeId = 0)
    {
        _address = mappedAddress;
        Port = port;
        ScopeId = scopeId;
    }

    /// <summary>The same endpoint as a value.</summary>
    public UdpEndpoint(IPAddress address, int port)
    {
        ArgumentNullException.ThrowIfNull(address);
        Span<byte> bytes = stackalloc byte[16];
        if (address.AddressFamily == AddressFamily.InterNetwork)
        {
            address.TryWriteBytes(bytes, out _);
            _address = new UInt128(0, MappedPrefix | BinaryPrimitives.ReadUInt32BigEndian(bytes));
        }
        else
        {
            address.TryWriteBytes(bytes, out _);
            _address = BinaryPrimitives.ReadUInt128BigEndian(bytes);
            ScopeId = address.IsIPv6LinkLocal ? (uint)address.ScopeId : 0;
        }

        Port = (ushort)port;
    }

    /// <summary>The endpoint of an IPv4 address given as a number, 0xC0000201 for 192.0.2.1.</summary>
    public static UdpEndpoint FromIPv4(uint address, ushort port) => new(new UInt128(0, MappedPrefix | address), port);

    /// <summary>The 128 bits of the address, IPv4 in mapped form.</summary>
    public UInt128 MappedAddress => _address;

    /// <summary>
    /// The address without what one subscriber chooses freely: of IPv6 the first 64 bits, of IPv4 all. Whoever limits what strangers cost
    /// counts by this.
    /// </summary>
    public UInt128 Subscriber => IsIPv4 ? _address : _address >> 64 << 64;

    /// <summary>
    /// What one site is given (RFC 6177): of IPv6 the first 48 bits, in which there are 65,536 subscribers' networks, of IPv4 the whole
    /// address. Several subscribers may share one.
    /// </summary>
    public UInt128 Site => IsIPv4 ? _address : _address >> 80 << 80;

    /// <summary>UDP port, 0 when unknown.</summary>
    public ushort Port { get; }

    /// <summary>Interface index of an IPv6 link-local address, otherwise 0.</summary>
    public uint ScopeId { get; }

    /// <summary>False for the default value, which names nobody.</summary>
    public bool IsSpecified => Port != 0 && _address != UInt128.Zero;

    /// <summary>True for an IPv4 address.</summary>
    public bool IsIPv4 => (ulong)(_address >> 64) == 0 && ((ulong)_address & 0xFFFF_FFFF_0000_0000) == MappedPrefix;

    /// <summary>True for addresses of local networks: private (RFC 1918, RFC 4193), link-local and loopback.</summary>
    public bool IsLocal
    {
        get
        {
            if (!IsIPv4)
            {
                byte first = (byte)(_address >> 120);
                return (first & 0xFE) == 0xFC || (ushort)(_address >> 112) >> 6 == 0xFE80 >> 6 || _address == UInt128.One;
            }

            uint value = (uint)_address;
            return value >> 24 is 10 or 127 || value >> 20 == 0xAC1 || value >> 16 is 0xC0A8 or 0xA9FE;
        }
    }

    /// <summary>The address alone; IPv4 addresses come unmapped.</summary>
    public IPAddress Address
    {
        get
        {
            Span<byte> bytes = stackalloc byte[16];
            BinaryPrimitives.WriteUInt128BigEndian(bytes, _address);
            return IsIPv4 ? new IPAddress(bytes[12..]) : new IPAddress(bytes, ScopeId);
        }
    }

    /// <summary>The endpoint as the framework's type.</summary>
    public IPEndPoint ToIPEndPoint() => new(Address, Port);

    /// <inheritdoc/>
    public bool Equals(UdpEndpoint other) => _address == other._address && Port == other.Port && ScopeId == other.ScopeId;

    /// <inheritdoc/>
    public override bool Equals([NotNullWhen(true)] object? obj) => obj is UdpEndpoint other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(_address, Port, ScopeId);

    /// <summary>"192.0.2.1:9000", "[2001:db8::1]:9000".</summary>
    public override string ToString() => IsSpecified ? ToIPEndPoint().ToString() : "(unknown)";

    public static bool operator ==(UdpEndpoint left, UdpEndpoint right) => left.Equals(right);

    public static bool operator !=(UdpEndpoint left, UdpEndpoint right) => !left.Equals(right);

    public static implicit operator UdpEndpoint(IPEndPoint endpoint)
    {
        ArgumentNullException.ThrowIfNull(endpoint);
        return new UdpEndpoint(endpoint.Address, endpoint.Port);
    }
}
