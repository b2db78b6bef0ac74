using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Timing;
using LightTunnel.WireGuard;
using Microsoft.Extensions.Time.Testing;

namespace LightTunnel.Tests.WireGuard;

/// <summary>A datagram under way between two nodes of a <see cref="LinkWorld"/>.</summary>
internal sealed record Datagram(PathAddress From, PathAddress To, byte[] Bytes)
{
    public byte Type => Bytes[0];
}

/// <summary>
/// Nodes, a network in memory and a clock that only moves when told to. One thread; nothing is lost unless <see cref="Filter"/> says so.
/// </summary>
internal sealed class LinkWorld : IDisposable
{
    private readonly List<LinkNode> _nodes = [];
    private readonly List<Datagram> _underWay = [];
    private readonly List<Datagram> _log = [];

    public FakeTimeProvider Time { get; } = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));

    /// <summary>Sent and not yet delivered.</summary>
    public List<Datagram> UnderWay
    {
        get
        {
            TakeOutputs();
            return _underWay;
        }
    }

    /// <summary>Everything ever sent.</summary>
    public List<Datagram> Log
    {
        get
        {
            TakeOutputs();
            return _log;
        }
    }

    /// <summary>False drops the datagram.</summary>
    public Func<Datagram, bool> Filter { get; set; } = _ => true;

    /// <summary>A node, which answers in both suites unless told otherwise.</summary>
    public LinkNode AddNode(PrivateKey? identity = null, CipherSuite[]? speaks = null)
    {
        var node = new LinkNode(this, identity ?? PrivateKey.Generate(), Endpoint(_nodes.Count + 1), speaks);
        _nodes.Add(node);
        return node;
    }

    public LinkNode NodeAt(PathAddress address) => _nodes.Single(n => n.Address == address);

    /// <summary>Two nodes that know each other.</summary>
    public (LinkNode A, LinkNode B) AddPair(PresharedKey? keyOfA = null, PresharedKey? keyOfB = null)
    {
        LinkNode a = AddNode();
        LinkNode b = AddNode();
        a.Table.Add(b.Key, PresharedKeys.Of(keyOfA)).Path = b.Address;
        b.Table.Add(a.Key, PresharedKeys.Of(keyOfB)).Path = a.Address;
        return (a, b);
    }

    /// <summary>Two nodes with a session that A initiated.</summary>
    public (LinkNode A, LinkNode B) AddConnectedPair(CipherSuite suite = CipherSuite.WireGuard)
    {
        (LinkNode a, LinkNode b) = AddPair();
        a.Suite = b.Suite = suite;
        a.LinkTo(b).RequestHandshake();
        Deliver();
        a.Forget();
        b.Forget();
        return (a, b);
    }

    public static PathAddress Endpoint(int number) => new(new UdpEndpoint(IPAddress.Parse("192.0.2." + number), 1000 + number));

    public void Send(PathAddress from, PathAddress to, ReadOnlySpan<byte> bytes)
    {
        var datagram = new Datagram(from, to, bytes.ToArray());
        _log.Add(datagram);
        if (Filter(datagram))
            _underWay.Add(datagram);
    }

    /// <summary>Delivers until the network is silent.</summary>
    public void Deliver()
    {
        RunTimers();
        while (UnderWay.Count != 0)
        {
            Datagram next = UnderWay[0];
            UnderWay.RemoveAt(0);
            Deliver(next);
        }
    }

    public void Deliver(Datagram datagram)
    {
        _nodes.Find(n => n.Address == datagram.To)?.Receive([.. datagram.Bytes], datagram.From);
        RunTimers();
    }

    /// <summary>Moves the clock from deadline to deadline, delivering everything at each.</summary>
    public void Advance(TimeSpan duration)
    {
        Deliver();
        Timestamp end = Time.Now() + duration;
        while (true)
        {
            Timestamp next = Timestamp.Earliest(RunTimers(), end);
            Timestamp now = Time.Now();
            if (next > now)
                Time.Advance(next - now);
            Deliver();
            if (next >= end)
                return;
        }
    }

    public void Advance(double seconds) => Advance(TimeSpan.FromSeconds(seconds));

    public Timestamp RunTimers()
    {
        Timestamp next = Timestamp.Never;
        foreach (LinkNode node in _nodes)
            next = Timestamp.Earliest(next, node.RunTimers());
        return next;
    }

    public void Dispose()
    {
        foreach (LinkNode node in _nodes)
            node.Dispose();
    }

    private void TakeOutputs()
    {
        foreach (LinkNode node in _nodes)
            node.TakeOutputs();
    }
}

