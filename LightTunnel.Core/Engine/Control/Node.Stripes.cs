using LightTunnel.Addressing;
using LightTunnel.Membership;
using LightTunnel.Packets;
using LightTunnel.Timing;
using LightTunnel.Traversal;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Control;

/// <summary>The part of a node that spreads the data to one peer over several source ports, so that both ends' threads share it ("Two nodes, many cores" in docs/architecture.md).</summary>
internal abstract partial class Node
{
    /// <summary>Without data for so long there are no stripes.</summary>
    private static readonly TimeSpan StripesPause = TimeSpan.FromSeconds(3);

    private readonly List<StripeQuestion> _stripeQuestions = [];
    private IReadOnlyList<int> _stripePorts = [];
    private HashSet<UInt128> _ownAddresses = [];

    /// <summary>Takes note of the machine's own addresses.</summary>
    protected void TakeOwnAddresses(IReadOnlyList<LocalAddressInfo> addresses)
    {
        Unproven.Neighbourhood = HostCandidates.Networks(addresses);
        _ownAddresses = [.. addresses.Select(own => new UdpEndpoint(own.Address.ToIPAddress(), 0).MappedAddress)];
    }

    private IReadOnlyList<int> OpenStripes()
    {
        _stripePorts = Services.Transport.OpenStripes();
        Plane.OuterPorts = [OuterPort, .. _stripePorts.Skip(1)];
        return _stripePorts;
    }

    /// <summary>Asks by which stripes the peer is reached, and has those used; returns when to call again.</summary>
    private Timestamp RunStripes(Peer peer, Link link, Timestamp now)
    {
        // Who answers pings, or sends them, is no plain WireGuard peer, which knows nothing of control frames.
        if (Services.Transport.Queues == 1 || peer.RoundTrip is null || peer.LastTraffic == Timestamp.NotYet)
            return Timestamp.Never;
        if (now - peer.LastTraffic > StripesPause)
        {
            peer.Stripes?.Restart(now);
            link.UseStripes(link.Path, 0);
            return Timestamp.Never;
        }

        PeerStripes stripes = peer.Stripes ??= new PeerStripes(Services.Jitter, OuterPort, OpenStripes);
        KeepStripes(stripes, link, now);
        uint before = stripes.Proven;
        _stripeQuestions.Clear();
        Timestamp next = stripes.Run(now, link.Path, link.SentPackets, _stripeQuestions);
        foreach (StripeQuestion question in _stripeQuestions)
            Ask(peer, link, question);
        UseStripes(peer, stripes, link, before);
        return Timestamp.Earliest(next, (peer.LastTraffic + StripesPause).Following);
    }

    /// <summary>Each stripe is asked by with a packet as long as those that it is to carry.</summary>
    private void Ask(Peer peer, Link link, in StripeQuestion question)
    {
        byte[] frame = StripeFrames.Ports(question.Number, _stripePorts);
        if (question.Queue == 0)
        {
            SendFrame(link, frame);
            return;
        }

        byte[] packet = new byte[Math.Max(peer.Mtu, frame.Length)];
        frame.CopyTo(packet, 0);
        byte[] datagram = new byte[packet.Length + PacketBatch.Headroom];
        if (link.SealCopy(packet, datagram, packet.Length, out int written) == SealResult.Sealed)
            SendBy(link.Path.By(LocalEnd.Stripe(question.Queue)), datagram.AsSpan(0, written));
    }

    private void OnPortsTaken(Peer peer, Link link, in ControlFrame frame)
    {
        if (peer.Stripes is not { } stripes || !StripeFrames.TryReadTaken(frame.Body, out UdpEndpoint seen, out int queues))
            return;
        Timestamp now = Time.Now();
        KeepStripes(stripes, link, now);
        uint before = stripes.Proven;
        stripes.OnAnswer(frame.Number, seen, _ownAddresses.Contains(seen.MappedAddress), queues, now);
        UseStripes(peer, stripes, link, before);
        Schedule(peer, now);
    }

    /// <summary>
    /// The peer's datagrams come from these ports too, which its link takes from now on. It is answered by the path in use, as anything else: nothing is sent to a port
    /// because somebody named it.
    /// </summary>
    private void TakePorts(Link link, in ControlFrame frame, in PathAddress source)
    {
        if (!StripeFrames.TryReadPorts(frame.Body, out ushort[] ports))
            return;
        if (Services.Transport.Queues > 1)
            link.TakePeerPorts(ports);
        SendFrame(link, StripeFrames.Taken(frame.Number, source, Services.Transport.Queues));
    }

    /// <summary>Somebody has ended the use of stripes, as the path was another one: what was proven before says nothing of it.</summary>
    private static void KeepStripes(PeerStripes stripes, Link link, Timestamp now)
    {
        if (stripes.Proven != link.Stripes)
            stripes.Restart(now);
    }

    private void UseStripes(Peer peer, PeerStripes stripes, Link link, uint before)
    {
        uint proven = stripes.Proven;
        link.UseStripes(stripes.Path, proven);
        if (proven != before)
            Log.Debug("Data to {Peer} leaves by {Count} further source ports", peer.Name, uint.PopCount(proven));
    }
}
