using LightTunnel.Engine.Server;
using LightTunnel.Membership;
using LightTunnel.Packets;
using LightTunnel.Timing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Control;

/// <summary>
/// One registration of a client with its server, from either side: messages go in and come out, and how far the registration has got.
/// </summary>
/// <param name="conversation">The number that the client chose; frames of another are not of this registration.</param>
/// <param name="time">The clock.</param>
/// <param name="send">Seals a frame into the link and sends it.</param>
/// <param name="receive">Takes each message of the other side, in order.</param>
internal sealed class ControlSession(uint conversation, TimeProvider time, Action<ReadOnlySpan<byte>> send, Action<ControlMessage> receive) : IControlChannelHost
{
    private const int AskBurst = 64;

    private const int TellBurst = 16;

    private static readonly TimeSpan AskInterval = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan QuestionInterval = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan TellInterval = TimeSpan.FromSeconds(1);

    private ControlChannel? _channel;
    private RateLimiter? _introductions;
    private RateLimiter? _news;
    private RateLimiter? _questions;

    /// <summary>The number that the client chose; frames of another are not of this registration.</summary>
    public uint Conversation { get; } = conversation;

    /// <summary>True once the server has admitted the client.</summary>
    public bool Registered { get; set; }

    /// <summary>Server: how far the member was told of the directory, null before it is registered.</summary>
    public DirectoryCursor? DirectoryCursor { get; set; }

    /// <summary>Server: whom the member is told of instead, in a large network.</summary>
    public DirectoryWatch? DirectoryWatch { get; set; }

    /// <summary>Server: whether the member can ask for others.</summary>
    public bool AsksForMembers { get; set; }

    /// <summary>Server: the members that somebody at this one looks for, until they are told.</summary>
    public ListMessage? List { get; set; }

    /// <summary>Server: how the member may be reached.</summary>
    public ToldReachability Reachability { get; } = new(time);

    /// <summary>Server: members that this one was introduced to.</summary>
    public HashSet<PublicKey> IntroducedTo { get; } = [];

    /// <summary>Server: whether the member, which asks for an introduction, may: 64 at once, and one more each 100 ms.</summary>
    public bool MayAskForIntroduction() => (_introductions ??= new RateLimiter(time, AskInterval, AskBurst)).TryTake();

    /// <summary>Server: whether all others are told now that the member is reached in another way: 16 times at once, and once more each second.</summary>
    public bool MayTellOthers() => (_news ??= new RateLimiter(time, TellInterval, TellBurst)).TryTake();

    /// <summary>Server: whether the member's questions for others are answered now: 64 at once, and one more each 50 ms.</summary>
    public bool MayAskForMembers() => (_questions ??= new RateLimiter(time, QuestionInterval, AskBurst)).TryTake();

    /// <summary>True when the other side has taken everything that was sent.</summary>
    public bool IsIdle => Channel.Pending == 0;

    /// <summary>True once the other side has taken anything of what was sent.</summary>
    public bool IsAnswered => _channel is { IsAnswered: true };

    private ControlChannel Channel => _channel ??= new ControlChannel(Conversation, this);

    /// <summary>
    /// True once a message was lost because the other side takes nothing: it does not know any more what it was told. The owner ends the session, and the
    /// client begins a new one.
    /// </summary>
    public bool IsBroken { get; private set; }

    /// <summary>
    /// Sends a message, again and again until it is acknowledged. What no longer fits in the queue is lost: introductions and notices without harm, as they are
    /// asked for again, or for people; with anything else the session is broken.
    /// </summary>
    public void Send(ControlMessage message)
    {
        if (!TrySend(ControlMessageCodec.Encode(message)) && message is not (IntroduceMessage or IntroductionMessage or NoticeMessage))
            IsBroken = true;
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
