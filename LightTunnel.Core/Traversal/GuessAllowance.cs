using LightTunnel.Timing;

namespace LightTunnel.Traversal;

/// <summary>
/// When ports may be guessed again: guessing costs both sides' routers some thousand mappings and datagrams, so that failures make it rare.
/// Owned by the control loop.
/// </summary>
/// <param name="random">Varies the pauses, so that pairs that failed together do not try again together, when each would disturb the
/// others.</param>
internal sealed class GuessAllowance(Random random)
{
    /// <summary>
    /// Where both ports are predicted little is sent, and what others took meanwhile is another number each time: so many
    /// attempts come quickly.
    /// </summary>
    private const int QuickAttempts = 4;
    private static readonly TimeSpan QuickPause = TimeSpan.FromMilliseconds(200);

    /// <summary>After the first failure this long, then twice that, up to an hour, each up to a half more by chance.</summary>
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan LongestPause = TimeSpan.FromHours(1);

    /// <summary>While data waits for a direct path, no pause is longer than this.</summary>
    private static readonly TimeSpan LongestPauseBusy = TimeSpan.FromMinutes(5);

    /// <summary>
    /// Attempts that are made at most, whoever asks for them and however often something changes: a few in a row, one a minute for ever.
    /// </summary>
    private const double MostInARow = 20;
    private static readonly TimeSpan Refill = TimeSpan.FromMinutes(1);

    private double _attempts = MostInARow;
    private Timestamp _countedAt;
    private TimeSpan _pause = FirstPause;
    private int _quickAttempts = QuickAttempts;
    private Timestamp _next;
    private Timestamp _nextBusy;

    /// <summary>True when this node may ask the other to guess at the same time.</summary>
    public bool IsGiven(Timestamp now, bool busy) => IsTolerated(now) && now >= (busy ? Timestamp.Earliest(_next, _nextBusy) : _next);

    /// <summary>
    /// True when it may guess because the other asks for it: our own pauses may have become others than the other's, and guessing alone
    /// is for nothing.
    /// </summary>
    public bool IsTolerated(Timestamp now) => Attempts(now) >= 1;

    /// <summary>A plan with guesses begins.</summary>
    public void Spend(Timestamp now, PunchPlan plan)
    {
        _attempts = Attempts(now) - 1;
        _countedAt = now;
        double more = 1 + (random.NextDouble() / 2);
        if (plan.IsMeeting && --_quickAttempts > 0)
        {
            _next = _nextBusy = now + plan.Duration + (QuickPause * more);
            return;
        }

        _next = now + PunchPlan.LongestDuration + (_pause * more);
        _nextBusy = now + (LongestPauseBusy * more);
        _pause = _pause * 2 < LongestPause ? _pause * 2 : LongestPause;
    }

    /// <summary>Something changed: what failed before may succeed now.</summary>
    public void Reset()
    {
        _pause = FirstPause;
        _next = Timestamp.AtOnce;
        _quickAttempts = QuickAttempts;
    }

    private double Attempts(Timestamp now) => Math.Min(MostInARow, _attempts + ((now - _countedAt) / Refill));
}
