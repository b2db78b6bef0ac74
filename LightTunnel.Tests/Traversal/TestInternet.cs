using LightTunnel.Addressing;
using LightTunnel.Internet.Nats;
using LightTunnel.Timing;
using LightTunnel.Traversal;
using LightTunnel.WireGuard;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Traversal;

/// <summary>One side of a pair.</summary>
internal sealed class TestNode(string name, uint address, TestNat? nat, PeerTraversal traversal)
{
    public const ushort Port = 9000;

    public string Name => name;

    public TestNat? Nat => nat;

    public PeerTraversal Traversal => traversal;

    public PathAddress? InUse { get; set; }

    /// <summary>The endpoint that the last answer says this node was seen from.</summary>
    public UdpEndpoint LastSeenFrom { get; set; }

    public Timestamp LastTraffic { get; set; }

    public Timestamp NextTimer { get; set; }

    public int ProbesSent { get; set; }

    public int AnswersSent { get; set; }

    public int GuessesDropped { get; set; }

    public int PathChanges { get; set; }

    /// <summary>Called when a path was proven or lost.</summary>
    public Action? OnPathsChanged { get; set; }

    public UdpEndpoint Endpoint(LocalEnd socket = default) => UdpEndpoint.FromIPv4(address, (ushort)(Port + socket.Index));

    public static LocalEnd SocketOf(UdpEndpoint inner) => inner.Port == Port ? default : LocalEnd.Further(inner.Port - Port);

    public bool Has(UdpEndpoint endpoint) => endpoint.MappedAddress == Endpoint().MappedAddress;
}

/// <summary>
/// Two traversals without nodes around them, a NAT before each or none, and the way between them with delay, loss and cuts. What carries
/// whole nodes is the simulated internet.
/// </summary>
internal sealed class TestInternet : IDisposable
{
    public static readonly UdpEndpoint Server = UdpEndpoint.FromIPv4(0xCB007101, 9000);

    private readonly PriorityQueue<
        (TestNode? To, UdpEndpoint From, UdpEndpoint Destination, byte[] Datagram), (Timestamp At, int Order)> _wire = new();
    private readonly List<OutgoingProbe> _output = [];
    private readonly PresharedKey _network = PresharedKey.Generate();
    private readonly Random _random;
    private int _order;

    public TestInternet(NatSettings? first, NatSettings? second, int seed = 1, bool sameLan = false)
    {
        _random = new Random(seed);
        SameLan = sameLan;
        using PrivateKey firstKey = PrivateKey.Generate();
        using PrivateKey secondKey = PrivateKey.Generate();
        A = Make("A", firstKey, secondKey.PublicKey, 1, first is null ? 0xC6336401u : 0xC0A80102u, first, 0xC6336401);
        B = Make(
            "B", secondKey, firstKey.PublicKey, 2, second is null ? 0xC6336402u : sameLan ? 0xC0A80103u : 0x0A010203u, second, 0xC6336402);
    }

    public FakeTimeProvider Time { get; } = new();

    public TestNode A { get; }

    public TestNode B { get; }

    public bool SameLan { get; }

    public TimeSpan Delay { get; set; } = TimeSpan.FromMilliseconds(20);

    public double Loss { get; set; }

    /// <summary>True for what does not get through.</summary>
    public Func<TestNode, bool> Cut { get; set; } = _ => false;

    /// <summary>True when the two reach each other over the outside of their NATs although they share a network.</summary>
    public bool Hairpin { get; set; }

    public bool LanCut { get; set; }

    public List<byte[]> Captured { get; } = [];

    public int DatagramsSent { get; private set; }

    public Timestamp Now => Time.Now();

    /// <summary>What each node would have gathered and the server told the other.</summary>
    public void Exchange()
    {
        (CandidateList, NatBehaviour) first = Gather(A);
        (CandidateList, NatBehaviour) second = Gather(B);
        A.Traversal.SetLocal(first.Item1, first.Item2, Now);
        B.Traversal.SetLocal(second.Item1, second.Item2, Now);
        A.Traversal.SetRemote(second.Item1, second.Item2, Now);
        B.Traversal.SetRemote(first.Item1, first.Item2, Now);
        A.NextTimer = B.NextTimer = Now;
    }

    public void Introduce(TimeSpan? secondLate = null, bool withGuesses = true)
    {
        A.Traversal.Introduce(Now, Now, withGuesses);
        B.Traversal.Introduce(Now + (secondLate ?? TimeSpan.Zero), Now, withGuesses);
        foreach (TestNode node in (TestNode[])[A, B])
            node.Traversal.Sockets.Assign([.. Enumerable.Range(1, node.Traversal.Sockets.Wanted).Select(LocalEnd.Further)]);
        A.NextTimer = B.NextTimer = Now;
    }

    /// <summary>Runs until the condition holds; null when it did not within the time.</summary>
    public TimeSpan? RunUntil(Func<bool> condition, TimeSpan limit)
    {
        Timestamp start = Now;
        Timestamp end = start + limit;
        while (!condition())
        {
            if (!Step(end))
                return null;
        }

        return Now - start;
    }

    public void Run(TimeSpan duration) => RunUntil(() => false, duration);

    /// <summary>Data flows both ways over whatever direct path each has, as far as anybody can tell.</summary>
    public void RunWithTraffic(TimeSpan duration)
    {
        Timestamp end = Now + duration;
        while (Now < end)
        {
            Use(A);
            Use(B);
            Run(TimeSpan.FromMilliseconds(50));
        }
    }

    public void Use(TestNode node)
    {
        node.LastTraffic = Now;
        node.InUse = node.Traversal.Paths.Where(path => path.IsProven)
            .OrderByDescending(path => node.Traversal.IsLocalNetwork(path.Key))
            .ThenBy(path => path.RoundTrip)
            .FirstOrDefault()?.Key;
        node.NextTimer = Timestamp.Earliest(node.NextTimer, Now);
    }

