using System.Buffers.Binary;

namespace LightTunnel.Addressing;

/// <summary>
/// What stands before a sealed datagram that a relay passes on: <c>0x10, 0, 0, 0 | source member u32 | destination member u32</c>,
/// big-endian. The relay reads only this; the datagram behind it is sealed between source and destination.
/// </summary>
/// <param name="Source">Member id of the sender, never 0.</param>
/// <param name="Destination">Member id of the receiver, never 0.</param>
internal readonly record struct RelayHeader(uint Source, uint Destination)
{
    /// <summary>Bytes of the header.</summary>
    public const int Size = 12;

    /// <summary>First byte of a relayed datagram; WireGuard's own begin with 1 to 4.</summary>
    public const byte MessageType = 0x10;

    /// <summary>Bytes of the shortest datagram with a header: what is sealed behind it is a keepalive at least.</summary>
    public const int SmallestDatagram = Size + 32;

    /// <summary>
    /// Reads the header of a datagram that holds a WireGuard message (a keepalive at least), a probe or an answer behind it.
    /// </summary>
    public static bool TryRead(ReadOnlySpan<byte> datagram, out RelayHeader header)
    {
        header = default;
        if (datagram.Length < SmallestDatagram || BinaryPrimitives.ReadUInt32BigEndian(datagram) != (uint)MessageType << 24)
            return false;
        if (datagram[Size] is not ((>= 1 and <= 4) or 0x11 or 0x12))
            return false;
        header = new RelayHeader(BinaryPrimitives.ReadUInt32BigEndian(datagram[4..]), BinaryPrimitives.ReadUInt32BigEndian(datagram[8..]));
        return header.Source != 0 && header.Destination != 0;
    }

    /// <summary>Writes <see cref="Size"/> bytes.</summary>
    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt32BigEndian(destination, (uint)MessageType << 24);
        BinaryPrimitives.WriteUInt32BigEndian(destination[4..], Source);
        BinaryPrimitives.WriteUInt32BigEndian(destination[8..], Destination);
    }
}
