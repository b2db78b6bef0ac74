using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Membership;
using LightTunnel.Membership.Signing;
using LightTunnel.Packets;
using LightTunnel.Timing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Client;

/// <summary>
/// Where members are signed: whether this node is itself, what the server says of the signing keys, and signatures that a person at this
/// node brings to the server. Owned by the control loop.
/// </summary>
/// <param name="node">The node.</param>
/// <param name="server">The server.</param>
/// <param name="trust">By whose signatures this node takes members.</param>
internal sealed class OwnSigning(Node node, ServerConnection server, SigningTrust trust)
{
    /// <summary>How long an answer is waited for.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <summary>How often this node's own signature is looked at, whatever the server sends, as it costs some 100 µs.</summary>
    private static readonly TimeSpan LookInterval = TimeSpan.FromSeconds(1);
    private const int LookBurst = 8;

    /// <summary>So long before its end a signature's owner is told.</summary>
    private static readonly TimeSpan WarnBefore = TimeSpan.FromDays(7);

    private readonly Dictionary<uint, (TaskCompletionSource Answer, Timestamp Until)> _questions = [];
    private readonly RateLimiter _looks = new(node.Time, LookInterval, LookBurst);
    private RegisteredMessage? _registered;
    private bool _isLate;

    /// <summary>When the signature is about to end, or ends; null for never.</summary>
    private DateTimeOffset? _nextLook;
    private MemberSignature? _signature;
    private string _name = string.Empty;
    private LightTunnelException? _refusedKeys;
    private string? _notice;
    private uint _lastQuestion;

    /// <summary>How things stand with this node's own signature, as those see it who have the signing keys.</summary>
    public SignatureState State { get; private set; }

    /// <summary>Until when that is good; null for ever, or when there is none.</summary>
    public DateTimeOffset? Expires => _signature is { IsKnown: true } signature ? signature.Expires : null;

    /// <summary>The server has admitted this node, under a name.</summary>
    public void OnRegistered(RegisteredMessage registered, string name)
    {
        _registered = registered;
        _signature = registered.Signature;
        _name = name;
        Fail("The server has begun a new conversation.");
        _refusedKeys = CheckKeys(registered);
        LookSoon();
    }

    /// <summary>An admin has signed this node.</summary>
    public void OnSignature(SignatureMessage message)
    {
        if (message.Signature.Equals(_signature))
            return;
        _signature = message.Signature;
        LookSoon();
    }

    /// <summary>Looks at what is due; returns when to call again.</summary>
    public Timestamp Run(Timestamp now)
    {
        if (_isLate || _nextLook <= node.Time.GetUtcNow())
            LookSoon();
        Timestamp next = _isLate ? now + LookInterval
            : _nextLook is { } look ? now + Later(look - node.Time.GetUtcNow())
            : Timestamp.Never;
        foreach ((uint question, (TaskCompletionSource answer, Timestamp until)) in _questions.Count == 0 ? [] : _questions.ToArray())
        {
            if (until > now)
            {
                next = Timestamp.Earliest(next, until);
                continue;
            }

            _questions.Remove(question);
            answer.TrySetException(Unanswered("The server does not say what became of it: an older version takes no signatures."));
        }

        return next;
    }

    /// <summary>Brings an admin's signature of a member to the server; the task completes when it lasts.</summary>
    /// <exception cref="LightTunnelException">The server does not take it, or there is none.</exception>
    public Task SignAsync(in PublicKey member, MemberSignature signature)
    {
        if (server.Session is null)
            throw Unanswered("The server is not there.");
        var answer = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _questions[++_lastQuestion] = (answer, node.Now + Patience);
        server.Tell(new SignMessage { Question = _lastQuestion, Member = member, Signature = signature });
        node.Wake();
        return answer.Task;
    }

    /// <summary>The server has looked at a signature.</summary>
    public void OnAnswer(SignAnswerMessage message)
    {
        if (!_questions.Remove(message.Question, out (TaskCompletionSource Answer, Timestamp Until) question))
            return;
        if (message.Outcome == SignOutcome.Taken)
            question.Answer.TrySetResult();
        else
            question.Answer.TrySetException(Refused(message));
    }

    private static LightTunnelException Refused(SignAnswerMessage message) => new(
        LightTunnelError.InvalidSignature, $"The server does not take the signature. It says: {message.Text}",
        message.Outcome == SignOutcome.TooMany
            ? "Wait a moment and try again, with the network's signing key."
            : "Sign the member as Get-LtPeer shows it now, with one of the network's signing keys.");

    private static LightTunnelException Unanswered(string why) => new(
        LightTunnelError.ServerUnreachable, $"The signature was not brought to the server. {why}",
        "Try again; signing twice does no harm.");

