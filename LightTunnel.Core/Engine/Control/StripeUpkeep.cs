using LightTunnel.Addressing;
using LightTunnel.Engine.Data;
using LightTunnel.Membership;
using LightTunnel.Timing;
using LightTunnel.Traversal;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Control;

/// <summary>
/// Spreads the data to each peer over several source ports, so that the threads of both ends share it. Owned by the control loop.
/// </summary>
/// <remarks>
/// <para>
/// The kernel keeps a sender on one of the sockets that share a port, so all that one node sends to another would be one thread's work
/// there, however many it has. So between two nodes that both have several queues, each queue of the sender has a source port of its own
/// while there is data, a <em>stripe</em>. The path in use and its stripes are one immutable object in the <see cref="Link"/>: whatever
/// changes the path ends its stripes with the same write. With one queue on either side none of this exists, nor on the portable path,
/// which has one.
/// </para>
/// <para>
/// Which packet takes which stripe is decided by the queue that the system hands it over by: the system keeps a flow on one queue, so a
/// flow has one thread that seals it, one port, and one thread that opens it, which keeps its order. No thread shares a socket with
/// another, and nothing is looked at per packet. Queue 0 sends from the node's own port as ever. When stripes come into use or go, a flow
/// changes from one thread to another, and packets may overtake each other once. Which thread receives which is
/// <see cref="Transport.SourceSpread"/>'s and <see cref="Transport.StripePorts"/>'.
/// </para>
/// <para>
/// Stripes are for a direct path that nobody translates: the other side tells where it sees this node, and unless that is an address and
/// port of this machine's own there are none, as a NAT would have to keep a mapping for each.
/// </para>
/// <para>
/// A stripe never moves the path. Authentic data from a port that the peer told of says nothing of where it is: no roaming, no doubt, no
/// challenge. From any other port, or a handshake from any port, it is the peer that moved, and the handshake ends what was told. So ports
/// bind nobody but who told them, for its own link; for each frame that tells there is one answer, by the path in use. A new process with
/// the same key knows of no ports: until it is told, with the first message under new keys, it answers wherever it heard its peer last, and
/// that is received too.
/// </para>
/// <para>
/// What it costs: a node opens one socket for each queue but the first, once, for all peers together. A peer has at most 15 ports, and
/// while it has them a replay window of 65,536 messages (8 KB) in place of 8,192, as one thread may be far behind the others.
/// </para>
/// </remarks>
internal sealed class StripeUpkeep(NodeServices services, DataPlane plane, ControlSender sender, TurnOutputs outputs)
{
    /// <summary>Without data for so long there are no stripes.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(3);

    private readonly List<StripeQuestion> _questions = [];
    private readonly int _outerPort = services.Transport.LocalPort;
    private IReadOnlyList<int>? _ports;
    private bool _isOpening;
    private HashSet<UInt128> _ownAddresses = [];

    /// <summary>Takes note of the machine's own addresses: who is seen at one of them is not translated.</summary>
    public void TakeOwnAddresses(IReadOnlyList<LocalAddressInfo> addresses) =>
        _ownAddresses = [.. addresses.Select(own => new UdpEndpoint(own.Address.ToIPAddress(), 0).MappedAddress)];

    /// <summary>Asks by which stripes the peer is reached, and has those used; returns when to call again.</summary>
    public Timestamp Run(Peer peer, Link link, Timestamp now)
    {
        // Who answers pings, or sends them, is no plain WireGuard peer, which knows nothing of control frames.
        if (services.Transport.Queues == 1 || peer.RoundTrip is null || peer.LastTraffic == Timestamp.NotYet)
            return Timestamp.Never;
        if (now - peer.LastTraffic > Pause)
        {
            peer.Stripes?.Restart(now);
            link.UseStripes(link.Path, 0);
            return Timestamp.Never;
        }

        PeerStripes stripes = peer.Stripes ??= new PeerStripes(services.Jitter, _outerPort, Open);
        Keep(stripes, link, now);
        uint before = stripes.Proven;
        _questions.Clear();
        Timestamp next = stripes.Run(now, link.Path, link.SentPackets, _questions);
        foreach (StripeQuestion question in _questions)
            Ask(peer, link, question);
        Use(peer, stripes, link, before);
        return Timestamp.Earliest(next, (peer.LastTraffic + Pause).Following);
    }

    /// <summary>The peer has answered, by one of its stripes or the path in use; true when its timers should run.</summary>
    public bool OnPortsTaken(Peer peer, Link link, in ControlFrame frame)
    {
        if (peer.Stripes is not { } stripes || !StripeFrames.TryReadTaken(frame.Body, out UdpEndpoint seen, out int queues))
            return false;
        Timestamp now = services.Time.Now();
        Keep(stripes, link, now);
        uint before = stripes.Proven;
        stripes.OnAnswer(frame.Number, seen, _ownAddresses.Contains(seen.MappedAddress), queues, now);
        Use(peer, stripes, link, before);
        return true;
    }

    /// <summary>
    /// The peer's datagrams come from these ports too, which its link takes from now on. It is answered by the path in use, as anything
    /// else: nothing is sent to a port because somebody named it.
    /// </summary>
    public void TakePorts(Link link, in ControlFrame frame, in PathAddress source)
    {
        if (!StripeFrames.TryReadPorts(frame.Body, out ushort[] ports))
            return;
        if (services.Transport.Queues > 1)
            link.TakePeerPorts(ports);
        sender.Frame(link, StripeFrames.Taken(frame.Number, source, services.Transport.Queues));
    }

    private IReadOnlyList<int>? Open()
    {
        // What the system refused once it may give now.
        if (!_isOpening && (_ports is null || _ports.Skip(1).Contains(0)))
        {
            _isOpening = true;
            outputs.OpenStripes(ports =>
            {
                _isOpening = false;
                _ports = ports;
                plane.PublishOuterPorts([_outerPort, .. ports.Skip(1)]);
            });
        }

        return _ports;
    }

    /// <summary>Each stripe is asked by with a packet as long as those that it is to carry.</summary>
    private void Ask(Peer peer, Link link, in StripeQuestion question)
    {
        byte[] frame = StripeFrames.Ports(question.Number, _ports!);
        if (question.Queue == 0)
            sender.Frame(link, frame);
        else
            sender.PaddedFrame(link, link.Path.By(LocalEnd.Stripe(question.Queue)), frame, peer.Mtu);
    }

    /// <summary>Somebody has ended the use of stripes, as the path was another one: what was proven before says nothing of it.</summary>
    private static void Keep(PeerStripes stripes, Link link, Timestamp now)
    {
        if (stripes.Proven != link.Stripes)
            stripes.Restart(now);
    }

    private void Use(Peer peer, PeerStripes stripes, Link link, uint before)
    {
        uint proven = stripes.Proven;
        link.UseStripes(stripes.Path, proven);
        if (proven != before)
            services.Log.Debug("Data to {Peer} leaves by {Count} further source ports", peer.Name, uint.PopCount(proven));
    }
}
