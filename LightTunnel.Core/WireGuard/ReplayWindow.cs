namespace LightTunnel.WireGuard;

/// <summary>
/// Remembers which of the last 8192 message counters were seen (the algorithm of RFC 6479: a ring of words, cleared as the window moves,
/// with one word to spare so that no bit is ever shifted). Several receive threads may use one.
/// </summary>
internal sealed class ReplayWindow
{
    /// <summary>A counter this far behind the highest one seen is refused.</summary>
    public const int Size = 8192;

    private const int WordBits = 64;
    private const int Words = (Size / WordBits) + 1;

    private readonly ulong[] _ring = new ulong[Words];
    private readonly Lock _lock = new();
    private ulong _highest;

    /// <summary>True, once, for each counter that is new and not too old. Call it only for authenticated messages.</summary>
    public bool TryAccept(ulong counter)
    {
        lock (_lock)
            return TryAcceptLocked(counter);
    }

    /// <summary>The same for all packets and keepalives among the messages, which become replays when their counters are not new: one lock for a train.</summary>
    public void Accept(Span<OpenedMessage> opened)
    {
        lock (_lock)
        {
            foreach (ref OpenedMessage message in opened)
            {
                if (message.Result is OpenResult.Packet or OpenResult.KeepAlive && !TryAcceptLocked(message.Counter))
                    message.Result = OpenResult.Replayed;
            }
        }
    }

    private bool TryAcceptLocked(ulong counter)
    {
        ulong word = counter / WordBits;
        if (counter > _highest)
        {
            ulong current = _highest / WordBits;
            ulong cleared = Math.Min(word - current, Words);
            for (ulong i = 1; i <= cleared; i++)
                _ring[(current + i) % Words] = 0;
            _highest = counter;
        }
        else if (_highest - counter >= Size)
        {
            return false;
        }

        ref ulong bits = ref _ring[word % Words];
        ulong bit = 1UL << (int)(counter % WordBits);
        bool isNew = (bits & bit) == 0;
        bits |= bit;
        return isNew;
    }
}
