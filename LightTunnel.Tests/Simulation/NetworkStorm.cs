using LightTunnel.Configuration;
using LightTunnel.Engine.Client;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Server;
using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Simulation;
using LightTunnel.Internet.Sites;
using LightTunnel.Routing;
using LightTunnel.Tests.Engine;
using LightTunnel.Traversal;
using Xunit;

namespace LightTunnel.Tests.Simulation;

/// <summary>How close a storm came to what it may do: the worst of each.</summary>
/// <param name="LongestGap">Longest silence between two members that nothing excused.</param>
/// <param name="LastDirect">From the end of the storm until the last pair that must be direct was.</param>
/// <param name="QuietShare">Datagrams of the quiet minute, as a share of what is allowed.</param>
/// <param name="Tables">The largest table of each kind.</param>
internal sealed record StormReport(TimeSpan LongestGap, TimeSpan LastDirect, double QuietShare, IReadOnlyDictionary<string, int> Tables);

/// <summary>
/// A network in a storm, everything by a seed: members in all kinds of networks, wires of all sorts, and events of all kinds while some of
/// them talk. What must be true is looked at all the while, and more of it once the storm is over.
/// </summary>
/// <remarks>
/// 2 to 200 members, which move, sleep, come, go, and lose their NATs, each other and the server, and whom an admin blocks, removes,
/// forbids to talk to each other, and gives another network key. All the while and afterwards: two members that both reach the server, and
/// that nobody forbids to talk, are never silent for longer than 1.5 s; what is forbidden does not pass once who must keep to it can have
/// heard; who can be direct without guessing ports is; every collection in a node, found by walking its objects
/// (<see cref="TableSizes"/>), stays within its limit (<see cref="TableLimits"/>); everybody has the network's key of now; an idle minute
/// costs no more datagrams than it must; nothing arrives twice or at somebody else's.
/// </remarks>
internal sealed class NetworkStorm : IDisposable
{
    /// <summary>
    /// No event but one on the members' ways to the server excuses more: a direct path that dies is left within 0.8 s, an interval of the
    /// traffic passes until it is seen, and a packet may be lost besides.
    /// </summary>
    public static readonly TimeSpan LongestGap = TimeSpan.FromSeconds(1.5);

    /// <summary>
    /// A NAT's reboot, a new public address, another network: a path is given up within a second, and the server learns the new
    /// endpoint with the next ping, a second later at most.
    /// </summary>
    private static readonly TimeSpan AfterMove = TimeSpan.FromSeconds(4);

    /// <summary>
    /// After the server was out of reach: a server that was started again is missed when three pings had no answer, and a handshake or the
    /// registration may be lost once.
    /// </summary>
    private static readonly TimeSpan AfterOutage = TimeSpan.FromSeconds(8);

    /// <summary>The longer it was out of reach, the rarer it is looked for: at most every 16.5 s, where one attempt may be lost.</summary>
    private static readonly TimeSpan RarestSearch = TimeSpan.FromSeconds(16.5);

    /// <summary>All that together, and the registration.</summary>
    private static readonly TimeSpan UntilJoined = TimeSpan.FromSeconds(40);

    /// <summary>Attempts without traffic come a minute apart at most.</summary>
    private static readonly TimeSpan UntilDirect = TimeSpan.FromSeconds(75);

    /// <summary>Pairs that guess ports do so every five minutes while they talk, for two others at once.</summary>
    private static readonly TimeSpan UntilGuessed = TimeSpan.FromMinutes(30);

    /// <summary>
    /// One storm of so many waits for that, and not of the largest networks: hundreds of pairs that guess cost much processor time.
    /// </summary>
    private const int GuessingSeeds = 20;
    private const int GuessingMembers = 20;

    /// <summary>Members that talked go on probing the server's path for a minute.</summary>
    private static readonly TimeSpan UntilQuiet = TimeSpan.FromSeconds(75);

    /// <summary>
    /// A member and the server in a quiet minute: a ping and its answer every 10 s, where the seventh may fall into the minute,
    /// and a handshake.
    /// </summary>
    private const int QuietMember = (2 * 7) + 3;

