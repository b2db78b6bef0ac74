using System.Buffers.Binary;
using LightTunnel.Addressing;

namespace LightTunnel.PortMapping;

/// <summary>The gateway's answer to the question for its external address (RFC 6886 section 3.2).</summary>
/// <param name="Result">The result code, 0 for success.</param>
/// <param name="Epoch">Seconds since the gateway lost its mappings.</param>
/// <param name="Address">The address, with port 0.</param>
internal readonly record struct NatPmpAddressAnswer(ushort Result, uint Epoch, UdpEndpoint Address);

/// <summary>The gateway's answer to a request for a UDP mapping (RFC 6886 section 3.3).</summary>
/// <param name="Result">The result code, 0 for success.</param>
/// <param name="Epoch">Seconds since the gateway lost its mappings.</param>
/// <param name="InternalPort">Copied from the request.</param>
/// <param name="ExternalPort">The port that was assigned.</param>
/// <param name="Lifetime">How long the mapping lasts.</param>
internal readonly record struct NatPmpMapAnswer(ushort Result, uint Epoch, ushort InternalPort, ushort ExternalPort, TimeSpan Lifetime);

/// <summary>NAT Port Mapping Protocol, RFC 6886: version 0, an operation, then big-endian integers.</summary>
internal static class NatPmpMessages
{
    public const byte Version = 0;

    /// <summary>Length of the longest request.</summary>
    public const int MaximumRequestLength = 12;

    /// <summary>The result code of a gateway that does not speak the request's version (section 3.5).</summary>
    public const ushort UnsupportedVersion = 1;

    private const byte AskAddress = 0, MapUdp = 1, IsAnswer = 0x80;

    private const int ErrorLength = 8, AddressLength = 12, MapLength = 16;

    /// <summary>Writes the question for the external address.</summary>
    /// <returns>The number of bytes written.</returns>
    public static int WriteAddress(Span<byte> destination)
    {
        destination[0] = Version;
        destination[1] = AskAddress;
        return 2;
    }

    /// <summary>Writes a request to forward a UDP port, or with a lifetime of zero (and external port 0) to forward it no longer.</summary>
    /// <returns>The number of bytes written.</returns>
    public static int WriteMap(Span<byte> destination, ushort internalPort, ushort suggestedPort, TimeSpan lifetime)
    {
        Span<byte> message = destination[..MaximumRequestLength];
        message.Clear();
        message[0] = Version;
        message[1] = MapUdp;
        BinaryPrimitives.WriteUInt16BigEndian(message[4..], internalPort);
        BinaryPrimitives.WriteUInt16BigEndian(message[6..], suggestedPort);
        BinaryPrimitives.WriteUInt32BigEndian(message[8..], (uint)lifetime.TotalSeconds);
        return MaximumRequestLength;
    }

    /// <summary>Reads the answer to <see cref="WriteAddress"/>. An error may come without an address.</summary>
    public static bool TryReadAddress(ReadOnlySpan<byte> message, out NatPmpAddressAnswer answer)
    {
        answer = default;
        if (!TryReadHeader(message, AskAddress, AddressLength, out ushort result, out uint epoch))
            return false;
        UdpEndpoint address = result == 0 ? UdpEndpoint.FromIPv4(BinaryPrimitives.ReadUInt32BigEndian(message[8..]), 0) : default;
        answer = new NatPmpAddressAnswer(result, epoch, address);
        return true;
    }

    /// <summary>Reads the answer to <see cref="WriteMap"/>. An error may come without ports.</summary>
    public static bool TryReadMap(ReadOnlySpan<byte> message, out NatPmpMapAnswer answer)
    {
        answer = default;
        if (!TryReadHeader(message, MapUdp, MapLength, out ushort result, out uint epoch))
            return false;
        answer = result != 0
            ? new NatPmpMapAnswer(result, epoch, 0, 0, TimeSpan.Zero)
            : new NatPmpMapAnswer(
                result,
                epoch,
                BinaryPrimitives.ReadUInt16BigEndian(message[8..]),
                BinaryPrimitives.ReadUInt16BigEndian(message[10..]),
                TimeSpan.FromSeconds(BinaryPrimitives.ReadUInt32BigEndian(message[12..])));
        return true;
    }

    /// <summary>True for the answer to a request of any other version; its operation is the request's.</summary>
    public static bool IsUnsupportedVersion(ReadOnlySpan<byte> message) =>
        message.Length >= ErrorLength && message[0] == Version && (message[1] & IsAnswer) != 0
        && BinaryPrimitives.ReadUInt16BigEndian(message[2..]) == UnsupportedVersion;

    private static bool TryReadHeader(ReadOnlySpan<byte> message, byte operation, int length, out ushort result, out uint epoch)
    {
        result = 0;
        epoch = 0;
        if (message.Length < ErrorLength || message[0] != Version || message[1] != (operation | IsAnswer))
            return false;
        result = BinaryPrimitives.ReadUInt16BigEndian(message[2..]);
        epoch = BinaryPrimitives.ReadUInt32BigEndian(message[4..]);
        return result != 0 || message.Length >= length;
    }
}
