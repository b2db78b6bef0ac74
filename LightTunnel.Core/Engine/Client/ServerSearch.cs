using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Timing;

namespace LightTunnel.Engine.Client;

/// <summary>
/// When and where a client looks for its server: names are looked up again for each attempt, attempts become rarer, and never end. Owned by
/// the control loop.
/// </summary>
/// <param name="locator">Looks the server's names up.</param>
/// <param name="time">The clock.</param>
/// <param name="jitter">What waiting times are varied by.</param>
/// <param name="post">Runs an action on the control loop.</param>
/// <param name="located">Takes what each look-up found; on the control loop.</param>
internal sealed class ServerSearch(
    ServerLocator locator, TimeProvider time, Random jitter, Action<Action> post, Action<ServerLocation> located)
    : IDisposable
{
    /// <summary>
    /// Waiting times between attempts, in seconds; the last one repeats. The first attempts are as many as a server may have keys to try,
    /// so that who comes back, and who has a wrong key, knows it soon.
    /// </summary>
    private static readonly double[] Intervals = [1, 1, 1, 2, 4, 8, 15];

    /// <summary>Each waiting time is varied by a tenth up or down, so that clients of a restarted server do not come all at once.</summary>
    private const double Jitter = 0.1;

    /// <summary>
    /// Nothing is sent to the server for this long. A router that forwarded before it was ready, untranslated for instance, keeps that in
    /// its connection table for as long as datagrams of the same addresses and ports come, and for 30 s after the last (Linux:
    /// nf_conntrack_udp_timeout): who tries again and again stays cut off.
    /// </summary>
    internal static readonly TimeSpan Silence = TimeSpan.FromSeconds(35);

    /// <summary>Attempts until the first silence, about 50 s.</summary>
    private const int AttemptsBeforeSilence = 8;

    /// <summary>Attempts between two silences, about five minutes: mostly it is the server that is away.</summary>
    private const int AttemptsBetweenSilences = 20;

    private readonly CancellationTokenSource _stopping = new();
    private ServerLocation? _last;
    private bool _locating;
    private int _attempts;
    private Timestamp _restsUntil;
    private int _attemptsToSilence;
    private Timestamp _silentUntil;

    /// <summary>When the next attempt is due; <see cref="Timestamp.Never"/> while nobody searches.</summary>
    public Timestamp NextAttempt { get; private set; } = Timestamp.Never;

    /// <summary>Endpoints that the last attempt was sent to.</summary>
    public IReadOnlyList<UdpEndpoint> Candidates { get; set; } = [];

    /// <summary>True from <see cref="Begin"/> to <see cref="End"/>.</summary>
    public bool IsActive => NextAttempt != Timestamp.Never;

    /// <summary>True while nobody is asked, whatever happens.</summary>
    public bool IsResting => time.Now() < _restsUntil;

    /// <summary>True while nothing may be sent to the server.</summary>
    public bool IsSilent => IsActive && time.Now() < Timestamp.Latest(_silentUntil, _restsUntil);

    /// <summary>Begins to search, with the first attempt now, or when the rest is over.</summary>
    public void Begin()
    {
        _attempts = 0;
        _attemptsToSilence = AttemptsBeforeSilence;
        NextAttempt = _silentUntil = Timestamp.Latest(_restsUntil, time.Now());
    }

    /// <summary>Goes on with the search after a rest, until which nobody is asked.</summary>
    public void Rest(TimeSpan duration)
    {
        _restsUntil = time.Now() + duration;
        Candidates = [];
        Begin();
    }

    /// <summary>The server is found, or no longer wanted.</summary>
    public void End() => NextAttempt = Timestamp.Never;

    /// <summary>A sentence for the person who waited too long.</summary>
    /// <param name="isForged">True when the server answered under another network key.</param>
    /// <param name="local">What of this machine's own is in the way, or null.</param>
    /// <param name="lastError">The last thing that went wrong, or null.</param>
    public LightTunnelException Unreachable(bool isForged, LightTunnelException? local, string? lastError)
    {
        if (isForged)
        {
            return new LightTunnelException(
                LightTunnelError.InvalidKey,
                $"The server {locator.Description} answered, but its answer does not fit the network key.",
                "It may have been changed since this machine was last there (Update-LtNetworkKey), or is mistyped. Connect with a new "
                    + "invitation (New-LtInvitation on the server): a member keeps its name and address.");
        }

        if (local is not null)
            return local;
        return Candidates.Count == 0 && lastError is not null
            ? new LightTunnelException(
                LightTunnelError.NameResolutionFailed, lastError, "Check the server's name and this machine's name resolution.")
            : new LightTunnelException(
                LightTunnelError.ServerUnreachable,
                $"The server {locator.Description} did not answer.",
                "Check that the server runs, that its UDP port is open on the way, and that ServerKey is the server's public key: "
                    + "it does not answer others.");
    }

    /// <summary>
    /// Plans the next attempt and, unless told to wait or still at it, looks the server up. After some failures it is a silence instead.
    /// </summary>
    /// <param name="now">The present.</param>
    /// <param name="lookUp">False while the server is answering.</param>
    public void Attempt(Timestamp now, bool lookUp)
    {
        if (lookUp && _attemptsToSilence-- == 0)
        {
            _attemptsToSilence = AttemptsBetweenSilences;
            NextAttempt = _silentUntil = now + Vary(Silence.TotalSeconds * (1 + Jitter));
            return;
        }

        NextAttempt = now + Vary(Intervals[Math.Min(_attempts++, Intervals.Length - 1)]);
        if (!lookUp)
            return;
        if (_locating)
        {
            // A resolver that hangs does not keep the client from trying where the server was.
            if (_last is not null)
                located(_last);
            return;
        }

        _locating = true;
        _ = LocateAsync();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _stopping.Cancel();
        _stopping.Dispose();
    }

    private TimeSpan Vary(double seconds) => TimeSpan.FromSeconds(seconds * (1 - Jitter + (jitter.NextDouble() * 2 * Jitter)));

    private async Task LocateAsync()
    {
        ServerLocation location;
        try
        {
            location = await locator.LocateAsync(_stopping.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            return;
        }

        post(() =>
        {
            _locating = false;
            _last = location;
            if (IsActive && !IsSilent)
                located(location);
        });
    }
}