    /// <summary>A probe and an answer every 10 s, where the seventh may fall into the minute.</summary>
    private const int QuietDirectPeer = 2 * 7;

    /// <summary>
    /// Who has lost the server asks for it every second, tells again what was not acknowledged every 4 s, begins a handshake every 5 s, and
    /// tries others' endpoints once a minute; and the server asks for it for a while.
    /// </summary>
    private const int LostMember = 60 + 15 + 12 + 40;

    private readonly int _seed;
    private readonly int _eagerUpTo;
    private readonly Random _random;
    private readonly StormWorld _world;
    private readonly Traffic _traffic;
    private readonly PriorityQueue<Action, TimeSpan> _endings = new();
    private readonly Dictionary<string, int> _tables = [];
    private readonly Dictionary<StormMember, TimeSpan> _outSince = [];

    /// <param name="seed">What everything follows from.</param>
    /// <param name="eagerUpTo">Largest network in which everybody is told of everybody.</param>
    public NetworkStorm(int seed, int eagerUpTo)
    {
        _random = new Random(~seed);
        _seed = seed;
        _eagerUpTo = eagerUpTo;
        _world = new StormWorld(seed, SizeOf(seed, _random), eagerUpTo);
        _traffic = new Traffic(_world.Time);
        StormMember[] talkers = [.. _world.Members];
        _random.Shuffle(talkers);
        for (int i = 0; i + 1 < Math.Min(talkers.Length, 6); i += 2)
            _traffic.Add(talkers[i], talkers[i + 1]);
    }

    /// <summary>Most networks are small, as most are in life, and cheap; a few are not.</summary>
    private static int SizeOf(int seed, Random random) => seed switch
    {
        _ when seed % 2000 == 0 => 200,
        _ when seed % 500 == 0 => 50,
        _ when seed % 100 == 0 => 20,
        _ => 2 + Math.Min(random.Next(5), random.Next(5)),
    };

    /// <summary>Runs the storm of a seed, and fails when something is not as it must be.</summary>
    public static StormReport Run(int seed, int eagerUpTo = ServerOptions.DefaultEagerUpTo)
    {
        using var storm = new NetworkStorm(seed, eagerUpTo);
        storm.Join();
        storm.Rage(TimeSpan.FromSeconds(20));
        storm.CalmDown();
        TimeSpan direct = storm.BecomeDirect();
        double share = storm.BeQuiet();
        return new StormReport(storm._traffic.Flows.Max(flow => flow.LongestGap), direct, share, storm._tables);
    }

    public void Dispose() => _world.Dispose();

    private void Join()
    {
        Assert.True(
            _world.Network.RunUntil(
                () => _world.Members.All(member => member.HasJoined || member.Kind == NatKind.UdpBlocked), TimeSpan.FromSeconds(30)),
            $"Did not join: {Names(_world.Members.Where(member => !member.HasJoined))}.");
        foreach (StormMember member in _world.Members)
            _traffic.Excuse(member, LongestGap);
    }

    private void Rage(TimeSpan duration)
    {
        TimeSpan end = _world.Time.Elapsed + duration;
        TimeSpan next = _world.Time.Elapsed;
        while (_world.Time.Elapsed < end)
        {
            while (_endings.TryPeek(out Action? ending, out TimeSpan due) && due <= _world.Time.Elapsed)
            {
                _endings.Dequeue();
                ending();
            }

            if (_world.Time.Elapsed >= next)
            {
                Happen();
                next = _world.Time.Elapsed + Seconds(0.2, 3);
            }

            Talk();
        }

        MeasureTables();
    }

