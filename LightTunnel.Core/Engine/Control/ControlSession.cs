using System.Diagnostics.CodeAnalysis;
using LightTunnel.Membership;
using LightTunnel.Timing;

namespace LightTunnel.Engine.Control;

/// <summary>
/// One registration of a client with its server, from either side: messages go in and come out, and how far the registration has got. Owned
/// by the control loop.
/// </summary>
/// <param name="conversation">The number that the client chose; frames of another are not of this registration.</param>
/// <param name="node">Sends, and has the timers run.</param>
/// <param name="peer">The other side.</param>
internal class ControlSession(uint conversation, Node node, Peer peer)
{
    /// <summary>Introductions wait behind no more than this: others cause them, and must leave room for what may not be lost.</summary>
    private const int MostBeforeIntroduction = ControlChannel.DefaultQueueLimit / 2;

    private readonly ControlChannel _channel = new(conversation);
    private uint _lastOfOwn;

    /// <summary>The number that the client chose; frames of another are not of this registration.</summary>
    public uint Conversation { get; } = conversation;

    /// <summary>True once the server has admitted the client.</summary>
    public bool Registered { get; set; }

    /// <summary>
    /// True when the other side has taken everything that was sent, but for introductions: others cause these, one after the other for as
    /// long as they like, and would keep a member from being told of the directory.
    /// </summary>
    public bool IsIdle => _channel.IsAcknowledged(_lastOfOwn);

    /// <summary>Messages that the other side has not taken yet.</summary>
    public int Pending => _channel.Pending;

    /// <summary>True once the other side has taken anything of what was sent.</summary>
    public bool IsAnswered => _channel.IsAnswered;

    /// <summary>
    /// True once a message was lost because the other side takes nothing: it does not know any more what it was told. The owner ends the
    /// session, and the client begins a new one.
    /// </summary>
    public bool IsBroken { get; private set; }

    /// <summary>
    /// Sends a message, again and again until it is acknowledged. What no longer fits in the queue is lost: introductions and notices
    /// without harm, as they are asked for again, or for people; with anything else the session is broken.
    /// </summary>
    public void Send(ControlMessage message)
    {
        bool isIntroduction = message is IntroductionMessage;
        if (isIntroduction && _channel.Pending >= MostBeforeIntroduction)
            return;
        if (!TrySend(ControlMessageCodec.Encode(message)))
            IsBroken |= message is not (IntroduceMessage or IntroductionMessage or NoticeMessage);
        else if (!isIntroduction)
            _lastOfOwn = _channel.LastNumber;
        // So that it is sent again when it is lost, whoever's turn it was sent in: the server tells one member of another
        // when that one asks.
        node.Hurry(peer);
    }

    /// <summary>Takes a data or acknowledgement frame of this conversation; then follows <see cref="TryTakeMessage"/>.</summary>
    public void OnFrame(in ControlFrame frame)
    {
        _channel.OnFrame(frame, node.Now);
        SendFrames();
    }

    /// <summary>The next message of the other side, in order.</summary>
    public bool TryTakeMessage([NotNullWhen(true)] out ControlMessage? message)
    {
        while (_channel.TryTakeMessage(out byte[]? bytes))
        {
            // Unknown messages are of a newer version; malformed ones of a member that is at fault, which hurts only itself.
            if (ControlMessageCodec.Decode(bytes, out ControlMessage? decoded) != DecodeResult.Message)
                continue;
            message = decoded!;
            return true;
        }

        message = null;
        return false;
    }

    /// <summary>Sends again what is due, and returns when to call again.</summary>
    public Timestamp RunTimers(Timestamp now)
    {
        Timestamp next = _channel.RunTimers(now);
        SendFrames();
        return next;
    }

    private bool TrySend(ReadOnlySpan<byte> message)
    {
        bool isTaken = !IsBroken && _channel.TrySend(message, node.Now);
        SendFrames();
        return isTaken;
    }

    private void SendFrames()
    {
        while (_channel.TryTakeFrame(out byte[]? frame))
        {
            if (peer.Link is { } link)
                node.Sender.Frame(link, frame);
        }
    }
}