    private static TimeSpan Later(TimeSpan time) => TimeSpan.FromTicks(Math.Clamp(time.Ticks, 0, TimeSpan.TicksPerDay));

    private void Fail(string why)
    {
        foreach ((TaskCompletionSource answer, Timestamp _) in _questions.Values)
            answer.TrySetException(Unanswered(why));
        _questions.Clear();
    }

    private void LookSoon()
    {
        _isLate = !_looks.TryTake(node.Now);
        if (!_isLate)
            Look();
    }

    /// <summary>Others take this node if they have the keys that it has, or, if it has none, that the server names.</summary>
    private void Look()
    {
        if (_registered is not { } registered)
            return;
        SigningTrust judge = trust.IsRequired ? trust : new SigningTrust(server.Server.Key, registered.SigningKeys);
        SignatureState before = State;
        DateTimeOffset now = node.Time.GetUtcNow();
        State = judge.Check(
            node.Links.PublicKey, _name, [.. registered.Addresses.Select(own => own.Address)], isPlain: false, _signature, now);
        DateTimeOffset? end = State == SignatureState.Valid ? Expires : null;
        _nextLook = end - WarnBefore > now ? end - WarnBefore : end;
        if (State == SignatureState.Valid && before is not (SignatureState.Valid or SignatureState.NotRequired))
            node.Log.Information("An administrator of {Network} has signed this node", registered.NetworkName);
        LightTunnelException? problem = _refusedKeys;
        if (problem is null && State is not (SignatureState.Valid or SignatureState.NotRequired))
            problem = Unsigned(registered);
        else if (problem is null && end - WarnBefore <= now)
            problem = EndsSoon(registered, end!.Value);
        else if (problem is null && !trust.IsRequired && registered.SigningKeys.Count > 0)
            problem = Unguarded(registered);
        if (problem is not null)
            Notice(problem);
        else if (_notice is not null && node.LastError == _notice)
            node.LastError = _notice = null;
    }

    private LightTunnelException Unsigned(RegisteredMessage registered) => new(
        LightTunnelError.NotSigned,
        $"This machine {State.Sentence()}: members of {registered.NetworkName} that take signed ones only do not know it.",
        $"Tell an admin of the network its fingerprint, {KeyFingerprint.Of(node.Links.PublicKey.ToString())}, who compares it and signs: "
            + $"Confirm-LtMember {_name} -SigningKeyPath.");

    private LightTunnelException EndsSoon(RegisteredMessage registered, DateTimeOffset end) => new(
        LightTunnelError.NotSigned,
        FormattableString.Invariant(
            $"The signature of this machine ends at {end:u}: other members of {registered.NetworkName} do not know it any more then."),
        $"Ask an admin of the network to sign it anew: Confirm-LtMember {_name} -SigningKeyPath.");

    private static LightTunnelException Unguarded(RegisteredMessage registered) => new(
        LightTunnelError.NotSigned,
        $"The server says that members of {registered.NetworkName} are signed by the key "
            + $"{SigningPublicKey.Fingerprints(registered.SigningKeys)}, but this machine takes unsigned ones too.",
        $"Compare the fingerprint with an admin's, and join with -SigningKey {string.Join(", ", registered.SigningKeys)}.");

    /// <summary>What the server says of signing keys, where it is not what this node was given; null when it is.</summary>
    private LightTunnelException? CheckKeys(RegisteredMessage registered)
    {
        if (!trust.IsRequired || SigningPublicKey.AreSame(trust.Keys, registered.SigningKeys))
            return null;
        string says = registered.SigningKeys.Count == 0
            ? "names no signing key any more"
            : $"names the signing key {SigningPublicKey.Fingerprints(registered.SigningKeys)}";
        var reason = new LightTunnelException(
            LightTunnelError.NotSigned,
            $"The server {says}, and this machine knows {SigningPublicKey.Fingerprints(trust.Keys)}: the server is not believed.",
            "Ask an admin of the network. If the keys are others now, join with -SigningKey and those; if members are not signed any more, "
                + "with -RequireSignedMembers:$false.");
        node.Log.Security(SecurityEvent.SigningKeyRefused, server.Server.Key.ToString(), $"{reason.Message} {reason.RecommendedAction}");
        return reason;
    }

    /// <summary>Said once, until it is something else.</summary>
    private void Notice(LightTunnelException notice)
    {
        if (_notice is not null && node.LastError == _notice && _notice.StartsWith(notice.Message, StringComparison.Ordinal))
            return;
        node.Notice(notice);
        _notice = node.LastError;
    }
}
