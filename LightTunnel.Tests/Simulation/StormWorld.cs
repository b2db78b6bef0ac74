using LightTunnel.Addressing;
using LightTunnel.Engine.Server;
using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Simulation;
using LightTunnel.Internet.Sites;
using LightTunnel.Internet.Wires;
using LightTunnel.Tests.Engine;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Simulation;

/// <summary>A network of members in all kinds of local networks, laid out by a seed.</summary>
internal sealed class StormWorld : IDisposable
{
    /// <summary>What networks carry, bytes of whole packets.</summary>
    private const int Narrowest = 1280, Widest = 1500;

    private readonly Random _random;
    private readonly Random _widths;
    private readonly Scene _scene;
    private readonly List<StormMember> _members = [];
    private readonly List<(StormMember First, StormMember Second)> _denied = [];
    private readonly Queue<Action> _forTheServer = [];
    private readonly List<(SimulatedNat? Nat, NatKind Kind)> _lans = [];
    private readonly List<SimulatedNat> _carriers = [];

    private readonly int _eagerUpTo;

    public StormWorld(int seed, int members, int eagerUpTo)
    {
        _random = new Random(seed);
        _widths = new Random(-seed);
        _eagerUpTo = eagerUpTo;
        _scene = new Scene(seed, WireConditions.Perfect);
        ServerHost = Internet.Hosts[SimulatedNetwork.ServerHost];
        ServerHost.Uplink.Conditions = RandomWire();
        StartServer();
        for (int i = 0; i < members; i++)
            AddMember();
    }

    public VirtualTime Time => _scene.Time;

    public SimulatedInternet Internet => _scene.Internet;

    public SimulatedNetwork Network => _scene.Network;

    public SimulatedHost ServerHost { get; }

    /// <summary>True while the server's process runs.</summary>
    public bool IsServerUp { get; private set; }

    /// <summary>Everybody who was ever a member.</summary>
    public IReadOnlyList<StormMember> Members => _members;

    /// <summary>All NATs, the carriers' included.</summary>
    public IReadOnlyList<SimulatedNat> Nats => [.. Internet.Nats.Values];

    /// <summary>Makes a machine in an old or a new network, with a process that joins.</summary>
    public StormMember AddMember()
    {
        (SimulatedNat? nat, NatKind kind) = RandomLan();
        string name = $"member{_members.Count}";
        SimulatedHost host = Internet.AddHost(name, nat);
        if (_members.Count % 4 == 3)
            Network.WithoutAes.Add(name);
        var member = new StormMember(name, Network.NewKey(), host) { Keys = Network.CurrentKey().Keys() };
        _members.Add(member);
        Settle(member, nat, kind);
        Start(member);
        return member;
    }

    /// <summary>Takes a member's machine off its network, which its system tells the process of.</summary>
    public static void Unplug(StormMember member)
    {
        member.Host.Unplug();
        member.Node?.Addresses.Changed();
    }

    /// <summary>Brings a member's machine to a network, old or new.</summary>
    public void Plug(StormMember member)
    {
        (SimulatedNat? nat, NatKind kind) = RandomLan();
        member.Host.MoveTo(nat);
        Settle(member, nat, kind);
        member.Node?.Addresses.Changed();
    }

    /// <summary>
    /// Sets the clock of a member's machine forward. Who sets it back is not heard until it is where it was, which is not looked at here.
    /// </summary>
    public static void JumpClock(StormMember member, TimeSpan by)
    {
        member.ClockOffset += by;
        member.Node?.Clock.Jump(by);
    }

    public void Start(StormMember member)
    {
        member.Node = Network.AddClient(member.Name, identity: member.Identity, host: member.Host.Name, keys: member.Keys);
        member.Node.Clock.Jump(member.ClockOffset);
    }

    /// <summary>Ends a member's process, with a goodbye or without.</summary>
    public void End(StormMember member, bool politely)
    {
        if (politely)
            Network.Stop(member.Node!);
        else
            Network.Kill(member.Node!);
        member.Node = null;
    }

    public void StartServer()
    {
        Network.StartServer(options => options with { EagerUpTo = _eagerUpTo }, "10.0.0.1/16");
        IsServerUp = true;
        while (_forTheServer.TryDequeue(out Action? change))
            change();
    }

    /// <summary>Pairs of members between which a rule denies everything.</summary>
    public IReadOnlyList<(StormMember First, StormMember Second)> Denied => _denied;