    public bool BothProven => A.Traversal.IsProven && B.Traversal.IsProven;

    public void Dispose()
    {
        A.Traversal.Dispose();
        B.Traversal.Dispose();
        _network.Dispose();
    }

    /// <summary>Hands a datagram to a node as if it had come from somewhere.</summary>
    public ProbeOutcome Inject(TestNode to, byte[] datagram, UdpEndpoint from) => Receive(to, datagram, from, default);

    private TestNode Make(string name, PrivateKey own, in PublicKey other, uint id, uint address, NatSettings? nat, uint publicAddress)
    {
        Assert.True(ProbeKeys.TryMake(own, other, PresharedKeys.Of(_network), out ProbeKeys? keys));
        var traversal = new PeerTraversal(new ProbeChannel(keys, id, Time.GetUtcNow()), id == 1, new Random(_random.Next()));
        return new TestNode(name, address, nat is not null ? new TestNat(nat, publicAddress, _random) : null, traversal);
    }

    private static (CandidateList, NatBehaviour) Gather(TestNode node)
    {
        var list = new List<Candidate> { new(CandidateKind.Host, node.Endpoint()) };
        if (node.Nat is { } nat)
            list.Add(new(CandidateKind.ServerReflexive, nat.Out(node.Endpoint(), Server)));
        return (CandidateList.Create(list),
            node.Nat?.Behaviour
                ?? new NatBehaviour(
                    EndpointDependence.EndpointIndependent, EndpointDependence.EndpointIndependent, PortAssignment.Preserving, 0,
                    NatPresence.None));
    }

    private bool Step(Timestamp end)
    {
        Timestamp next = Timestamp.Earliest(A.NextTimer, B.NextTimer);
        if (_wire.TryPeek(out _, out (Timestamp At, int Order) first))
            next = Timestamp.Earliest(next, first.At);
        if (next > end)
        {
            if (end > Now)
                Time.Advance(end - Now);
            return false;
        }

        if (next > Now)
            Time.Advance(next - Now);
        if (_wire.TryPeek(out _, out (Timestamp At, int Order) due) && due.At <= Now)
        {
            (TestNode? to, UdpEndpoint from, UdpEndpoint destination, byte[] datagram) = _wire.Dequeue();
            Arrive(to!, from, destination, datagram);
            return true;
        }

        foreach (TestNode node in (TestNode[])[A, B])
        {
            if (node.NextTimer <= Now)
                RunTimers(node);
        }

        return true;
    }

    private void RunTimers(TestNode node)
    {
        _output.Clear();
        node.NextTimer = node.Traversal.RunTimers(Now, node.LastTraffic, node.InUse, _output, out bool changed);
        Assert.True(node.NextTimer > Now);
        NoteChange(node, changed);
        foreach (OutgoingProbe probe in _output.ToArray())
        {
            Assert.True(node.Traversal.IsSocketNeeded(probe.Path.Local));
            byte[] datagram = new byte[ProbeCodec.Size];
            node.Traversal.Seal(probe, datagram);
            node.ProbesSent++;
            Send(node, probe.Path.Local, probe.Path.Endpoint, datagram);
        }
    }

    private static void NoteChange(TestNode node, bool changed)
    {
        if (!changed)
            return;
        node.PathChanges++;
        node.OnPathsChanged?.Invoke();
    }

    private void Send(TestNode node, LocalEnd socket, UdpEndpoint destination, byte[] datagram)
    {
        DatagramsSent++;
        Captured.Add(datagram);
        TestNode other = node == A ? B : A;
        UdpEndpoint source = node.Endpoint(socket);
        bool overLan = SameLan && other.Has(destination);
        if (!overLan && node.Nat is { } nat)
            source = nat.Out(source, destination);
        bool reaches = overLan
            || (other.Nat is { } otherNat
                ? otherNat.PublicAddress == (uint)destination.MappedAddress && destination.IsIPv4
                : other.Has(destination));
        // A NAT without hairpinning: what two nodes behind the same one send to its outside gets nowhere.
        if (!reaches || (SameLan && !overLan && !Hairpin) || (overLan && LanCut) || Cut(node) || _random.NextDouble() < Loss)
            return;
        _wire.Enqueue((other, source, destination, datagram), (Now + (overLan ? TimeSpan.FromMilliseconds(0.2) : Delay), _order++));
    }

    private void Arrive(TestNode to, UdpEndpoint from, UdpEndpoint destination, byte[] datagram)
    {
        UdpEndpoint inner = destination;
        if (!to.Has(destination) && (to.Nat is not { } nat || !nat.TryIn(from, destination.Port, out inner)))
        {
            to.GuessesDropped++;
            return;
        }

        Receive(to, datagram, from, TestNode.SocketOf(inner));
    }

    private ProbeOutcome Receive(TestNode to, byte[] datagram, UdpEndpoint from, LocalEnd socket)
    {
        byte[] answer = new byte[ProbeCodec.Size];
        ProbeOutcome outcome = to.Traversal.OnDatagram(
            datagram, new PathAddress(from).By(socket), Now, answer, out UdpEndpoint seenFrom, out bool changed);
        to.LastSeenFrom = seenFrom.IsSpecified ? seenFrom : to.LastSeenFrom;
        NoteChange(to, changed);
        if (outcome == ProbeOutcome.Answered)
        {
            to.AnswersSent++;
            Send(to, socket, from, answer);
        }

        if (outcome != ProbeOutcome.Rejected)
            to.NextTimer = Timestamp.Earliest(to.NextTimer, Now);
        return outcome;
    }
}
