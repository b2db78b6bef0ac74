using LightTunnel.Addressing;
using LightTunnel.Packets;
using LightTunnel.Timing;
using LightTunnel.WireGuard;

namespace LightTunnel.Traversal;

/// <summary>
/// The probes between this node and one other: seals ours with a rising sequence number, opens the other's each once. Owned by
/// the control loop.
/// </summary>
internal sealed class ProbeChannel : IDisposable
{
    private readonly ProbeKeys _keys;
    private readonly ReplayWindow _window = new();
    private ulong _sequence;

    /// <param name="keys">The pair's keys; the channel disposes of them.</param>
    /// <param name="ownMemberId">What this node is called in its probes.</param>
    /// <param name="now">
    /// Its microseconds since 1970 are the first sequence number: after a restart it is above all earlier ones, as nobody sends a million
    /// probes per second. Never earlier than one that was given before, also where the clock was set back.
    /// </param>
    public ProbeChannel(ProbeKeys keys, uint ownMemberId, DateTimeOffset now)
    {
        _keys = keys;
        OwnMemberId = ownMemberId;
        _sequence = (ulong)Math.Max(0, (now - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond);
    }

    /// <summary>What this node is called in its probes; changes when the server gives another id.</summary>
    public uint OwnMemberId { get; set; }

    /// <summary>The newest of the network's keys that the other node is known to have, by its number.</summary>
    public int PeerKeyNumber
    {
        get => _keys.PeerNumber;
        set => _keys.PeerNumber = value;
    }

    /// <summary>Writes a probe, <see cref="ProbeCodec.Size"/> bytes.</summary>
    public void SealProbe(uint transaction, ProbeFlags flags, Span<byte> datagram) =>
        ProbeCodec.Seal(_keys.Sending, new Probe(false, OwnMemberId, ++_sequence, transaction, flags, default), datagram);

    /// <summary>Writes the answer to a probe, <see cref="ProbeCodec.Size"/> bytes.</summary>
    public void SealAnswer(in Probe probe, in UdpEndpoint seenFrom, ProbeFlags flags, Span<byte> datagram) =>
        ProbeCodec.Seal(_keys.Sending, new Probe(true, OwnMemberId, ++_sequence, probe.Transaction, flags, seenFrom), datagram);

    /// <summary>Opens a probe or answer of the other node; false for a forgery or one that came before.</summary>
    public bool TryOpen(ReadOnlySpan<byte> datagram, out Probe probe)
    {
        probe = default;
        for (int i = 0; i < _keys.Count; i++)
        {
            if (!ProbeCodec.TryOpen(_keys[i], datagram, out probe))
                continue;
            if (!_window.TryAccept(probe.Sequence))
                return false;
            _keys.NoteShown(i);
            return true;
        }

        return false;
    }

    /// <summary>Zeroes the keys.</summary>
    public void Dispose() => _keys.Dispose();
}

/// <summary>
/// The server's side of a member's probes: answers each once, from where it came to or, when that is asked for, from elsewhere. A server
/// that has no other port answers from the same one, by which the member knows.
/// </summary>
internal sealed class ProbeResponder(ProbeChannel channel, TimeProvider time) : IDisposable
{
    private readonly RateLimiter _limiter = new(time, TimeSpan.FromMilliseconds(20), burst: 100);

    /// <summary>Takes a member's probe.</summary>
    /// <param name="datagram">The bytes.</param>
    /// <param name="from">Where they came from, and where the answer goes.</param>
    /// <param name="now">The present.</param>
    /// <param name="answer">Receives the answer, <see cref="ProbeCodec.Size"/> bytes.</param>
    /// <param name="fromElsewhere">Whether it is to be sent from the other ports.</param>
    /// <returns>True when there is an answer to send.</returns>
    public bool TryAnswer(ReadOnlySpan<byte> datagram, in UdpEndpoint from, Timestamp now, Span<byte> answer, out bool fromElsewhere)
    {
        fromElsewhere = false;
        if (!channel.TryOpen(datagram, out Probe probe) || probe.IsAnswer || !_limiter.TryTake(now))
            return false;
        fromElsewhere = probe.Flags.HasFlag(ProbeFlags.AnswerFromElsewhere);
        channel.SealAnswer(probe, from, ProbeFlags.None, answer);
        return true;
    }

    /// <summary>Zeroes the key.</summary>
    public void Dispose() => channel.Dispose();
}
