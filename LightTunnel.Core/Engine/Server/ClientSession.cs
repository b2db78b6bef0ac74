using LightTunnel.Addressing;
using LightTunnel.Engine.Control;
using LightTunnel.Membership;
using LightTunnel.Packets;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Server;

/// <summary>A client's registration as its server sees it: what the client was told, and how often it may ask.</summary>
/// <param name="conversation">The number that the client chose.</param>
/// <param name="node">Sends, and has the timers run.</param>
/// <param name="client">The client.</param>
internal sealed class ClientSession(uint conversation, Node node, ServedClient client) : ControlSession(conversation, node, client)
{
    private const int AskBurst = 64;

    private const int TellBurst = 16;

    private static readonly TimeSpan AskInterval = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan QuestionInterval = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan TellInterval = TimeSpan.FromSeconds(1);

    private readonly TimeProvider _time = node.Time;
    private RateLimiter? _introductions;
    private RateLimiter? _news;
    private RateLimiter? _questions;

    /// <summary>True once it has said goodbye.</summary>
    public bool HasLeft { get; set; }

    /// <summary>How far the member was told of the directory, null before it is registered.</summary>
    public DirectoryCursor? DirectoryCursor { get; set; }

    /// <summary>Whom the member is told of instead, in a large network.</summary>
    public DirectoryWatch? DirectoryWatch { get; set; }

    /// <summary>Whether the member can ask for others.</summary>
    public bool AsksForMembers { get; set; }

    /// <summary>What the member was told of access rules, and is to be told.</summary>
    public RuleProgress Rules { get; } = new();

    /// <summary>Those of the member's networks that it knows to be approved; null when it does not know.</summary>
    public IReadOnlyList<IpPrefix>? RoutesApproved { get; set; } = [];

    /// <summary>The members that somebody at this one looks for, until they are told.</summary>
    public ListMessage? List { get; set; }

    /// <summary>How the member may be reached.</summary>
    public ToldReachability Reachability { get; } = new(node.Time);

    /// <summary>Members that this one was introduced to.</summary>
    public HashSet<PublicKey> IntroducedTo { get; } = [];

    /// <summary>Whether the member, which asks for an introduction, may: 64 at once, and one more each 100 ms.</summary>
    public bool MayAskForIntroduction() => (_introductions ??= new RateLimiter(_time, AskInterval, AskBurst)).TryTake();

    /// <summary>
    /// Whether all others are told now that the member is reached in another way: 16 times at once, and once more each second.
    /// </summary>
    public bool MayTellOthers() => (_news ??= new RateLimiter(_time, TellInterval, TellBurst)).TryTake();

    /// <summary>Whether the member's questions for others are answered now: 64 at once, and one more each 50 ms.</summary>
    public bool MayAskForMembers() => (_questions ??= new RateLimiter(_time, QuestionInterval, AskBurst)).TryTake();
}
