using LightTunnel.Packets;
using LightTunnel.Timing;

namespace LightTunnel.Transport;

/// <summary>
/// What becomes of a socket's queue for what was received when it fills up. The kernel loses whatever comes while it is full: whole trains,
/// of one flow mostly, and pings and control messages that nobody sends twice. So before that some long datagrams are left out one by one,
/// more the fuller it is (as RED does, Floyd and Jacobson 1993): TCP slows down by what it lost of each flow, and there is room left for
/// the short ones. And where those who send are far away the queue may become longer, as they learn late. Knows nothing of sockets; belongs
/// to the receiving thread.
/// </summary>
/// <remarks>
/// While more than three eighths are full on average, one long datagram in 8,000 is left out; one in 1,000 when it is half full, half of
/// them at seven eighths and above. That is done in the main socket's queue and in each of the <see cref="SourceSockets"/>', and counted. A
/// queue that stands grows to the bytes that are worked off in a round trip of the farthest peer that packets go to: up to
/// <see cref="Largest"/> for the main socket, an n-th of that for the n-th of those sockets, 7 MB for a further one. It is memory only
/// while it stands full.
/// </remarks>
internal sealed class ReceiveQueue
{
    /// <summary>What is shorter is never left out: pings, acknowledgements, control messages, handshakes, probes.</summary>
    public const int LongDatagram = 1024;

    /// <summary>Most bytes of kernel buffer that are asked for; the system counts what it is asked for twice.</summary>
    public const int Largest = 16 * 1024 * 1024;

    // From one look at the queue to the next: so many receives or so large a part of the queue, whichever comes first, but no less
    // than so many bytes.
    private const int ReceivesPerLook = 64;
    private const int LooksPerQueue = 16;
    private const int FewestBytesPerLook = 64 * 1024;

    // What a datagram costs whatever its length, as bytes.
    private const int DatagramWeight = 512;

    // Half of the long ones are left out when it is so full on average, and half as many each time that it is by so much emptier.
    private const double Full = 0.875;
    private const double Halving = 1 / 24.0;

    // Whoever is farther away does not get more for it: the round trip is the other one's word.
    private static readonly TimeSpan LongestRoundTrip = TimeSpan.FromMilliseconds(250);

    // A burst fills it for a moment, and is no reason to leave anything out.
    private static readonly TimeSpan AveragedOver = TimeSpan.FromMilliseconds(50);

    private static readonly TimeSpan RateTime = TimeSpan.FromMilliseconds(50);

    private long _perLook = FewestBytesPerLook;
    private int _receives;
    private long _received;
    private long _ofLong;

    // How full it was when it was looked at last, from 0 to 1, and on average.
    private Timestamp _looked;
    private double _fill;
    private double _average;

    // The part of the long ones that is left out, and what of that was not yet.
    private double _share;
    private double _due;

    // Since when it stands, and what was received since then.
    private Timestamp? _standsSince;
    private long _whileStanding;

    /// <summary>True when more waits than what comes at once.</summary>
    /// <param name="used">Bytes of kernel memory that the queue takes.</param>
    /// <param name="size">Bytes that it may take.</param>
    public static bool IsStanding(uint used, uint size) => used > size / 8 * 3;

    /// <summary>What datagrams weigh: their lengths, and what each costs besides.</summary>
    public static int WeightOf(in PacketSlot slot) => slot.Length + (DatagramsOf(slot) * DatagramWeight);

    /// <summary>Counts what was received; true when it is time for a look.</summary>
    public bool Count(PacketBatch batch, int first)
    {
        for (int i = first; i < batch.Count; i++)
        {
            int weight = WeightOf(batch[i]);
            _received += weight;
            if (IsLong(batch[i]))
                _ofLong += weight;
        }

        return ++_receives >= ReceivesPerLook || _received >= _perLook;
    }

    /// <summary>Learns from a look how full the queue is.</summary>
    /// <param name="used">Bytes of kernel memory that it takes.</param>
    /// <param name="size">Bytes that it may take.</param>
    /// <param name="now">The present.</param>
    /// <param name="roundTrip">How far away those are that send here; zero when that is not known.</param>
    /// <returns>Bytes of kernel buffer to be asked for, as those who send are so far away; 0 when what there is suffices.</returns>
    public int Note(uint used, uint size, Timestamp now, TimeSpan roundTrip)
    {
        bool stands = IsStanding(used, size);
        double fill = Math.Min((double)used / Math.Max(size, 1), 1);
        // Nobody looked meanwhile: it may have filled up just now.
        _average += (Math.Min(fill, _fill) - _average) * (1 - Math.Exp((_looked - now) / AveragedOver));
        (_looked, _fill) = (now, fill);
        // Where mostly short ones fill it, to leave out the long ones would not help, but punish them for it.
        _share = stands && 2 * _ofLong > _received ? Math.Pow(2, -1 - (Math.Max(Full - _average, 0) / Halving)) : 0;
        int wanted = 0;
        if (!stands)
        {
            _standsSince = null;
        }
        else if (_standsSince is not { } since)
        {
            (_standsSince, _whileStanding) = (now, 0);
        }
        else
        {
            _whileStanding += _received;
            if (now - since >= RateTime)
            {
                double far = Math.Min(roundTrip.TotalSeconds, LongestRoundTrip.TotalSeconds);
                double underWay = Math.Min(_whileStanding / (now - since).TotalSeconds * far, Largest);
                wanted = underWay > size / 2 ? (int)underWay : 0;
                (_standsSince, _whileStanding) = (now, 0);
            }
        }

        (_receives, _received, _ofLong) = (0, 0, 0);
        _perLook = Math.Max(size / LooksPerQueue, FewestBytesPerLook);
        return wanted;
    }

    /// <summary>Leaves out what is to be left out of what was just received; tells the batch how many datagrams that were.</summary>
    public void Thin(PacketBatch batch, int first)
    {
        if (_share == 0)
            return;
        for (int i = first; i < batch.Count; i++)
        {
            ref PacketSlot slot = ref batch[i];
            if (!IsLong(slot))
                continue;
            int datagrams = DatagramsOf(slot);
            _due += _share * datagrams;
            // From its front, as its last one may be short.
            int leftOut = Math.Min((int)_due, datagrams);
            _due -= leftOut;
            batch.LeftOut += leftOut;
            int bytes = leftOut == datagrams ? slot.Length : leftOut * slot.SegmentSize;
            slot.Start += bytes;
            slot.Length -= bytes;
        }
    }

    private static bool IsLong(in PacketSlot slot) => (slot.SegmentSize == 0 ? slot.Length : slot.SegmentSize) >= LongDatagram;

    private static int DatagramsOf(in PacketSlot slot) => slot.SegmentSize == 0 ? 1 : 1 + ((slot.Length - 1) / slot.SegmentSize);
}
