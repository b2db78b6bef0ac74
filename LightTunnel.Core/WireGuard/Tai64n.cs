using System.Buffers.Binary;

namespace LightTunnel.WireGuard;

/// <summary>
/// A TAI64N time stamp (12 bytes, big-endian): what tells a new handshake initiation from a recorded one (paper section 5.1).
/// </summary>
internal readonly record struct Tai64n(ulong Seconds, uint Nanoseconds) : IComparable<Tai64n>
{
    /// <summary>Bytes of a time stamp.</summary>
    public const int Size = 12;

    /// <summary>TAI64's label of the Unix epoch, with the ten seconds by which TAI was ahead of UTC then.</summary>
    private const ulong UnixEpoch = 0x4000_0000_0000_000A;

    /// <summary>
    /// Times are rounded down to this many nanoseconds (16.8 ms), so that they tell little about this machine's clock and load.
    /// </summary>
    private const uint Granularity = 1 << 24;

    private const long NanosecondsPerSecond = 1_000_000_000;

    /// <summary>
    /// The time stamp for a new initiation: now, but always later than the last one, even when the clock was set back.
    /// </summary>
    public static Tai64n Next(DateTimeOffset now, Tai64n last)
    {
        TimeSpan sinceEpoch = now - DateTimeOffset.UnixEpoch;
        long ticks = Math.Max(sinceEpoch.Ticks, 0);
        uint nanoseconds = (uint)(ticks % TimeSpan.TicksPerSecond * TimeSpan.NanosecondsPerTick);
        var stamp = new Tai64n(UnixEpoch + (ulong)(ticks / TimeSpan.TicksPerSecond), nanoseconds & ~(Granularity - 1));
        return stamp.CompareTo(last) > 0 ? stamp : last.Later();
    }

    /// <summary>Reads 12 bytes; any bytes are a time stamp.</summary>
    public static Tai64n Read(ReadOnlySpan<byte> source) =>
        new(BinaryPrimitives.ReadUInt64BigEndian(source), BinaryPrimitives.ReadUInt32BigEndian(source[8..]));

    /// <summary>Writes 12 bytes.</summary>
    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt64BigEndian(destination, Seconds);
        BinaryPrimitives.WriteUInt32BigEndian(destination[8..], Nanoseconds);
    }

    /// <summary>The order of the 12 bytes.</summary>
    public int CompareTo(Tai64n other)
    {
        int order = Seconds.CompareTo(other.Seconds);
        return order != 0 ? order : Nanoseconds.CompareTo(other.Nanoseconds);
    }

    private Tai64n Later() => Nanoseconds + (long)Granularity < NanosecondsPerSecond
        ? this with { Nanoseconds = Nanoseconds + Granularity }
        : new Tai64n(Seconds + 1, 0);
}