/// <summary>A node that keeps what it could not seal, and writes down what its links tell it.</summary>
internal sealed class LinkNode : IDisposable
{
    public const int Mtu = 1400;

    private readonly LinkWorld _world;
    private readonly PrivateKey _identity;
    private readonly Queue<byte[]> _staged = new();
    private int _established;
    private int _lost;
    private int _doubted;

    public LinkNode(LinkWorld world, PrivateKey identity, PathAddress address, CipherSuite[]? speaks)
    {
        _world = world;
        _identity = identity;
        Address = address;
        Table = speaks is null
            ? new LinkTable(identity, world.Time, () => Wakes++, new Random(1))
            : new LinkTable(identity, world.Time, () => Wakes++, new Random(1)) { Suites = speaks };
    }

    public LinkTable Table { get; }

    public PathAddress Address { get; set; }

    public PublicKey Key => _identity.PublicKey;

    public List<byte[]> Received { get; } = [];

    public List<OpenResult> Results { get; } = [];

    public int Established
    {
        get
        {
            TakeOutputs();
            return _established;
        }
    }

    public int Lost
    {
        get
        {
            TakeOutputs();
            return _lost;
        }
    }

    public int Wakes { get; private set; }

    /// <summary>The suite of this node's initiations.</summary>
    public CipherSuite Suite
    {
        set
        {
            Table.PreferredSuite = value;
            foreach (Link link in Table.Links)
                link.PeerPrefers = value;
        }
    }

    /// <summary>Strangers are admitted with this key; null for none at all.</summary>
    public (bool Admit, PresharedKey? Key) Strangers { get; set; }

    public Link LinkTo(LinkNode other) => Table.Find(other.Key)!;

    public SealResult Send(LinkNode other, params byte[] packet) => Send(LinkTo(other), packet);

    public SealResult Send(Link link, byte[] packet)
    {
        byte[] datagram = new byte[packet.Length + 64];
        SealResult result = link.SealCopy(packet, datagram, Mtu, out int written);
        if (result == SealResult.Sealed)
        {
            _world.Send(Address, link.Path, datagram.AsSpan(0, written));
            return result;
        }

        _staged.Enqueue(packet);
        link.RequestHandshake();
        return result;
    }

    public void Receive(byte[] datagram, PathAddress source)
    {
        if (datagram[0] != Messages.TransportType)
        {
            Handle(datagram, source);
            return;
        }

        OpenResult result = Table.Open(datagram, source, out _, out int offset, out int length);
        Results.Add(result);
        if (result == OpenResult.Packet)
            Received.Add([.. datagram.AsSpan(offset, length)]);
    }

    /// <summary>As <see cref="LinkTable.HandleHandshake"/>, with <see cref="Strangers"/> admitted.</summary>
    public void Handle(ReadOnlySpan<byte> datagram, in PathAddress source) => Table.HandleHandshake(
        datagram, source, (in PublicKey _, in PathAddress _, out LinkKeys keys) =>
        {
            keys = new LinkKeys(PresharedKeys.Of(Strangers.Key), 0);
            return Strangers.Admit;
        });

    /// <summary>As <see cref="LinkTable.RunTimers"/>, and all that comes of it.</summary>
    public Timestamp RunTimers()
    {
        Timestamp next;
        do
            next = Table.RunTimers();
        while (TakeOutputs());
        return next;
    }

    /// <summary>Does what the links want done; false when there was nothing.</summary>
    public bool TakeOutputs()
    {
        bool any = false;
        while (Table.TryTakeOutput(out LinkOutput output))
        {
            any = true;
            switch (output.Kind)
            {
                case LinkOutputKind.Message:
                    _world.Send(Address, output.Link!.Path, output.Datagram);
                    break;
                case LinkOutputKind.Reply:
                    _world.Send(Address, output.Destination, output.Datagram);
                    break;
                case LinkOutputKind.SessionEstablished:
                    _established++;
                    while (_staged.TryDequeue(out byte[]? packet))
                        Send(output.Link!, packet);
                    output.Link!.ConfirmKeys();
                    break;
                case LinkOutputKind.SessionLost:
                    _lost++;
                    break;
                case LinkOutputKind.PathDoubted:
                    _doubted++;
                    break;
            }
        }

        return any;
    }

    public void Forget()
    {
        TakeOutputs();
        Received.Clear();
        Results.Clear();
        _established = 0;
        _lost = 0;
        Wakes = 0;
        _world.Log.Clear();
    }

    public void Dispose()
    {
        Table.Dispose();
        _identity.Dispose();
    }

    /// <summary>How often a link's path came to lead to an address at which nobody had shown to be.</summary>
    public int Doubted
    {
        get
        {
            TakeOutputs();
            return _doubted;
        }
    }
}