    /// <summary>One of the things that happen.</summary>
    private void Happen()
    {
        StormMember member = Any(_world.Members);
        int what = _random.Next(15);
        _world.Note($"event {what}, {member}");
        switch (what)
        {
            case 0 when _world.Nats.Count > 0:
                SimulatedNat rebooted = Any(_world.Nats);
                rebooted.Reboot();
                ExcuseBehind(rebooted, AfterMove);
                break;
            case 1 when _world.Nats.Count > 0:
                SimulatedNat moved = Any(_world.Nats);
                moved.ChangeAddress();
                ExcuseBehind(moved, AfterMove);
                break;
            case 2:
                CutUplink(_world.Nats.Count > 0 && _random.Next(2) == 0 ? Any(_world.Nats) : member.Host);
                break;
            case 3:
                CutBetween(member.Host, Any(_world.Members).Host);
                break;
            case 4:
                CutBetween(member.Host, _world.ServerHost);
                break;
            case 5 when !member.IsUnplugged:
                StormWorld.Unplug(member);
                After(Seconds(0.1, 2), () => _world.Plug(member));
                break;
            case 6 when _world.IsServerUp:
                _world.EndServer(politely: _random.Next(2) == 0);
                After(Seconds(0, 15), _world.StartServer);
                break;
            case 7:
                StormWorld.JumpClock(member, TimeSpan.FromHours(_random.NextDouble() * 10));
                break;
            case 8 when member.Node is not null:
                _world.End(member, politely: _random.Next(2) == 0);
                After(Seconds(0, 10), () => _world.Start(member));
                break;
            case 10 when member.Node is { Clock.IsAsleep: false } sleeper:
                sleeper.FallAsleep();
                After(Seconds(1, 15), sleeper.WakeUp);
                break;
            case 9 when _world.Members.Count < 250:
                _world.AddMember();
                break;
            case 11 when !member.IsBlocked && _world.IsKnown(member):
                _world.Block(member);
                After(Seconds(0.5, 12), () => _world.Unblock(member));
                break;
            case 12 when member is { Node: not null, IsBlocked: false } && _world.IsKnown(member) && !_world.IsDenied(member):
                _world.Remove(member);
                After(Seconds(0, 5), () => _world.Return(member));
                break;
            case 14 when _world.CanChangeKey:
                _world.ChangeKey();
                break;
            case 13 when Any(_traffic.Flows) is var flow && _world.IsKnown(flow.From) && _world.IsKnown(flow.To):
                _world.Deny(flow.From, flow.To);
                After(Seconds(0.5, 12), () => _world.Allow(flow.From, flow.To));
                break;
        }
    }

    private void CutUplink(Site element)
    {
        bool up = _random.Next(3) > 0, down = !up || _random.Next(2) > 0;
        _world.Note($"cuts the uplink of {element}: {(up ? "up" : "")} {(down ? "down" : "")}");
        element.Uplink.Up.IsCut |= up;
        element.Uplink.Down.IsCut |= down;
        After(Seconds(0.5, 20), () => element.Uplink.IsCut = false);
    }

    private void CutBetween(SimulatedHost first, SimulatedHost second)
    {
        if (first == second)
            return; // Drawn twice.
        bool oneWay = _random.Next(2) == 0;
        if (oneWay && _random.Next(2) == 0)
            (first, second) = (second, first);
        _world.Note($"cuts {first} {(oneWay ? ">" : "<>")} {second}");
        _world.Internet.CutBetween(first, second, oneWay);
        After(Seconds(0.5, 20), () => _world.Internet.HealBetween(first, second));
    }

    /// <summary>Everything heals, and everybody is a member again.</summary>
    private void CalmDown()
    {
        _world.Note("calm");
        while (_endings.TryDequeue(out Action? ending, out _))
            ending();
        TimeSpan end = _world.Time.Elapsed + UntilJoined;
        while (_world.Time.Elapsed < end && !Present.All(member => member.HasJoined))
            Talk();
        StormMember[] missing = [.. Present.Where(member => !member.HasJoined)];
        Assert.True(missing.Length == 0, $"Not back {UntilJoined} after everything was healed: {Names(missing)}.");
    }

