using System.Security.Cryptography;
using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Data;
using LightTunnel.Membership;
using LightTunnel.Packets;
using LightTunnel.Routing;
using LightTunnel.Timing;
using LightTunnel.Transport;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Control;

/// <summary>The part of a node that sends and takes control frames, pings among them, and asks by these how long a packet may be.</summary>
internal abstract partial class Node
{
    private readonly List<MtuProbe> _mtuProbes = [];

    /// <summary>Seals a control frame and sends it by the link's path; lost when the link has no keys.</summary>
    protected void SendFrame(Link link, ReadOnlySpan<byte> frame)
    {
        Span<byte> datagram = stackalloc byte[DataPlane.LongestControlDatagram + PacketBatch.Headroom];
        if (link.SealCopy(frame, datagram, TunnelOptions.MinimumMtu, out int written) == SealResult.Sealed)
            SendBy(link.Path, datagram[..written]);
    }

    /// <summary>Sends a control frame that no router may cut in pieces, with padding behind it to the length of a certain packet.</summary>
    /// <returns>False when that is too long for this machine's own network.</returns>
    protected bool TrySendWholeFrame(Link link, ReadOnlySpan<byte> frame, int length)
    {
        byte[] packet = new byte[Math.Max(length, frame.Length)];
        frame.CopyTo(packet);
        byte[] datagram = new byte[packet.Length + PacketBatch.Headroom];
        return link.SealCopy(packet, datagram, packet.Length, out int written) != SealResult.Sealed || TrySendWholeBy(link.Path, datagram.AsSpan(0, written));
    }

    /// <summary>Sends a sealed datagram by a path, behind a relay header if it is relayed. What goes to whom may not exist has a budget.</summary>
    /// <param name="path">The path.</param>
    /// <param name="datagram">The datagram.</param>
    /// <param name="isVouched">True when the server sees a member at that address.</param>
    /// <returns>What of this machine's own was in the way; null when nothing was sent.</returns>
    protected SendObstacle? SendBy(in PathAddress path, ReadOnlySpan<byte> datagram, bool isVouched = false)
    {
        if (!path.Endpoint.IsSpecified || IsSilentTowards(path.Endpoint) || (path.IsUnproven && !Unproven.TryTake(path.Endpoint, isVouched)))
            return null;
        if (!path.IsRelayed)
            return Services.Transport.SendOrTell(datagram, path.Handle);

        Span<byte> relayed = stackalloc byte[RelayHeader.Size + datagram.Length];
        new RelayHeader(MemberId, path.RelayedMember).Write(relayed);
        datagram.CopyTo(relayed[RelayHeader.Size..]);
        return Services.Transport.SendOrTell(relayed, path.Handle);
    }

    /// <summary>True for endpoints that nothing may be sent to at present.</summary>
    protected virtual bool IsSilentTowards(in UdpEndpoint endpoint) => false;

    /// <summary>Sends a ping to where the peer was heard from last: only who receives it there can answer it.</summary>
    private void AskWhetherThere(Peer peer, Link link)
    {
        UdpEndpoint endpoint = link.Path.Endpoint;
        if (!link.HasSession)
            return;
        if (peer.Challenge is not { } challenge || challenge.Endpoint.MappedAddress != endpoint.MappedAddress)
            challenge = (BitConverter.ToUInt32(RandomNumberGenerator.GetBytes(sizeof(uint))), endpoint);
        peer.Challenge = challenge;
        SendFrame(link, ProbeReport.Ping(challenge.Transaction, peer.Monitor));
    }

    private bool TrySendWholeBy(in PathAddress path, ReadOnlySpan<byte> datagram)
    {
        if (!path.Endpoint.IsSpecified || IsSilentTowards(path.Endpoint) || (path.IsUnproven && !Unproven.TryTake(path.Endpoint)))
            return true; // Lost, as any other.
        byte[] whole = new byte[(path.IsRelayed ? RelayHeader.Size : 0) + datagram.Length];
        if (path.IsRelayed)
            new RelayHeader(MemberId, path.RelayedMember).Write(whole);
        datagram.CopyTo(whole.AsSpan(whole.Length - datagram.Length));
        return Services.Transport.TrySendWhole(whole, path.Handle);
    }

    /// <summary>Asks by the path in use how long packets may be; returns when to call again.</summary>
    private Timestamp MeasureMtu(Peer peer, Link link, Timestamp now)
    {
        _mtuProbes.Clear();
        Timestamp next = peer.PathMtu.Run(link.Path, now, peer.RoundTrip, peer.LastTraffic, _mtuProbes);
        foreach (MtuProbe probe in _mtuProbes)
        {
            if (TrySendWholeFrame(link, ProbeReport.Ping(probe.Transaction, peer.Monitor), probe.Size))
                continue;
            peer.PathMtu.OnTooLong(probe);
            next = now;
        }

        return next;
    }

    private void HandleFrame(Link link, ReadOnlySpan<byte> content, in PathAddress source)
    {
        if (link.Owner is null)
            Links.RunTimers(); // Its first message under new keys: the link tells of itself there.
        if (link.IsRemoved || link.Owner is not Peer peer || !ControlFrame.TryRead(content, out ControlFrame frame))
            return;

        if (peer.Frames?.TakeRefused() is > 0 and var refused)
        {
            Log.Security(
                SecurityEvent.Flood, peer.Key.ToString(),
                $"{(peer.Name.Length == 0 ? peer.Key.ToString() : peer.Name)} at {link.Path.Endpoint} sends more control messages than are worked off: {refused:N0} were dropped");
        }

        switch (frame.Kind)
        {
            case ControlFrameKind.Ping:
                ProbeReport.Read(frame.Body, peer);
                byte[] pong = ProbeReport.Pong(frame, Time.GetUtcNow(), peer.PathMtu.Measured);
                if (pong.Length < PathMtu.Floor)
                    SendFrame(link, pong);
                else
                    TrySendWholeFrame(link, pong, pong.Length);
                if (link.Path.IsUnproven)
                    AskWhetherThere(peer, link); // The last time it was lost, or was never sent.
                OnPinged(peer);
                break;
            case ControlFrameKind.Pong:
                Timestamp now = Time.Now();
                if (peer.Challenge is { } challenge && challenge.Transaction == frame.Number)
                {
                    peer.Challenge = null;
                    link.Prove(challenge.Endpoint);
                    Unproven.Proven.Add(challenge.Endpoint);
                }
                else if (PeerMtu.IsTransaction(frame.Number))
                {
                    peer.PathMtu.OnAnswer(frame.Number, ProbeReport.ReadMtu(frame.Body));
                    Schedule(peer, now);
                }
                else if (!_tests.TryTakePong(frame, now) && peer.Monitor.OnAnswer(frame.Number, now))
                {
                    OnAnswered(peer);
                }

                break;
            case ControlFrameKind.Ports:
                TakePorts(link, frame, source);
                break;
            case ControlFrameKind.PortsTaken:
                OnPortsTaken(peer, link, frame);
                break;
            default:
                OnFrame(peer, frame);
                break;
        }
    }
}