    /// <summary>True when the server runs and has a lease of the member.</summary>
    public bool IsKnown(StormMember member) =>
        IsServerUp && Network.Administration().List().Any(known => known.PublicKey == member.Identity.PublicKey.ToString());

    /// <summary>Keeps a member out.</summary>
    public void Block(StormMember member)
    {
        member.IsBlocked = true;
        Change(MemberChangeKind.Block, member);
    }

    /// <summary>Lets a member in again, whose owner starts its process anew: by itself it would ask a minute later.</summary>
    public void Unblock(StormMember member)
    {
        WithServer(() =>
        {
            Change(MemberChangeKind.Unblock, member);
            member.IsBlocked = false;
            if (member.Node is null)
                return;
            End(member, politely: false);
            Start(member);
        });
    }

    /// <summary>Takes a member's lease away, whose owner lets it join again.</summary>
    public void Remove(StormMember member)
    {
        End(member, politely: false);
        Change(MemberChangeKind.Remove, member);
    }

    /// <summary>Starts a process of a member that was removed, which its owner has given the network's key of now.</summary>
    public void Return(StormMember member)
    {
        member.Keys = Network.CurrentKey().Keys();
        Start(member);
    }

    /// <summary>True when the server can have another key for the network.</summary>
    public bool CanChangeKey => IsServerUp && Network.KeyStore.Keys.Former.Count < NetworkKeySet.MostFormer;

    /// <summary>Changes the network's key; who is no member yet is given the new one by its owner.</summary>
    public void ChangeKey()
    {
        Network.ChangeKey(TimeSpan.FromDays(30));
        foreach (StormMember stranger in _members.Where(member => !IsKnown(member)).ToArray())
        {
            bool isRunning = stranger.Node is not null;
            if (isRunning)
                End(stranger, politely: false);
            stranger.Keys = Network.CurrentKey().Keys();
            if (isRunning)
                Start(stranger);
        }
    }

    /// <summary>Denies two members everything, in both directions.</summary>
    public void Deny(StormMember first, StormMember second)
    {
        _denied.Add((first, second));
        ReplaceRules();
    }

    /// <summary>True when a rule names the member.</summary>
    public bool IsDenied(StormMember member) => _denied.Any(pair => pair.First == member || pair.Second == member);

    /// <summary>Takes back what <see cref="Deny"/> did.</summary>
    public void Allow(StormMember first, StormMember second) => WithServer(() =>
    {
        _denied.Remove((first, second));
        ReplaceRules();
    });

    /// <summary>Some rules that say nothing of the traffic here, and those that do.</summary>
    private void ReplaceRules()
    {
        string[] others = ["Allow Udp - server > *", "Deny Tcp 22 * > *", "Deny Udp 5353 group:a > *", "Allow Icmp - clients > clients"];
        IEnumerable<string> denials = _denied.SelectMany(pair => (string[])
        [
            $"Deny Any - {pair.First.Name} > {pair.Second.Name}", $"Deny Any - {pair.Second.Name} > {pair.First.Name}",
        ]);
        Assert.True(Network.ReplaceRules([.. others.Take(_random.Next(others.Length + 1)), .. denials]).IsCompletedSuccessfully);
    }

    private void Change(MemberChangeKind kind, StormMember member)
    {
        string key = member.Identity.PublicKey.ToString();
        Network.Server.Node.Post(() => ((ServerRole)Network.Server.Node.Role).Administration.ChangeAsync(
            new MemberChange(kind, key, "admin")));
        Network.Server.MarkReady();
        Network.Settle();
    }

    /// <summary>Now, or as soon as the server's process runs.</summary>
    private void WithServer(Action change)
    {
        if (IsServerUp)
            change();
        else
            _forTheServer.Enqueue(change);
    }

    /// <summary>
    /// Ends the server's process, with a goodbye or without. Leases of its last second are not lost here: nobody would own their addresses.
    /// </summary>
    public void EndServer(bool politely)
    {
        Network.Server.Node.Role.FinishState();
        if (politely)
            Network.Stop(Network.Server);
        else
            Network.Kill(Network.Server);
        IsServerUp = false;
    }

    /// <summary>True while nothing is in a member's way to the server but wires that lose a little.</summary>
    public bool CanReachServer(StormMember member)
    {
        if (!IsServerUp || member.IsBlocked || member.IsUnplugged || member.Node is { Clock.IsAsleep: true }
            || member.Kind == NatKind.UdpBlocked || Internet.IsCut(member.Host, ServerHost))
        {
            return false;
        }
        for (Site? element = member.Host; element is not null; element = element.Parent)
        {
            if (element.Uplink.Up.IsCut || element.Uplink.Down.IsCut)
                return false;
        }

        return true;
    }