    /// <summary>Waits for the paths that there must be.</summary>
    /// <returns>How long it took.</returns>
    private TimeSpan BecomeDirect()
    {
        TimeSpan begin = _world.Time.Elapsed;
        (StormMember First, StormMember Second)[] wanted = [.. Pairs().Where(pair => StormWorld.MustBeDirect(pair.First, pair.Second))];
        while (_world.Time.Elapsed - begin < UntilDirect && !wanted.All(IsDirect))
            Talk();
        string[] missing = [.. wanted.Where(pair => !IsDirect(pair)).Select(Describe)];
        Assert.True(missing.Length == 0, $"Not direct {UntilDirect} after the storm: {string.Join(", ", missing)}.");
        TimeSpan duration = _world.Time.Elapsed - begin;

        if (_seed % GuessingSeeds == 0 && _world.Members.Count <= GuessingMembers)
            BecomeDirectByGuesses();

        // With all paths as they should be, nothing is excused any more.
        TimeSpan perfect = _world.Time.Elapsed;
        for (int i = 0; i < 20; i++)
            Talk();
        _traffic.AssertLongPackets(perfect);
        MeasureTables();
        return duration;
    }

    /// <summary>Pairs that must guess ports do so again and again while they talk; a few attempts at the most suffice.</summary>
    private void BecomeDirectByGuesses()
    {
        TimeSpan end = _world.Time.Elapsed + UntilGuessed;
        (StormMember First, StormMember Second)[] wanted = [.. Pairs().Where(pair => StormWorld.CanBeDirect(pair.First, pair.Second))];
        while (_world.Time.Elapsed < end && !wanted.All(IsDirect))
        {
            foreach ((StormMember first, StormMember second) in wanted.Where(pair => !IsDirect(pair)))
                first.Node!.Send(second.Node!.Address, "guess");
            _world.Network.Run(TimeSpan.FromSeconds(2));
            foreach (StormMember member in _world.Members)
                member.Node?.TakeReceived();
        }

        // Nobody talked meanwhile but those.
        foreach (StormMember member in _world.Members)
            _traffic.Excuse(member, AfterOutage);
        string[] missing = [.. wanted.Where(pair => !IsDirect(pair)).Select(Describe)];
        Assert.True(missing.Length == 0, $"Not direct {UntilGuessed} after the storm: {string.Join(", ", missing)}.");
    }

    /// <summary>Nobody talks: counts what is sent in a minute. What somebody finds out late makes one minute of three less quiet.</summary>
    /// <returns>Datagrams as a share of what is allowed.</returns>
    private double BeQuiet()
    {
        _world.Repair(); // What a wire loses is asked for again, which is not what is counted here.
        _world.Network.Run(UntilQuiet);
        CollectAll();
        StormMember[] behind =
            [.. Present.Where(member => member.Node!.Node.NetworkKeys.Number != _world.Network.KeyNumber())];
        Assert.True(behind.Length == 0, $"Without the network's key of now after the storm: {Names(behind)}.");
        double share = ShareOfMinute();
        for (int again = 0; share > 1 && again < 2; again++)
            share = ShareOfMinute();
        Assert.True(share <= 1, $"{_world.Members.Count} idle members sent {share:F1} times what they may.");
        MeasureTables();
        return share;
    }

    private double ShareOfMinute()
    {
        _world.Note("quiet minute");
        HashSet<(StormMember, Member)> direct = [.. QuietPeers().Where(pair => pair.To.DirectPath is not null)];
        long before = _world.Internet.Sent;
        _world.Network.Run(TimeSpan.FromMinutes(1));
        double allowed = _world.Members.Count(member => member.Node is not null && _world.CanReachServer(member)) * QuietMember
            + (_world.Members.Count(member => member.Node is not null && !_world.CanReachServer(member)) * LostMember)
            + QuietPeers().Sum(pair => direct.Contains(pair) ? QuietDirectPeer : QuietRelayedPeer(pair.From, pair.To));
        return (_world.Internet.Sent - before) / allowed;
    }

    /// <summary>Whom each member deals with.</summary>
    private IEnumerable<(StormMember From, Member To)> QuietPeers() => _world.Members
        .Where(member => member.Node is not null)
        .SelectMany(member => member.Node!.Members.Where(peer => peer.Traversal is not null).Select(peer => (member, peer)));

