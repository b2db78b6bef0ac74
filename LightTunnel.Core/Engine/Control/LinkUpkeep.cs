using System.Security.Cryptography;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Data;
using LightTunnel.Membership;
using LightTunnel.Routing;
using LightTunnel.Timing;
using LightTunnel.Transport;
using LightTunnel.Traversal;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Control;

/// <summary>What a control frame was.</summary>
internal enum FrameOutcome : byte
{
    /// <summary>It is dealt with.</summary>
    Done,

    /// <summary>It is dealt with, and the peer's timers should run.</summary>
    Due,

    /// <summary>The peer asked whether this node is there, and was answered.</summary>
    Pinged,

    /// <summary>The peer answered: it is there.</summary>
    Answered,

    /// <summary>It is of a conversation.</summary>
    Unknown,
}

/// <summary>
/// What every link needs, whoever is at its far end: pings and their answers, the question whether somebody is where it was suddenly heard
/// from, the MTU of the path, and stripes. Owned by the control loop.
/// </summary>
internal sealed class LinkUpkeep(
    NodeServices services, DataPlane plane, ControlSender sender, TurnOutputs outputs, UnprovenBudget unproven, NodeTests tests)
{
    /// <summary>A link that carried nothing for this long is not probed any more.</summary>
    private static readonly TimeSpan AsleepAfter = TimeSpan.FromSeconds(60);

    /// <summary>
    /// A pong says by its id alone what it answers: a <see cref="PathMonitor"/> counts from 1, tests from here on, questions for the
    /// MTU from 0x4000_0000 on (<see cref="PeerMtu.IsTransaction"/>), and a challenge, which nobody may guess, is any number with
    /// the highest bit.
    /// </summary>
    private const uint FirstTestTransaction = 0x2000_0000, Challenge = 0x8000_0000;

    private readonly StripeUpkeep _stripes = new(services, plane, sender, outputs);
    private readonly List<MtuProbe> _mtuProbes = [];
    private uint _testPings;

    /// <summary>True while the peer's link carries data now and then.</summary>
    public static bool IsAwake(Peer peer, Timestamp now) => peer.Online && now - peer.LastTraffic <= AsleepAfter;

    /// <summary>Takes note of the machine's own addresses.</summary>
    public void TakeOwnAddresses(IReadOnlyList<LocalAddressInfo> addresses) => _stripes.TakeOwnAddresses(addresses);

    /// <summary>Does what is due for a link that has keys; returns when to call again.</summary>
    /// <param name="peer">Its far end.</param>
    /// <param name="link">The link.</param>
    /// <param name="isProbed">True when the peer is to be asked now and then whether it is there.</param>
    /// <param name="now">The present.</param>
    /// <param name="missed">True when an answer did not come in time.</param>
    public Timestamp Run(Peer peer, Link link, bool isProbed, Timestamp now, out bool missed)
    {
        missed = false;
        Timestamp next = Timestamp.Earliest(MeasureMtu(peer, link, now), _stripes.Run(peer, link, now));
        if (!isProbed)
            return next;
        int misses = peer.Monitor.Misses;
        if (peer.Monitor.RunTimers(now, peer.LastTraffic, out uint transaction, out Timestamp nextProbe))
            sender.Frame(link, ProbeReport.Ping(transaction, peer.Monitor));
        missed = peer.Monitor.Misses > misses;
        return Timestamp.Earliest(next, nextProbe);
    }

    /// <summary>Takes a control frame that every link knows.</summary>
    public FrameOutcome Take(Peer peer, Link link, in ControlFrame frame, in PathAddress source)
    {
        if (peer.Frames?.TakeRefused() is > 0 and var refused)
        {
            services.Log.Security(
                SecurityEvent.Flood, peer.Key.ToString(),
                $"{(peer.Name.Length == 0 ? peer.Key.ToString() : peer.Name)} at {link.Path.Endpoint} sends more control messages than "
                    + "are worked off: "
                + $"{refused:N0} were dropped");
        }

        switch (frame.Kind)
        {
            case ControlFrameKind.Ping:
                Answer(peer, link, frame);
                return FrameOutcome.Pinged;
            case ControlFrameKind.Pong:
                return TakePong(peer, link, frame);
            case ControlFrameKind.Ports:
                _stripes.TakePorts(link, frame, source);
                return FrameOutcome.Done;
            case ControlFrameKind.PortsTaken:
                return _stripes.OnPortsTaken(peer, link, frame) ? FrameOutcome.Due : FrameOutcome.Done;
            default:
                return FrameOutcome.Unknown;
        }
    }

    /// <summary>
    /// Sends a ping to where the peer was heard from last: only who receives it there can answer it. A plain WireGuard client knows no
    /// pings, but answers handshakes.
    /// </summary>
    public void AskWhetherThere(Peer peer, Link link)
    {
        if (peer.IsPlain)
        {
            link.RequestHandshake();
            return;
        }

        UdpEndpoint endpoint = link.Path.Endpoint;
        if (!link.HasSession)
            return;
        if (peer.Challenge is not { } challenge || challenge.Endpoint.MappedAddress != endpoint.MappedAddress)
            challenge = (Challenge | BitConverter.ToUInt32(RandomNumberGenerator.GetBytes(sizeof(uint))), endpoint);
        peer.Challenge = challenge;
        sender.Frame(link, ProbeReport.Ping(challenge.Transaction, peer.Monitor));
    }

    /// <summary>A datagram was too long for this machine's own network; true when the peer's timers should run.</summary>
    public bool OnTooLong(Peer peer, uint transaction)
    {
        if (!PeerMtu.IsTransaction(transaction))
        {
            tests.OnTooLong(transaction);
            return false;
        }

        peer.PathMtu.OnTooLong(transaction);
        return true;
    }

    /// <summary>Sends a ping of a test.</summary>
    /// <returns>What the pong is known by.</returns>
    public uint SendTestPing(Peer peer)
    {
        uint transaction = FirstTestTransaction | ++_testPings;
        if (peer.Link is { } link)
            sender.Frame(link, ProbeReport.Ping(transaction, peer.Monitor));
        return transaction;
    }

    /// <summary>Sends a ping of a test that nobody on its way may cut in pieces.</summary>
    /// <returns>What the pong is known by.</returns>
    public uint SendLongTestPing(Peer peer, int length)
    {
        uint transaction = FirstTestTransaction | ++_testPings;
        if (peer.Link is { } link)
        {
            sender.WholeFrame(
                link, ProbeReport.Ping(transaction, peer.Monitor, Math.Min(length, DataPlane.LongestControlDatagram)), length, peer,
                transaction);
        }
        return transaction;
    }

    private void Answer(Peer peer, Link link, in ControlFrame ping)
    {
        ProbeReport.Read(ping.Body, peer);
        byte[] pong = ProbeReport.Pong(ping, services.Time.GetUtcNow(), peer.PathMtu.Measured);
        if (pong.Length < PathMtu.Floor)
            sender.Frame(link, pong);
        else
            sender.WholeFrame(link, pong, pong.Length);
        if (link.Path.IsUnproven)
            AskWhetherThere(peer, link); // The last time it was lost, or was never sent.
    }

    private FrameOutcome TakePong(Peer peer, Link link, in ControlFrame pong)
    {
        Timestamp now = services.Time.Now();
        if (peer.Challenge is { } challenge && challenge.Transaction == pong.Number)
        {
            peer.Challenge = null;
            link.Prove(challenge.Endpoint);
            unproven.Proven.Add(challenge.Endpoint);
            return FrameOutcome.Done;
        }

        if (PeerMtu.IsTransaction(pong.Number))
        {
            peer.PathMtu.OnAnswer(pong.Number, ProbeReport.ReadMtu(pong.Body));
            return FrameOutcome.Due;
        }

        return !tests.TryTakePong(pong, now) && peer.Monitor.OnAnswer(pong.Number, now) ? FrameOutcome.Answered : FrameOutcome.Done;
    }

    /// <summary>Asks by the path in use how long packets may be; returns when to call again.</summary>
    private Timestamp MeasureMtu(Peer peer, Link link, Timestamp now)
    {
        _mtuProbes.Clear();
        Timestamp next = peer.PathMtu.Run(link.Path, now, peer.RoundTrip, peer.LastTraffic, _mtuProbes);
        foreach (MtuProbe probe in _mtuProbes)
            sender.WholeFrame(link, ProbeReport.Ping(probe.Transaction, peer.Monitor), probe.Size, peer, probe.Transaction);
        return next;
    }
}
