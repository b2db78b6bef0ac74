using System.Globalization;
using System.Net;
using LightTunnel.Engine.Control;
using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Simulation;
using LightTunnel.Tests.Engine;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Simulation;

/// <summary>Somebody with a key and a machine, through all the processes that it runs there one after another.</summary>
internal sealed class StormMember(string name, PrivateKey identity, SimulatedHost host)
{
    public string Name { get; } = name;

    public PrivateKey Identity { get; } = identity;

    public SimulatedHost Host { get; } = host;

    /// <summary>The kind of network that it is in now.</summary>
    public NatKind Kind { get; set; }

    /// <summary>True while its machine is in no network.</summary>
    public bool IsUnplugged => Host.Address.Equals(IPAddress.None);

    /// <summary>How far the clock of its machine is ahead.</summary>
    public TimeSpan ClockOffset { get; set; }

    /// <summary>Its process, null while none runs.</summary>
    public SimulatedNode? Node { get; set; }

    /// <summary>The network's keys, as it keeps them from one process to the next.</summary>
    public required MemoryKeyStore Keys { get; set; }

    /// <summary>True while an admin keeps it out.</summary>
    public bool IsBlocked { get; set; }

    /// <summary>Until then it may not know what the server tells everybody.</summary>
    public TimeSpan ExcusedUntil { get; set; }

    /// <summary>True once its process has joined.</summary>
    public bool HasJoined => Node is { IsUp: true };

    public override string ToString() => $"{Name} ({Kind})";
}

/// <summary>Packets from one member to another, all the while.</summary>
internal sealed class Flow(int number, StormMember from, StormMember to)
{
    private readonly HashSet<int> _seen = [];
    private readonly List<TimeSpan> _sent = [];
    private TimeSpan _allowedSince;

    public int Number { get; } = number;

    public StormMember From { get; } = from;

    public StormMember To { get; } = to;

    /// <summary>When a packet last arrived.</summary>
    public TimeSpan Heard { get; set; }

    /// <summary>When a packet as long as may be last arrived.</summary>
    public TimeSpan HeardLong { get; set; }

    /// <summary>Until then something that happened is reason enough for silence.</summary>
    public TimeSpan ExcusedUntil { get; set; }

    /// <summary>Longest time without a packet that nothing excused.</summary>
    public TimeSpan LongestGap { get; set; }

    /// <summary>Since when an admin forbids it; null while it is allowed.</summary>
    public TimeSpan? ForbiddenSince { get; private set; }

    /// <summary>The side that keeps to that, once it has heard of it.</summary>
    public StormMember Guard { get; private set; } = to;

    /// <summary>True when it was forbidden and nothing has passed since: the two may not even know that it is allowed again.</summary>
    public bool IsResting => ForbiddenSince is null && Heard < _allowedSince;

    /// <summary>From now on nothing may pass.</summary>
    public void Forbid(TimeSpan now, StormMember guard) => (ForbiddenSince, Guard) = (ForbiddenSince ?? now, guard);

    /// <summary>It may pass again.</summary>
    public void Allow(TimeSpan now) => (ForbiddenSince, _allowedSince) = (null, now);

    public string NextBody(TimeSpan now)
    {
        _sent.Add(now);
        return string.Create(CultureInfo.InvariantCulture, $"{Number} {_sent.Count}");
    }

    /// <summary>When a packet was sent.</summary>
    public TimeSpan SentAt(int packet) => _sent[packet - 1];

    /// <summary>False when it came before.</summary>
    public bool Take(int packet) => _seen.Add(packet);

    public override string ToString() => $"{From} > {To}";
}

/// <summary>
/// Traffic between chosen pairs of members, and what must be true of it: packets get through with bounded gaps, none twice, none to
/// somebody else.
/// </summary>
internal sealed class Traffic(VirtualTime time)
{
    /// <summary>Each flow sends a packet this often; nothing here is looked at more closely.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);

    /// <summary>
    /// Who reaches the server has heard of a change by then: it is told at once, and told again when a wire loses that.
    /// </summary>
    private static readonly TimeSpan Heard = TimeSpan.FromSeconds(4);

    /// <summary>
    /// Who has nothing to say shows itself to the server every 10 s, and not before that does the server know where it is now, nor it what
    /// the server has told it meanwhile, again every 4 s.
    /// </summary>
    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(14);

    /// <summary>The first handshake may be lost, its repetition too, and each has 5.3 s.</summary>
    private static readonly TimeSpan FirstHandshake = TimeSpan.FromSeconds(11);

    /// <summary>IP and UDP headers inside.</summary>
    private const int Headers = 28;

    /// <summary>One packet of so many has company of one as long as may be.</summary>
    private const int LongInterval = 4;

    private readonly List<Flow> _flows = [];
    private int _rounds;

    public IReadOnlyList<Flow> Flows => _flows;

    /// <summary>Lets two members talk, in both directions.</summary>
    public void Add(StormMember first, StormMember second)
    {
        _flows.Add(new Flow(_flows.Count, first, second));
        _flows.Add(new Flow(_flows.Count, second, first));
    }

