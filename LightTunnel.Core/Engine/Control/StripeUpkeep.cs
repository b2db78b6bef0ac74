using LightTunnel.Addressing;
using LightTunnel.Engine.Data;
using LightTunnel.Membership;
using LightTunnel.Timing;
using LightTunnel.Traversal;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Control;

/// <summary>
/// Spreads the data to each peer over several source ports, so that both ends' threads share it ("Two nodes, many cores" in docs/architecture.md). Owned by the
/// control loop.
/// </summary>
internal sealed class StripeUpkeep(NodeServices services, DataPlane plane, ControlSender sender)
{
    /// <summary>Without data for so long there are no stripes.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(3);

    private readonly List<StripeQuestion> _questions = [];
    private readonly int _outerPort = services.Transport.LocalPort;
    private IReadOnlyList<int> _ports = [];
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
    /// The peer's datagrams come from these ports too, which its link takes from now on. It is answered by the path in use, as anything else: nothing is
    /// sent to a port because somebody named it.
    /// </summary>
    public void TakePorts(Link link, in ControlFrame frame, in PathAddress source)
    {
        if (!StripeFrames.TryReadPorts(frame.Body, out ushort[] ports))
            return;
        if (services.Transport.Queues > 1)
            link.TakePeerPorts(ports);
        sender.Frame(link, StripeFrames.Taken(frame.Number, source, services.Transport.Queues));
    }

    private IReadOnlyList<int> Open()
    {
        _ports = services.Transport.OpenStripes();
        plane.OuterPorts = [_outerPort, .. _ports.Skip(1)];
        return _ports;
    }

    /// <summary>Each stripe is asked by with a packet as long as those that it is to carry.</summary>
    private void Ask(Peer peer, Link link, in StripeQuestion question)
    {
        byte[] frame = StripeFrames.Ports(question.Number, _ports);
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
