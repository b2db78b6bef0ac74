using System.Runtime.CompilerServices;
using LightTunnel.Addressing;
using LightTunnel.Timing;

namespace LightTunnel.WireGuard;

/// <summary>
/// One session: the two transport keys that a handshake gave, the send counter and the replay window. Used by data threads; created and
/// destroyed by the control loop (or by the thread that confirms its successor).
/// </summary>
internal sealed class KeyPair : IDisposable
{
    /// <summary>After this many messages a new handshake is wanted (paper section 6.1).</summary>
    public const ulong RekeyAfterMessages = 1UL << 60;

    /// <summary>After this many messages nothing is sent or accepted.</summary>
    public const ulong RejectAfterMessages = ulong.MaxValue - (1UL << 13);

    private readonly TransportCipher _sending;
    private readonly TransportCipher _receiving;
    private readonly ReplayWindow _window = new();
    private ulong _nextCounter;
    private volatile bool _destroyed;

    /// <param name="link">Whose session it is.</param>
    /// <param name="suite">What its messages are sealed with.</param>
    /// <param name="sendKey">Key of messages to the peer, 32 bytes; copied.</param>
    /// <param name="receiveKey">Key of messages from the peer, 32 bytes; copied.</param>
    /// <param name="localIndex">The index under which the peer names this session.</param>
    /// <param name="remoteIndex">The index under which the peer knows it.</param>
    /// <param name="isInitiator">True when this side sent the handshake's initiation.</param>
    /// <param name="created">When the handshake was.</param>
    public KeyPair(
        Link link, CipherSuite suite, ReadOnlySpan<byte> sendKey, ReadOnlySpan<byte> receiveKey, uint localIndex, uint remoteIndex,
        bool isInitiator, Timestamp created)
    {
        Link = link;
        Suite = suite;
        _sending = TransportCipher.Create(suite, sendKey);
        _receiving = TransportCipher.Create(suite, receiveKey);
        Overhead = Messages.TransportHeaderSize + _sending.TagSize;
        LocalIndex = localIndex;
        RemoteIndex = remoteIndex;
        IsInitiator = isInitiator;
        Created = created;
    }

    public Link Link { get; }

    /// <summary>What its messages are sealed with.</summary>
    public CipherSuite Suite { get; }

    /// <summary>Bytes that a message has besides the (padded) packet, header and tag; also the size of a keepalive.</summary>
    public int Overhead { get; }

    public uint LocalIndex { get; }

    public uint RemoteIndex { get; }

    public bool IsInitiator { get; }

    public Timestamp Created { get; }

    /// <summary>The number of the pre-shared key that it was agreed on with.</summary>
    public int KeyNumber { get; init; }

    /// <summary>As responder: where the response went. Whoever uses the keys has received it there.</summary>
    public PathAddress RespondedTo { get; set; }

    /// <summary>True once the keys are zeroed.</summary>
    public bool IsDestroyed => _destroyed;

    /// <summary>True when the key bytes are really gone; for tests.</summary>
    internal bool IsZeroed => _sending.IsZeroed && _receiving.IsZeroed;

    /// <summary>The counter of the next message; set only by tests, to reach the limits.</summary>
    public ulong NextCounter
    {
        get => Volatile.Read(ref _nextCounter);
        internal set => Volatile.Write(ref _nextCounter, value);
    }

    /// <summary>
    /// Takes the next counters, once for each caller. False when the session has sent all it may; the test before the addition
    /// keeps the counter from ever wrapping.
    /// </summary>
    /// <param name="count">How many, at most some thousand.</param>
    /// <param name="first">The first of them.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryClaimCounters(int count, out ulong first)
    {
        first = 0;
        if (_destroyed || Volatile.Read(ref _nextCounter) >= RejectAfterMessages)
            return false;
        first = Interlocked.Add(ref _nextCounter, (ulong)count) - (ulong)count;
        return first + (ulong)count <= RejectAfterMessages;
    }

    /// <summary>
    /// Makes a transport message of a packet that is padded already: packet and message must not overlap, or the packet lies where the
    /// message will have it. What was written before <see cref="IsIntact"/> says no may be sealed under a zeroed key and must not be sent.
    /// </summary>
    public void Seal(ulong counter, ReadOnlySpan<byte> packet, Span<byte> datagram)
    {
        Messages.WriteTransport(datagram, RemoteIndex, counter);
        _sending.Seal(counter, default, packet, datagram[Messages.TransportHeaderSize..]);
    }

    /// <summary>True when two messages of one length are sealed and opened faster together than one after the other.</summary>
    public bool PairsAreFaster => _sending.PairsAreFaster;

    /// <summary>The same for two packets of one length, which get this counter and the next.</summary>
    public void SealPair(
        ulong counter, ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, Span<byte> firstDatagram, Span<byte> secondDatagram)
    {
        Messages.WriteTransport(firstDatagram, RemoteIndex, counter);
        Messages.WriteTransport(secondDatagram, RemoteIndex, counter + 1);
        _sending.SealPair(
            counter, first, second, firstDatagram[Messages.TransportHeaderSize..], secondDatagram[Messages.TransportHeaderSize..]);
    }

    /// <summary>
    /// Opens in place what follows the transport header; false for a forgery. Good for nothing when <see cref="IsIntact"/>
    /// says no afterwards.
    /// </summary>
    public bool TryOpen(ulong counter, Span<byte> datagram)
    {
        Span<byte> body = datagram[Messages.TransportHeaderSize..];
        return _receiving.TryOpen(counter, default, body, body);
    }

    /// <summary>The same for two messages of one length; each is a forgery or not for itself.</summary>
    public void TryOpenPair(
        ulong firstCounter, ulong secondCounter, Span<byte> firstDatagram, Span<byte> secondDatagram, out bool first, out bool second)
    {
        Span<byte> firstBody = firstDatagram[Messages.TransportHeaderSize..], secondBody = secondDatagram[Messages.TransportHeaderSize..];
        _receiving.TryOpenPair(firstCounter, secondCounter, firstBody, secondBody, firstBody, secondBody, out first, out second);
    }

    /// <summary>True once for each counter; only for what <see cref="TryOpen"/> has authenticated.</summary>
    public bool TryAccept(ulong counter) => _window.TryAccept(counter);

    /// <summary>Turns the packets among the messages whose counters were seen before into replays.</summary>
    public void Accept(Span<OpenedMessage> opened) => _window.Accept(opened);

    /// <summary>Messages may come by several ways from now on, of which one may be far behind the others.</summary>
    public void WidenWindow() => _window.Widen();

    /// <summary>
    /// False when the keys were zeroed before or while they were used. To be asked after use, once for any number of messages.
    /// </summary>
    public bool IsIntact()
    {
        Interlocked.MemoryBarrier();
        return !_destroyed;
    }

    /// <summary>Zeroes both keys.</summary>
    public void Dispose()
    {
        _destroyed = true;
        // Whoever has used a zeroed byte of the key sees the flag afterwards: no lock, no reference count per packet.
        Interlocked.MemoryBarrier();
        _sending.Dispose();
        _receiving.Dispose();
    }
}
