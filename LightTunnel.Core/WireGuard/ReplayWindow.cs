namespace LightTunnel.WireGuard;

/// <summary>
/// Remembers which of the last 8192 message counters were seen, or of the last 65,536 once <see cref="Widen"/> was called (the algorithm
/// of RFC 6479: a ring of words, cleared as the window moves, with one word to spare so that no bit is ever shifted). Several receive
/// threads may use one.
/// </summary>
internal sealed class ReplayWindow
{
    /// <summary>A counter this far behind the highest one seen is refused.</summary>
    public const int Size = 8192;

    /// <summary>The same when messages come by several ways, of which one may be far behind the others.</summary>
    public const int WideSize = 65536;

    private const int WordBits = 64;

    private readonly Lock _lock = new();
    private ulong[] _ring = NewRing(Size);
    private ulong _highest;

    // What is below was forgotten before the window was widened.
    private ulong _lowest;

    /// <summary>True, once, for each counter that is new and not too old. Call it only for authenticated messages.</summary>
    public bool TryAccept(ulong counter)
    {
        lock (_lock)
            return TryAcceptLocked(counter);
    }

    /// <summary>
    /// The same for all packets and keepalives among the messages, which become replays when their counters are not new: one
    /// lock for a train.
    /// </summary>
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

    /// <summary>From now on <see cref="WideSize"/> counters are remembered; those that are forgotten by now stay so.</summary>
    public void Widen()
    {
        if (Volatile.Read(ref _ring).Length > (Size / WordBits) + 1)
            return;
        lock (_lock)
        {
            if (_ring.Length > (Size / WordBits) + 1)
                return;
            ulong[] wide = NewRing(WideSize);
            ulong newest = _highest / WordBits;
            for (ulong age = 0; age < (ulong)_ring.Length && age <= newest; age++)
                wide[(newest - age) % (ulong)wide.Length] = _ring[(newest - age) % (ulong)_ring.Length];
            _lowest = _highest < Size ? 0 : _highest - Size + 1;
            _ring = wide;
        }
    }

    private static ulong[] NewRing(int size) => new ulong[(size / WordBits) + 1];

    private bool TryAcceptLocked(ulong counter)
    {
        ulong[] ring = _ring;
        ulong words = (ulong)ring.Length;
        ulong word = counter / WordBits;
        if (counter > _highest)
        {
            ulong current = _highest / WordBits;
            ulong cleared = Math.Min(word - current, words);
            for (ulong i = 1; i <= cleared; i++)
                ring[(current + i) % words] = 0;
            _highest = counter;
        }
        else if (_highest - counter >= (words - 1) * WordBits || counter < _lowest)
        {
            return false;
        }

        ref ulong bits = ref ring[word % words];
        ulong bit = 1UL << (int)(counter % WordBits);
        bool isNew = (bits & bit) == 0;
        bits |= bit;
        return isNew;
    }
}
