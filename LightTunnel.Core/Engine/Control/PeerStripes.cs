using LightTunnel.Addressing;
using LightTunnel.Packets;
using LightTunnel.Timing;
using LightTunnel.Traversal;

namespace LightTunnel.Engine.Control;

/// <summary>A question to be sent to a peer, which tells it of the stripes' ports.</summary>
/// <param name="Number">What its answer is known by.</param>
/// <param name="Queue">The queue whose stripe it is sent by; 0 for the path in use.</param>
internal readonly record struct StripeQuestion(uint Number, int Queue);

/// <summary>
/// Which stripes (<see cref="StripeUpkeep"/>) data to one peer may leave by: while there is data for it, by a path that nobody translates,
/// the peer is told of the ports, and each that it answers on is proven for as long as it does. No I/O; owned by the control loop.
/// </summary>
/// <remarks>
/// With the first packet the peer is told of the ports, by the path in use. When it has answered, each stripe is asked by: a control frame
/// in the link, as long as a packet of the path's MTU, from the stripe's port; the answer comes by the path in use. A stripe carries data
/// while it is answered on, and is left at once when three questions in a row are not: within a second while much is sent (four questions a
/// second), else one of five seconds. Its data goes on by the path in use. What never answers, behind a firewall for instance, is asked
/// ever more seldom.
/// </remarks>
/// <param name="random">Transactions; seeded in simulations.</param>
/// <param name="ownPort">The node's own port.</param>
/// <param name="openPorts">Opens the stripes if need be, and gives their ports by queue; null as long as they are being opened.</param>
internal sealed class PeerStripes(Random random, int ownPort, Func<IReadOnlyList<int>?> openPorts)
{
    /// <summary>Most stripes that a node has.</summary>
    public const int Maximum = DataPathOptions.MaximumQueues - 1;

    /// <summary>
    /// From so many packets a second on, stripes are watched as closely as a path in use: with long ones 11 Mbit/s, which one
    /// thread does beside.
    /// </summary>
    public const int BusyRate = 1000;

    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(500);

    /// <summary>What is not answered is asked again after this, then after twice the time, and so on.</summary>
    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromSeconds(60);

    /// <summary>There is a NAT, or the peer has one queue: that may change, but seldom does.</summary>
    private static readonly TimeSpan RefusedFor = TimeSpan.FromSeconds(60);

    private readonly OutstandingProbes _questions = new(random);
    private IReadOnlyList<int> _ports = [];
    private Way[] _ways = [];
    private long _counted;
    private Timestamp _countedAt;
    private ProbePace _pace = ProbePace.Standby;
    private Timestamp _refusedUntil;
    private Timestamp _lastTold;

    /// <summary>The path whose stripes these are.</summary>
    public PathAddress Path { get; private set; }

    /// <summary>The queues whose stripes may be used, a bit each.</summary>
    public uint Proven
    {
        get
        {
            uint proven = 0;
            for (int i = 1; i < _ways.Length; i++)
                proven |= _ways[i].Path.IsProven ? 1u << _ways[i].Queue : 0;
            return proven;
        }
    }

    /// <summary>Does what is due while there is data.</summary>
    /// <param name="now">The present.</param>
    /// <param name="path">The path in use.</param>
    /// <param name="sent">Packets that were sent to the peer so far.</param>
    /// <param name="output">Receives the questions to send.</param>
    /// <returns>When to call again.</returns>
    public Timestamp Run(Timestamp now, in PathAddress path, long sent, List<StripeQuestion> output)
    {
        Count(now, sent);
        if (path != Path)
        {
            Path = path;
            _ways = [];
            _questions.Clear();
            _refusedUntil = Timestamp.NotYet;
        }

        Timestamp nextLook = _countedAt + LookInterval;
        if (now < _refusedUntil || path is not { IsRelayed: false, Local.IsOwn: true, IsUnproven: false, Endpoint.IsSpecified: true })
            return nextLook;
        if (_ports.Count == 0)
        {
            if (openPorts() is not { } opened)
                return now.Following; // The next turn has them.
            _ports = opened;
        }

        if (_ways.Length == 0)
            _ways = [new Way(path, 0) { Next = _lastTold + FirstRetry }]; // A peer may move all the time.
        _questions.ForgetLate(now);
        Timestamp next = Timestamp.Earliest(nextLook, Run(_ways[0], now, output));
        if (_ways.Length > 1 && !_ways[0].Path.IsProven)
            Restart(now); // The peer is another, or does not hear this node.
        for (int i = 1; i < _ways.Length; i++)
            next = Timestamp.Earliest(next, Run(_ways[i], now, output));
        return Timestamp.Latest(next, now.Following);
    }

