using System.Diagnostics.CodeAnalysis;
using LightTunnel.Timing;

namespace LightTunnel.Membership;

/// <summary>
/// One conversation on a client-server link: messages arrive once and in order, or the conversation is over. A sliding window of
/// <see cref="WindowSize"/> frames with cumulative acknowledgement; resends after a timeout that follows the measured round trip (RFC
/// 6298), doubled each time, and after three repeated acknowledgements (RFC 5681 section 3.2). It never gives up: the owner looks at
/// <see cref="IsStalled"/> and drops the channel. After each call its owner takes what there is to send and what was received. Owned by the
/// control loop.
/// </summary>
/// <param name="conversation">The conversation's id.</param>
/// <param name="queueLimit">Most messages that wait for an acknowledgement or for room in the window.</param>
internal sealed class ControlChannel(uint conversation, int queueLimit = ControlChannel.DefaultQueueLimit)
{
    /// <summary>Most frames sent and not acknowledged.</summary>
    public const int WindowSize = 16;

    /// <summary>Messages that may wait when nobody says otherwise: one-off messages and some pages of the directory.</summary>
    public const int DefaultQueueLimit = 128;

    private const int RepeatedAcknowledgementLimit = 3;

    private static readonly TimeSpan InitialTimeout = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan MinimumTimeout = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan MaximumTimeout = TimeSpan.FromSeconds(4);
    private static readonly TimeSpan StallLimit = TimeSpan.FromSeconds(10);

    private readonly Queue<Outgoing> _unacknowledged = new();
    private readonly Queue<byte[]> _waiting = new();
    private readonly byte[]?[] _early = new byte[WindowSize][];
    private readonly Queue<byte[]> _frames = new();
    private readonly Queue<byte[]> _messages = new();

    private RoundTripEstimator _roundTrip;
    private int _backoff;
    private int _repeatedAcknowledgements;
    private uint _nextToSend = 1;
    private uint _nextToReceive = 1;

    private sealed class Outgoing(uint number, byte[] message, Timestamp now)
    {
        public uint Number { get; } = number;

        public byte[] Message { get; } = message;

        public Timestamp FirstSent { get; } = now;

        public Timestamp LastSent { get; set; } = now;

        public bool Resent { get; set; }
    }

    /// <summary>The conversation's id.</summary>
    public uint Conversation { get; } = conversation;

    /// <summary>True when the next message is sent at once; pages of the directory are made when there is room, not before.</summary>
    public bool HasRoom => _waiting.Count == 0 && _unacknowledged.Count < WindowSize;

    /// <summary>The number of the last message that was given to be sent; 0 before the first.</summary>
    public uint LastNumber => _nextToSend + (uint)_waiting.Count - 1;

    /// <summary>Messages that the peer has not acknowledged yet.</summary>
    public int Pending => _unacknowledged.Count + _waiting.Count;

    /// <summary>True once the peer has acknowledged anything: it is there, and takes part in this conversation.</summary>
    public bool IsAnswered { get; private set; }

    /// <summary>Frames that were sent again.</summary>
    public long Resends { get; private set; }

    /// <summary>Smoothed round trip of acknowledged messages, null until measured.</summary>
    public TimeSpan? RoundTrip => _roundTrip.SmoothedRoundTrip;

    /// <summary>True when the oldest message has been waiting for its acknowledgement for more than 10 s.</summary>
    public bool IsStalled(Timestamp now) => _unacknowledged.TryPeek(out Outgoing? oldest) && now - oldest.FirstSent > StallLimit;

    /// <summary>True when the peer has acknowledged the message of that number; for 0, always.</summary>
    public bool IsAcknowledged(uint number) => !_unacknowledged.TryPeek(out Outgoing? oldest) || (int)(oldest.Number - number) > 0;

    /// <summary>The next frame to be sealed and sent; it may be lost.</summary>
    public bool TryTakeFrame([NotNullWhen(true)] out byte[]? frame) => _frames.TryDequeue(out frame);

    /// <summary>The next message that was received, once and in order.</summary>
    public bool TryTakeMessage([NotNullWhen(true)] out byte[]? message) => _messages.TryDequeue(out message);

    /// <summary>Sends a message, or queues it until there is room in the window; false when the queue is full.</summary>
    /// <param name="message">1 to <see cref="ControlFrame.MaximumBodyLength"/> bytes; copied.</param>
    /// <param name="now">The present.</param>
    public bool TrySend(ReadOnlySpan<byte> message, Timestamp now)
    {
        ArgumentOutOfRangeException.ThrowIfZero(message.Length, nameof(message));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(message.Length, ControlFrame.MaximumBodyLength, nameof(message));
        if (Pending >= queueLimit)
            return false;
        _waiting.Enqueue(message.ToArray());
        FillWindow(now);
        return true;
    }