    /// <summary>
    /// Something has happened to a member: its flows may be silent for that long, and while the two have no keys yet for longer.
    /// </summary>
    public void Excuse(StormMember member, TimeSpan duration)
    {
        if (time.Elapsed + duration > member.ExcusedUntil)
            member.ExcusedUntil = time.Elapsed + duration;
        foreach (Flow flow in _flows.Where(flow => flow.From == member || flow.To == member))
        {
            TimeSpan until = time.Elapsed + duration + (HasKeys(flow) ? TimeSpan.Zero : FirstHandshake)
                + (flow.IsResting ? Idle : TimeSpan.Zero);
            flow.ExcusedUntil = until > flow.ExcusedUntil ? until : flow.ExcusedUntil;
        }
    }

    /// <summary>Says which flows an admin forbids now, and since when those do not that were forbidden before.</summary>
    /// <param name="denied">Pairs between which a rule denies everything.</param>
    /// <param name="excuse">How long the others may be silent meanwhile.</param>
    public void Judge(IReadOnlyCollection<(StormMember First, StormMember Second)> denied, TimeSpan excuse)
    {
        foreach (Flow flow in _flows)
        {
            bool isBlocked = flow.From.IsBlocked || flow.To.IsBlocked;
            if (isBlocked || denied.Contains((flow.From, flow.To)) || denied.Contains((flow.To, flow.From)))
            {
                flow.Forbid(time.Elapsed, flow.To.IsBlocked ? flow.From : flow.To);
            }
            else if (flow.ForbiddenSince is not null)
            {
                flow.Allow(time.Elapsed);
                Excuse(flow.From, excuse);
                Excuse(flow.To, excuse);
            }
        }
    }

    /// <summary>Everybody sends a packet, and now and then a long one.</summary>
    public void Send()
    {
        bool isLong = ++_rounds % LongInterval == 0;
        foreach (Flow flow in _flows)
        {
            if (flow.From.Node is { } from && flow.To.Node is { } to && HasAddress(from) && HasAddress(to))
            {
                from.Send(to.Address, flow.NextBody(time.Elapsed));
                if (isLong && PeerOf(flow) is { } peer)
                    from.Send(to.Address, $"{flow.NextBody(time.Elapsed)} ".PadRight(peer.Mtu - Headers, 'x'));
            }
        }
    }

    /// <summary>Looks at what has arrived at a member.</summary>
    public void Collect(StormMember member)
    {
        if (member.Node is not { } node)
            return;
        foreach (string body in node.TakeReceived())
        {
            // A packet of those that only make pairs guess may have waited for keys.
            if (body.StartsWith("icmp", StringComparison.Ordinal) || body == "guess")
                continue;
            string[] words = body.Split(' ');
            Flow flow = _flows[int.Parse(words[0], CultureInfo.InvariantCulture)];
            if (flow.To != member)
                Assert.Fail($"{member} got a packet of {flow} at {time.Elapsed}.");
            int packet = int.Parse(words[1], CultureInfo.InvariantCulture);
            if (!flow.Take(packet))
                Assert.Fail($"{flow}: packet {words[1]} arrived twice, again at {time.Elapsed}.");
            TimeSpan sent = flow.SentAt(packet);
            if (flow.ForbiddenSince is { } since && sent > since + Heard && time.Elapsed > flow.Guard.ExcusedUntil)
                Assert.Fail($"{flow} has been forbidden since {since}, and what was sent at {sent} arrived at {time.Elapsed}.");
            flow.Heard = time.Elapsed;
            if (words.Length > 2)
                flow.HeardLong = time.Elapsed;
        }
    }

    /// <summary>Fails when a flow is silent for longer than it may be.</summary>
    public void AssertFlows(TimeSpan longestGap)
    {
        foreach (Flow flow in _flows.Where(flow => flow.ForbiddenSince is null && time.Elapsed > flow.ExcusedUntil))
        {
            TimeSpan gap = time.Elapsed - flow.Heard;
            if (gap > flow.LongestGap)
                flow.LongestGap = gap;
            if (gap > longestGap)
            {
                Assert.Fail($"{flow}: nothing arrived from {flow.Heard} to {time.Elapsed}, and nothing that happened since "
                    + $"{flow.ExcusedUntil} excuses it.");
            }
        }
    }

    /// <summary>Fails when of a flow no long packet arrived of late, however narrow the networks between the two are.</summary>
    public void AssertLongPackets(TimeSpan since)
    {
        foreach (Flow flow in _flows.Where(flow => time.Elapsed > flow.ExcusedUntil && flow.HeardLong < since))
            Assert.Fail($"{flow}: no packet of {PeerOf(flow)?.Mtu} bytes has arrived since {flow.HeardLong}.");
    }

    private static Peer? PeerOf(Flow flow) => flow.From.Node?.Node.Peers.FirstOrDefault(peer => peer.Key == flow.To.Identity.PublicKey);

    private static bool HasKeys(Flow flow) => PeerOf(flow)?.Link is { HasSession: true };

    private static bool HasAddress(SimulatedNode node) => node.Node.Forwarding.OwnAddresses.Length > 0;
}
