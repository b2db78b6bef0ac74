using LightTunnel.Access;
using LightTunnel.Addressing;
using LightTunnel.Engine.Control;
using LightTunnel.Membership;
using LightTunnel.Membership.Signing;
using LightTunnel.Packets;
using LightTunnel.Timing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Server;

/// <summary>What a server knows of one of its clients, besides what every peer has. Owned by the control loop.</summary>
/// <param name="key">The client's public key.</param>
/// <param name="time">The clock.</param>
internal sealed class ServedClient(in PublicKey key, TimeProvider time) : Peer(key, time)
{
    private const int RegisterBurst = 8;

    private const int OfferBurst = 4;

    /// <summary>4,096 flows of one plain client: 256 KB, where rules forbid it anything.</summary>
    private const int GuardSetBits = 9;

    private const int FalseSignatureBurst = 8;

    private static readonly TimeSpan RegisterInterval = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan FalseSignatureInterval = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan OfferInterval = TimeSpan.FromSeconds(1);

    private readonly TimeProvider _time = time;
    private RateLimiter? _registrations;
    private RateLimiter? _falseSignatures;
    private RateLimiter? _offers;
    private Timestamp _signaturesFrom;
    private PeerAccess? _guard;

    /// <summary>The conversation in which it registers and is told of others; null before, and when that is over.</summary>
    public ClientSession? Session { get; set; }

    /// <summary>Whether two machines have the client's key pair, null before it registered.</summary>
    public IdentityWatch? Identity { get; set; }

    /// <summary>Whether the client took part in its last conversation that is over.</summary>
    public bool WasAnswered { get; set; }

    /// <summary>What the client says that it runs on, null when unknown.</summary>
    public string? System { get; set; }

    /// <summary>
    /// Whether the client holds packets against access rules, as it said when it registered; null as long as it was not here.
    /// </summary>
    public bool? KnowsRules { get; set; }

    /// <summary>
    /// True for one that an admin keeps out: it is told why, and nothing that it sends counts any more. Its link goes when it has taken
    /// that.
    /// </summary>
    public bool IsBlocked { get; set; }

    /// <summary>
    /// The pre-shared keys of a plain WireGuard client (<see cref="Peer.IsPlain"/>), which never registers; null for all others, whose are
    /// the network's.
    /// </summary>
    public PresharedKeyRing? OwnKeys { get; set; }

    /// <summary>Whether the client takes another network key that it is told, as it said when it registered.</summary>
    public bool TakesKeys { get; set; }

    /// <summary>The access rules that concern a plain client, which this server holds its packets against; null for all others.</summary>
    public NodeAccessRules? Guarded { get; private set; }

    /// <inheritdoc/>
    public override bool IsPathProven => IsPlain ? Online : base.IsPathProven;

    /// <inheritdoc/>
    protected override bool IsResealed => IsPlain;

    /// <inheritdoc/>
    protected override PeerAccess? Guard => _guard;

    /// <summary>Other rules hold for a plain client from now on.</summary>
    /// <param name="rules">The rules.</param>
    /// <param name="seed">See <see cref="FlowTable"/>.</param>
    public void TakeRules(NodeRules rules, Func<ulong> seed)
    {
        Guarded ??= new NodeAccessRules(_time, seed, GuardSetBits);
        if (!Guarded.Take(rules))
            return;
        _guard = Guarded.ForAll(_guard);
        Publish();
    }

    /// <summary>Networks that it offers and that were not looked at yet; null for none of that kind.</summary>
    public IReadOnlyList<IpPrefix>? RoutesOffered { get; set; }

    /// <summary>
    /// Whether what it offers is looked at now: 4 times at once, and once more each second, as each may be news for everybody.
    /// </summary>
    /// <param name="now">The present.</param>
    /// <param name="again">When to ask again.</param>
    public bool MayOffer(Timestamp now, out Timestamp again)
    {
        again = now + OfferInterval;
        return (_offers ??= new RateLimiter(_time, OfferInterval, OfferBurst)).TryTake(now);
    }

    /// <summary>True for one that waits until an admin approves it: its link is kept a while longer, so that it learns of that.</summary>
    public bool IsApplicant { get; set; }

    /// <summary>An admin's signature of the client, which others are told; null for none.</summary>
    public MemberSignature? Signature { get; set; }

    /// <summary>
    /// Whether signatures that it brings are looked at now: always, but not for 10 s after another than the first 8 that were none, as each
    /// costs the control loop some 100 µs.
    /// </summary>
    public bool MayBringSignatures() => _time.Now() >= _signaturesFrom;

    /// <summary>It brought a signature that is none.</summary>
    public void NoteFalseSignature()
    {
        if (!(_falseSignatures ??= new RateLimiter(_time, FalseSignatureInterval, FalseSignatureBurst)).TryTake())
            _signaturesFrom = _time.Now() + FalseSignatureInterval;
    }

    /// <summary>Whether it may register now: 8 times at once, and once more each 2 s, as each costs all others a look.</summary>
    public bool MayRegister() => (_registrations ??= new RateLimiter(_time, RegisterInterval, RegisterBurst)).TryTake();
}
