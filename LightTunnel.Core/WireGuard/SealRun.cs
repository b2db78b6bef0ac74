using System.Runtime.CompilerServices;
using LightTunnel.Timing;

namespace LightTunnel.WireGuard;

/// <summary>
/// Transport messages of one session that are sealed one behind the other: the counters were taken at once, and what the link notes of them
/// is noted at once. Made by <see cref="Link.TryBeginSeal"/>.
/// </summary>
internal ref struct SealRun
{
    private readonly Link _link;
    private readonly KeyPair _session;
    private readonly Timestamp _now;
    private ulong _counter;
    private int _packets;
    private int _bytes;

    internal SealRun(Link link, KeyPair session, ulong counter, Timestamp now)
    {
        _link = link;
        _session = session;
        _counter = counter;
        _now = now;
    }

    /// <summary>Seals one packet with the next counter; not more often than counters were taken.</summary>
    /// <param name="padded">
    /// The packet and the memory behind it that padding takes up (<see cref="Messages.PaddedLength"/>), which is as it was afterwards: in
    /// the middle of a large packet it belongs to the next segment.
    /// </param>
    /// <param name="length">Length of the packet without padding; 0 makes a keepalive.</param>
    /// <param name="datagram">Where the message goes: apart from the packet, or exactly around it.</param>
    /// <returns>Length of the message.</returns>
    [SkipLocalsInit]
    public int Seal(Span<byte> padded, int length, Span<byte> datagram)
    {
        Span<byte> padding = padded[length..];
        if (padding.IsEmpty)
        {
            _session.Seal(_counter++, padded, datagram);
        }
        else
        {
            Span<byte> saved = stackalloc byte[Messages.PaddingMultiple];
            padding.CopyTo(saved);
            padding.Clear();
            _session.Seal(_counter++, padded, datagram);
            if (!padding.Overlaps(datagram))
                saved[..padding.Length].CopyTo(padding);
        }

        int written = padded.Length + _session.Overhead;
        _packets += length != 0 ? 1 : 0;
        _bytes += written;
        return written;
    }

    /// <summary>True when <see cref="SealPair"/> is faster than sealing one packet after the other.</summary>
    public readonly bool PairsAreFaster => _session.PairsAreFaster;

    /// <summary>Bytes that a message is longer than its padded packet.</summary>
    public readonly int Overhead => _session.Overhead;

    /// <summary>Seals two packets of one length that need no padding, with the next two counters.</summary>
    /// <param name="first">A packet.</param>
    /// <param name="second">The packet after it.</param>
    /// <param name="firstDatagram">Where the first message goes, apart from both packets.</param>
    /// <param name="secondDatagram">Where the second one goes, likewise.</param>
    public void SealPair(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, Span<byte> firstDatagram, Span<byte> secondDatagram)
    {
        _session.SealPair(_counter, first, second, firstDatagram, secondDatagram);
        _counter += 2;
        _packets += 2;
        _bytes += 2 * (first.Length + _session.Overhead);
    }

    /// <summary>Ends the run: timers and counters of the link.</summary>
    /// <returns>False when the keys vanished meanwhile, and none of the messages may be sent.</returns>
    public readonly bool Finish()
    {
        if (!_session.IsIntact())
            return false;
        _link.NoteSealed(_session, _counter - 1, _packets, _bytes, _now);
        return true;
    }
}
