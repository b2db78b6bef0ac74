using LightTunnel.Addressing;
using LightTunnel.Timing;

namespace LightTunnel.Routing;

/// <summary>A question to be sent: whether a packet of that length passes.</summary>
/// <param name="Transaction">What its answer is known by.</param>
/// <param name="Size">Length of the inner packet, bytes.</param>
internal readonly record struct MtuProbe(uint Transaction, int Size);

/// <summary>
/// How long packets to one peer may be, by the path that they take: what was found of the last few paths is remembered. Owned by
/// the control loop.
/// </summary>
internal sealed class PeerMtu(int largest)
{
    /// <summary>Paths that are remembered; the one used longest ago goes first.</summary>
    public const int MaximumPaths = 8;

    /// <summary>Data within this time makes a path busy.</summary>
    private static readonly TimeSpan BusyFor = TimeSpan.FromSeconds(3);

    /// <summary>
    /// A transaction is this, 14 bits for the path and 16 for the length. Others have the second highest bit clear, or the highest
    /// set: answers so tell by themselves what they answer. A peer that makes them up deceives nobody but itself, as it is its own
    /// packets that are lost.
    /// </summary>
    private const uint FirstTransaction = 0x4000_0000;
    private const int SizeBits = 16;

    private readonly List<Entry> _paths = [];
    private readonly List<int> _sizes = [];
    private uint _serial;
    private bool _hasAnswered;
    private int _largest = largest;
    private int _current = largest;

    /// <summary>Longest packet that the network carries, bytes; another value begins anew.</summary>
    public int Largest
    {
        get => _largest;
        set
        {
            if (_largest == value)
                return;
            _largest = value;
            Forget();
        }
    }

    /// <summary>Longest packet that passes whole by the path in use, bytes; what the network carries until it was measured.</summary>
    public int Current => _current;

    /// <summary>What was measured of the path in use, null until it was.</summary>
    public int? Measured => _paths.Count == 0 ? null : _paths[^1].Mtu.Size;

    /// <summary>What the peer measured of the path that it uses, as its last answer told; null when it does not know.</summary>
    public int? Told { get; private set; }

    /// <summary>True for the transaction of a question of this class.</summary>
    public static bool IsTransaction(uint transaction) => transaction >> 30 == FirstTransaction >> 30;

    /// <summary>Does what is due on the path in use.</summary>
    /// <param name="path">The path.</param>
    /// <param name="now">The present.</param>
    /// <param name="roundTrip">Its round trip, null when it was not measured.</param>
    /// <param name="lastTraffic">When data last went to or came from the peer.</param>
    /// <param name="output">Receives what is to be sent.</param>
    /// <returns>When to call again.</returns>
    public Timestamp Run(in PathAddress path, Timestamp now, TimeSpan? roundTrip, Timestamp lastTraffic, List<MtuProbe> output)
    {
        if (!path.Endpoint.IsSpecified)
            return Timestamp.Never;
        Entry used = Use(path);
        _sizes.Clear();
        bool busy = now - lastTraffic <= BusyFor;
        Timestamp next = used.Mtu.Run(now, roundTrip, busy, _hasAnswered, _sizes);
        foreach (int size in _sizes)
            output.Add(new MtuProbe(FirstTransaction | (used.Serial << SizeBits) | (uint)size, size));
        Update();
        return next;
    }

    /// <summary>A question was answered. Run afterwards.</summary>
    /// <param name="transaction">Which.</param>
    /// <param name="told">What the peer measured of its own path, null when it does not know.</param>
    public void OnAnswer(uint transaction, int? told)
    {
        Told = told;
        _hasAnswered = true;
        Find(transaction)?.OnAnswer((ushort)transaction);
    }

    /// <summary>A question is too long for this machine's own network. Run afterwards.</summary>
    public void OnTooLong(uint transaction) => Find(transaction)?.OnTooLong((ushort)transaction);

    /// <summary>The network is another one: nothing that was measured holds.</summary>
    public void Forget()
    {
        _paths.Clear();
        Told = null;
        Update();
    }

    private Entry Use(in PathAddress path)
    {
        PathAddress wanted = path;
        int index = _paths.FindIndex(entry => entry.Path == wanted);
        Entry used = index >= 0 ? _paths[index] : new Entry(path, ++_serial & 0x3FFF, new PathMtu(Overheads.Of(path), _largest));
        if (index >= 0 && index == _paths.Count - 1)
            return used;
        if (index >= 0)
            _paths.RemoveAt(index);
        else if (_paths.Count == MaximumPaths)
            _paths.RemoveAt(0);
        _paths.Add(used);
        return used;
    }

    private PathMtu? Find(uint transaction)
    {
        uint serial = (transaction & ~FirstTransaction) >> SizeBits;
        foreach (Entry entry in _paths)
        {
            if (entry.Serial == serial)
                return entry.Mtu;
        }

        return null;
    }

    /// <summary>
    /// Of a relayed path only the way to the relay is measured with certainty, as the relay's datagrams may go on in pieces: the peer knows
    /// the other half.
    /// </summary>
    private void Update()
    {
        int current = Measured ?? _largest;
        if (_paths.Count > 0 && _paths[^1].Path.IsRelayed && Told is { } told)
            current = Math.Min(current, Math.Max(told, PathMtu.Floor));
        _current = Math.Min(current, _largest);
    }

    private sealed record Entry(PathAddress Path, uint Serial, PathMtu Mtu);
}