    /// <summary>A question was answered, or somebody says so.</summary>
    /// <param name="number">Which.</param>
    /// <param name="seen">Where it came from, as the peer saw it.</param>
    /// <param name="isOwnAddress">True when that is an address of this machine's own.</param>
    /// <param name="queues">The queues that the peer receives by.</param>
    /// <param name="now">The present.</param>
    public void OnAnswer(uint number, in UdpEndpoint seen, bool isOwnAddress, int queues, Timestamp now)
    {
        if (!_questions.TryTake(number, out PathAddress asked, out Timestamp sent))
            return;
        Way way = _ways.Single(way => way.Path.Key == asked);
        if (!isOwnAddress || seen.Port != (way.Queue == 0 ? ownPort : _ports[way.Queue]) || queues < 2)
        {
            Restart(now);
            _refusedUntil = now + RefusedFor;
            return;
        }

        way.Path.OnAnswer(number, sent, now);
        (way.Next, way.Retry) = (Timestamp.Never, FirstRetry);
        if (_ways.Length == 1)
            _ways = [way, .. Enumerable.Range(1, _ports.Count - 1).Where(each => _ports[each] != 0).Select(each => new Way(Path, each))];
    }

    /// <summary>The peer has new keys, and may be a new process, which knows nothing of the ports.</summary>
    public void TellAgain()
    {
        if (_ways.Length > 0)
            _ways[0].Next = Timestamp.AtOnce;
    }

    /// <summary>None is proven, and the peer is to be told anew, in a moment at the latest.</summary>
    public void Restart(Timestamp now)
    {
        _questions.Clear();
        _ways = _ways.Length == 0
            ? []
            : [new Way(Path, 0) { Next = Timestamp.Earliest(_ways[0].Next, now + FirstRetry), Retry = _ways[0].Retry }];
    }

    private void Count(Timestamp now, long sent)
    {
        if (now - _countedAt < LookInterval)
            return;
        bool isBusy = (sent - _counted) / (now - _countedAt).TotalSeconds >= BusyRate;
        _pace = isBusy ? ProbePace.Busy : ProbePace.Standby;
        (_counted, _countedAt) = (sent, now);
    }

    private Timestamp Run(Way way, Timestamp now, List<StripeQuestion> output)
    {
        if (way.Path.Expire(now, _pace))
            (way.Next, way.Retry) = (now, FirstRetry);
        Timestamp due = way.Path.IsProven ? Timestamp.Earliest(way.Path.NextProbe(_pace), way.Next) : way.Next;
        if (due <= now)
        {
            uint number = _questions.Add(way.Path.Key, now);
            way.Path.OnSent(number, now);
            output.Add(new StripeQuestion(number, way.Queue));
            if (way.Queue == 0)
                _lastTold = now;
            way.Next = way.Path.IsProven ? Timestamp.Never : now + way.Retry;
            if (!way.Path.IsProven)
                way.Retry = way.Retry * 2 < LongestRetry ? way.Retry * 2 : LongestRetry;
            due = way.Path.IsProven ? way.Path.NextProbe(_pace) : way.Next;
        }

        return Timestamp.Earliest(due, way.Path.NextExpiry(_pace));
    }

    /// <summary>The path in use, by which the peer is told, for queue 0; the stripe of another.</summary>
    private sealed class Way(in PathAddress path, int queue)
    {
        public readonly int Queue = queue;
        public readonly ProbedPath Path = new(new PathAddress(path.Endpoint).By(queue == 0 ? default : LocalEnd.Stripe(queue)));
        public TimeSpan Retry = FirstRetry;

        /// <summary>When it is asked at the latest while it is not proven, or at once for another reason.</summary>
        public Timestamp Next;
    }
}
