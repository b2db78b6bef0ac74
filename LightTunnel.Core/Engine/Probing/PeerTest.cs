using LightTunnel.Addressing;
using LightTunnel.Engine.Control;
using LightTunnel.Membership;
using LightTunnel.Routing;
using LightTunnel.Timing;

namespace LightTunnel.Engine.Probing;

/// <summary>
/// Tests how a peer is reached: an attempt to reach it directly, until it succeeds or comes to nothing, then pings over the path that is in
/// use then. Owned by the control loop.
/// </summary>
internal sealed class PeerTest : NodeTest<PeerTestReport>
{
    /// <summary>Percent of the progress that the attempt stands for.</summary>
    private const int AttemptShare = 60;

    /// <summary>Measurements at most; a path that comes and goes is one that people want to be told of.</summary>
    private const int MaximumRounds = 3;

    /// <summary>The peer's link is waited for this long.</summary>
    private static readonly TimeSpan LinkPatience = TimeSpan.FromSeconds(5);

    /// <summary>The first answer through the server is waited for this long after the last question.</summary>
    private static readonly TimeSpan ServerPatience = TimeSpan.FromSeconds(1);

    /// <summary>How often progress is told while nothing happens.</summary>
    private static readonly TimeSpan TellInterval = TimeSpan.FromMilliseconds(200);

    private readonly Node _node;
    private readonly Peer _peer;
    private readonly PeerTestRequest _request;
    private readonly TimeProvider _time;
    private readonly Timestamp _started;
    private PingSeries? _pings;
    private PathType _measured;
    private Timestamp _measuring;
    private Timestamp _serverMeasured;
    private Timestamp _tried;
    private int _rounds;

    /// <param name="node">The node that tests.</param>
    /// <param name="peer">The peer.</param>
    /// <param name="request">What to do.</param>
    /// <param name="time">The clock.</param>
    /// <param name="progress">Told of each step; may be null.</param>
    public PeerTest(Node node, Peer peer, PeerTestRequest request, TimeProvider time, IProgress<TestProgress>? progress)
        : base(progress)
    {
        _node = node;
        _peer = peer;
        _request = request;
        _time = time;
        _started = time.Now();
        if (!_peer.IsThere || _peer.IsPlain)
            return;
        Try(_started);
        node.WantLink(peer);
    }

    /// <inheritdoc/>
    public override Timestamp Run(Timestamp now)
    {
        if (_peer.IsThere && _measuring == Timestamp.NotYet && IsAttempting(now))
            return TellAttempt(now);
        // Nobody pings a plain WireGuard client by this project's own messages.
        if (!_peer.Online || _peer.IsPlain)
            return Done(PingResult.None);
        if (_measuring == Timestamp.NotYet)
        {
            _measuring = now;
            _measured = _peer.PathType;
            _node.WantLink(_peer);
            // What was sent by the path that is dead is lost; its next turn may be five seconds from now.
            if (_rounds++ > 0 && _peer.Link is { HasSession: false } link)
                link.RequestHandshake(force: true);
        }

        if (_peer.Link is not { HasSession: true } && now - _measuring < LinkPatience)
        {
            if (_peer.PathType != _measured && _rounds < MaximumRounds)
                return Again(now);
            Tell("Waiting for keys", AttemptShare);
            return Timestamp.Earliest(now + TellInterval, _measuring + LinkPatience);
        }

        return Measure(now);
    }

    /// <inheritdoc/>
    public override bool TryTakePong(in ControlFrame pong, Timestamp now) => _pings is not null && _pings.TryTakePong(pong, now);

    private bool IsDirect => _peer.PathType is PathType.Lan or PathType.Direct;

    private bool IsAttempting(Timestamp now) => !IsDirect && now - _started < _request.Timeout && _node.Role.IsTryingDirect(_peer, _tried);

    private Timestamp Again(Timestamp now)
    {
        _pings = null;
        _measuring = Timestamp.NotYet;
        if (!IsDirect)
            Try(now);
        return now;
    }

    private void Try(Timestamp now)
    {
        _tried = now;
        _node.Role.TryDirect(_peer);
    }

    private Timestamp TellAttempt(Timestamp now)
    {
        TimeSpan elapsed = now - _started;
        Tell("Trying to reach it directly", (int)(AttemptShare * elapsed / _request.Timeout));
        return Timestamp.Earliest(now + TellInterval, _started + _request.Timeout);
    }

    private Timestamp Measure(Timestamp now)
    {
        if (_pings is null)
        {
            _pings = new PingSeries(_node, _peer, _request.Count, _time);
            _measured = _peer.PathType;
        }

        int sent = _pings.Sent;
        Timestamp next = _pings.Run(now);
        // Beside the pings, which take the path that is in use.
        if (_pings.Sent != sent && _node.Role.MeasurePaths(_peer))
            _serverMeasured = now;
        Tell("Measuring the path", AttemptShare + ((100 - AttemptShare) * _pings.Sent / _request.Count));
        if (!_pings.IsDone)
            return next;
        // What was measured is no measure of a path that came up meanwhile, and one that was direct before the test may be dead by now,
        // which only shows when it is used: then there is an attempt to be made.
        bool isOther = _peer.PathType != _measured || (IsDirect && !_peer.IsServer && _pings.Result.Answered == 0);
        if (isOther && _rounds < MaximumRounds)
            return Again(now);

        // The way through the server is the longer one.
        Timestamp patience = _serverMeasured + ServerPatience;
        if (now < patience && _node.Role.Diagnose(_peer).ServerRoundTrip is null)
            return patience;
        return Done(_pings.Result);
    }

    private Timestamp Done(PingResult pings)
    {
        Finish(Describe(pings, _node.Role.Diagnose(_peer)));
        return Timestamp.Never;
    }

    private PeerTestReport Describe(PingResult pings, PeerDiagnosis diagnosis)
    {
        PathType path = _peer.PathType;
        UdpEndpoint endpoint = _peer.Path.Endpoint;
        return new PeerTestReport
        {
            Peer = _peer.Name,
            Address = _peer.Addresses[0].ToIPAddress(),
            PublicKey = _peer.Key.ToString(),
            IsServer = _peer.IsServer,
            Path = path,
            Endpoint = path != PathType.Offline && endpoint.IsSpecified ? endpoint.ToIPEndPoint() : null,
            Pings = pings,
            ServerRoundTrip = diagnosis.ServerRoundTrip ?? (path == PathType.Server ? pings.Average : null),
            LocalNat = diagnosis.LocalNat,
            PeerNat = diagnosis.PeerNat,
            Candidates = diagnosis.Candidates,
            Reason = _peer.Reason,
            Duration = _time.Now() - _started,
        };
    }
}