    /// <summary>
    /// A plan's seven probes to each of a few candidates once a minute, and the introduction before it; or a plan that guesses ports.
    /// </summary>
    private int QuietRelayedPeer(StormMember member, Peer peer) =>
        _world.Members.Any(other => other.Identity.PublicKey == peer.Key && StormWorld.TakesGuesses(member, other))
            ? PunchPlan.MaximumGuesses + PunchPlan.BirthdaySockets
            : (7 * 5) + 10;

    /// <summary>One interval of traffic, and what is always true.</summary>
    private void Talk()
    {
        foreach (StormMember member in _world.Members)
        {
            if (member.Node is not null && _world.CanReachServer(member))
            {
                _outSince.Remove(member);
                continue;
            }

            _outSince.TryAdd(member, _world.Time.Elapsed);
            TimeSpan outage = _world.Time.Elapsed - _outSince[member];
            _traffic.Excuse(member, AfterOutage + (2 * (outage < RarestSearch ? outage : RarestSearch)));
        }

        _traffic.Judge(_world.Denied, AfterMove);
        _traffic.Send();
        _world.Network.Run(Traffic.Interval);
        CollectAll();
        _traffic.AssertFlows(LongestGap);
    }

    private void CollectAll()
    {
        foreach (StormMember member in _world.Members)
            _traffic.Collect(member);
    }

    /// <summary>Members that nothing keeps from the server.</summary>
    private IEnumerable<StormMember> Present => _world.Members.Where(_world.CanReachServer);

    /// <summary>Pairs that are introduced: everybody in a small network, in a large one who talks.</summary>
    private IEnumerable<(StormMember First, StormMember Second)> Pairs()
    {
        StormMember[] present = [.. Present];
        if (present.Length > Introducer.EagerUpTo || _world.Members.Count > _eagerUpTo)
        {
            return _traffic.Flows.Where(flow => flow.Number % 2 == 0 && present.Contains(flow.From) && present.Contains(flow.To))
                .Select(flow => (flow.From, flow.To));
        }
        return present.SelectMany((first, index) => present.Skip(index + 1).Select(second => (first, second)));
    }

    private static bool IsDirect((StormMember First, StormMember Second) pair) =>
        IsDirect(pair.First, pair.Second) && IsDirect(pair.Second, pair.First);

    private static bool IsDirect(StormMember from, StormMember to) =>
        from.Node?.Node.Peers.FirstOrDefault(peer => peer.Key == to.Identity.PublicKey)?.PathType is PathType.Direct or PathType.Lan;

    private static string Describe((StormMember First, StormMember Second) pair) =>
        $"{pair.First} {StateOf(pair.First, pair.Second)} / {pair.Second} {StateOf(pair.Second, pair.First)}";

    private static string StateOf(StormMember from, StormMember to) =>
        from.Node?.Members.FirstOrDefault(peer => peer.Key == to.Identity.PublicKey) is { } peer
            ? $"{peer.PathType}, {peer.Traversal?.State}, {from.Node.Client.Nat.ClassicName}"
            : "knows nothing";

    private static string Names(IEnumerable<StormMember> members) => string.Join(", ", members);

    private void MeasureTables()
    {
        foreach (SimulatedNode node in _world.Network.Nodes)
        {
            foreach ((string name, int size) in TableSizes.Of(node.Node))
            {
                int limit = TableLimits.Of(name, _world.Members.Count);
                Assert.True(size <= limit, $"{name} of {node.Name} has {size} entries at {_world.Time.Elapsed}; {limit} are enough.");
                _tables[name] = Math.Max(_tables.GetValueOrDefault(name), size);
            }
        }
    }

    private void ExcuseBehind(SimulatedNat nat, TimeSpan duration)
    {
        foreach (StormMember member in _world.Members)
        {
            for (NatSite? above = member.Host.Parent; above is not null; above = above.Parent)
            {
                if (above == nat)
                    _traffic.Excuse(member, duration);
            }
        }
    }

    private void After(TimeSpan time, Action ending) => _endings.Enqueue(ending, _world.Time.Elapsed + time);

    private T Any<T>(IReadOnlyList<T> all) => all[_random.Next(all.Count)];

    private TimeSpan Seconds(double least, double most) => TimeSpan.FromSeconds(least + (_random.NextDouble() * (most - least)));
}