    /// <summary>Takes a data or acknowledgement frame; false when it is not of this conversation, or of another kind.</summary>
    public bool OnFrame(in ControlFrame frame, Timestamp now)
    {
        if (frame.Conversation != Conversation)
            return false;
        switch (frame.Kind)
        {
            case ControlFrameKind.Data:
                OnData(frame.Number, frame.Body);
                return true;
            case ControlFrameKind.Acknowledgement:
                OnAcknowledgement(frame.Number, now);
                return true;
            default:
                return false;
        }
    }

    /// <summary>
    /// Resends what is due and returns when the next call is needed; <see cref="Timestamp.Never"/> while nothing waits for an
    /// acknowledgement.
    /// </summary>
    public Timestamp RunTimers(Timestamp now)
    {
        if (!_unacknowledged.TryPeek(out Outgoing? oldest))
            return Timestamp.Never;
        if (Deadline(oldest) <= now)
        {
            // The first time everything of that age is sent again, as a gap in the path loses neighbours together. After that the
            // oldest alone asks whether the peer is there, so that a peer that is gone costs little.
            foreach (Outgoing outgoing in _unacknowledged)
            {
                if (outgoing == oldest || (_backoff == 0 && now - outgoing.LastSent > Timeout / 2))
                    Resend(outgoing, now);
            }

            _backoff++;
        }

        return Deadline(oldest);
    }

    /// <summary>RFC 6298's, before it is doubled.</summary>
    private TimeSpan Timeout => _roundTrip.Timeout(InitialTimeout, MinimumTimeout, MaximumTimeout);

    private Timestamp Deadline(Outgoing oldest)
    {
        TimeSpan wait = Timeout * (1 << Math.Min(_backoff, 10));
        if (wait > MaximumTimeout)
            wait = MaximumTimeout;
        return oldest.LastSent + wait;
    }

    private void OnData(uint number, ReadOnlySpan<byte> message)
    {
        uint ahead = number - _nextToReceive;
        if (ahead < WindowSize)
            _early[number % WindowSize] ??= message.ToArray();

        // Also what came before is acknowledged again: it was sent again because the acknowledgement was lost.
        uint firstNew = _nextToReceive;
        while (_early[_nextToReceive % WindowSize] is not null && _nextToReceive - firstNew < WindowSize)
            _nextToReceive++;
        if (ahead < WindowSize || (int)ahead < 0)
            Send(new ControlFrame(ControlFrameKind.Acknowledgement, Conversation, _nextToReceive - 1));

        for (uint next = firstNew; next != _nextToReceive; next++)
        {
            _messages.Enqueue(_early[next % WindowSize]!);
            _early[next % WindowSize] = null;
        }
    }

    private void OnAcknowledgement(uint number, Timestamp now)
    {
        if (!_unacknowledged.TryPeek(out Outgoing? oldest))
            return;
        uint acknowledged = number - oldest.Number + 1;
        if (acknowledged > (uint)_unacknowledged.Count)
            return; // Of something never sent, or long forgotten.
        if (acknowledged == 0)
        {
            if (++_repeatedAcknowledgements == RepeatedAcknowledgementLimit)
                Resend(oldest, now);
            return;
        }

        IsAnswered = true;
        _repeatedAcknowledgements = 0;
        _backoff = 0;
        for (uint i = 0; i < acknowledged; i++)
        {
            Outgoing outgoing = _unacknowledged.Dequeue();
            if (!outgoing.Resent)
                _roundTrip.Add(now - outgoing.FirstSent); // Of messages sent once only: Karn's algorithm.
        }

        FillWindow(now);
    }

    private void FillWindow(Timestamp now)
    {
        while (_unacknowledged.Count < WindowSize && _waiting.TryDequeue(out byte[]? message))
        {
            var outgoing = new Outgoing(_nextToSend++, message, now);
            _unacknowledged.Enqueue(outgoing);
            Send(new ControlFrame(ControlFrameKind.Data, Conversation, outgoing.Number, message));
        }
    }

    private void Resend(Outgoing outgoing, Timestamp now)
    {
        outgoing.Resent = true;
        outgoing.LastSent = now;
        Resends++;
        Send(new ControlFrame(ControlFrameKind.Data, Conversation, outgoing.Number, outgoing.Message));
    }

    private void Send(ControlFrame frame)
    {
        Span<byte> bytes = stackalloc byte[ControlFrame.MaximumLength];
        _frames.Enqueue(bytes[..frame.Write(bytes)].ToArray());
    }
}