    /// <summary>
    /// True when two members must become direct after a storm. Pairs that have to guess ports are left out: how long that takes is a matter
    /// of chance, and <see cref="NatMatrixTests"/> looks at it.
    /// </summary>
    public static bool MustBeDirect(StormMember first, StormMember second) => CanBeDirect(first, second) && !TakesGuesses(first, second);

    /// <summary>True when two members become direct sooner or later.</summary>
    public static bool CanBeDirect(StormMember first, StormMember second) =>
        AreAtHome(first, second) || NatKinds.CanBeDirect(first.Kind, second.Kind);

    /// <summary>True when one side's port is another for each destination, and the other side filters by port.</summary>
    public static bool TakesGuesses(StormMember first, StormMember second) =>
        !AreAtHome(first, second) && ((IsSymmetric(first) && FiltersPorts(second)) || (FiltersPorts(first) && IsSymmetric(second)));

    private static bool AreAtHome(StormMember first, StormMember second) => first.Host.Parent is { } home && home == second.Host.Parent;

    private static bool IsSymmetric(StormMember member) =>
        NatKinds.Layers(member.Kind).Any(layer => layer.Mapping != EndpointDependence.EndpointIndependent);

    private static bool FiltersPorts(StormMember member) =>
        NatKinds.Layers(member.Kind).Any(layer => layer.Filtering == EndpointDependence.AddressAndPortDependent);

    /// <summary>No wire loses, doubles or holds back anything any more.</summary>
    public void Repair()
    {
        foreach (Site element in Internet.Hosts.Values.Concat<Site>(Nats))
            element.Uplink.Conditions = new WireConditions { Delay = element.Uplink.Up.Conditions.Delay };
    }

    /// <inheritdoc cref="Scene.Note"/>
    public void Note(string text) => _scene.Note(text);

    public void Dispose() => _scene.Dispose();

    /// <summary>Hosts of one local network have perfect wires to their NAT; who is on the internet itself has one like a NAT's.</summary>
    private void Settle(StormMember member, SimulatedNat? nat, NatKind kind)
    {
        member.Kind = kind;
        member.Host.Uplink.Conditions = nat is null ? RandomWire() : WireConditions.Perfect;
    }

    private (SimulatedNat? Nat, NatKind Kind) RandomLan()
    {
        if (_lans.Count > 0 && _random.Next(4) == 0)
            return _lans[_random.Next(_lans.Count)];

        // One in thirty has no way out: it shows that the others do not care.
        NatKind kind = _random.Next(30) == 0 ? NatKind.UdpBlocked : (NatKind)_random.Next((int)NatKind.UdpBlocked);
        IReadOnlyList<NatSettings> layers = NatKinds.Layers(kind);
        if (layers.Count == 0)
            return (null, kind);
        SimulatedNat home = Internet.AddNat($"lan{_lans.Count}", layers[0], layers.Count > 1 ? RandomCarrier(layers[1]) : null);
        if (layers.Count == 1)
            home.Uplink.Conditions = RandomWire();
        _lans.Add((home, kind));
        return (home, kind);
    }

    private SimulatedNat RandomCarrier(NatSettings settings)
    {
        if (_carriers.Count > 0 && _random.Next(3) == 0)
            return _carriers[_random.Next(_carriers.Count)];
        SimulatedNat carrier = Internet.AddNat($"carrier{_carriers.Count}", settings, lan: SimulatedInternet.CarrierLan);
        carrier.Uplink.Conditions = RandomWire();
        _carriers.Add(carrier);
        return carrier;
    }

    private WireConditions RandomWire() => new()
    {
        Delay = TimeSpan.FromMilliseconds(1 + (_random.NextDouble() * 30)),
        Jitter = TimeSpan.FromMilliseconds(_random.NextDouble() * 5),
        Reorders = true,
        Loss = _random.Next(2) * _random.NextDouble() * 0.02,
        Duplication = _random.Next(2) * _random.NextDouble() * 0.02,
        Reordering = _random.Next(2) * _random.NextDouble() * 0.05,
        ReorderDelay = TimeSpan.FromMilliseconds(_random.NextDouble() * 10),
        Mtu = _widths.Next(2) == 0 ? Widest : _widths.Next(Narrowest, Widest),
    };
}
