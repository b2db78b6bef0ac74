using LightTunnel.Membership;
using LightTunnel.Timing;

namespace LightTunnel.Engine.Control;

/// <summary>
/// One registration of a client with its server, from either side: messages go in and come out, and how far the registration has got.
/// </summary>
/// <param name="conversation">The number that the client chose; frames of another are not of this registration.</param>
/// <param name="time">The clock.</param>
/// <param name="send">Seals a frame into the link and sends it.</param>
/// <param name="hurry">
/// Has the timers run soon. Called for each message, so that it is sent again when it is lost, whoever's turn it was sent in: the server
/// tells one member of another when that one asks.
/// </param>
/// <param name="receive">Takes each message of the other side, in order.</param>
internal class ControlSession(
    uint conversation, TimeProvider time, Action<ReadOnlySpan<byte>> send, Action hurry, Action<ControlMessage> receive)
        : IControlChannelHost
{
    private ControlChannel? _channel;

    /// <summary>The number that the client chose; frames of another are not of this registration.</summary>
    public uint Conversation { get; } = conversation;

    /// <summary>True once the server has admitted the client.</summary>
    public bool Registered { get; set; }

    /// <summary>True when the other side has taken everything that was sent.</summary>
    public bool IsIdle => Channel.Pending == 0;

    /// <summary>True once the other side has taken anything of what was sent.</summary>
    public bool IsAnswered => _channel is { IsAnswered: true };

    private ControlChannel Channel => _channel ??= new ControlChannel(Conversation, this);

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
        if (!TrySend(ControlMessageCodec.Encode(message)) && message is not (IntroduceMessage or IntroductionMessage or NoticeMessage))
            IsBroken = true;
        hurry();
    }

    private bool TrySend(ReadOnlySpan<byte> message) => !IsBroken && Channel.TrySend(message, time.Now());

    /// <summary>Takes a data or acknowledgement frame of this conversation.</summary>
    public void OnFrame(in ControlFrame frame) => Channel.OnFrame(frame, time.Now());

    /// <summary>Sends again what is due, and returns when to call again.</summary>
    public Timestamp RunTimers(Timestamp now) => Channel.RunTimers(now);

    /// <inheritdoc/>
    void IControlChannelHost.SendFrame(ReadOnlySpan<byte> frame) => send(frame);

    /// <inheritdoc/>
    void IControlChannelHost.Deliver(ReadOnlyMemory<byte> message)
    {
        // Unknown messages are of a newer version; malformed ones of a member that is at fault, which hurts only itself.
        if (ControlMessageCodec.Decode(message, out ControlMessage? decoded) == DecodeResult.Message)
            receive(decoded!);
    }
}
