using LightTunnel.Timing;

namespace LightTunnel.Traversal;

/// <summary>
/// When everything is tried again to reach a peer directly: quickly after an event, then ever more slowly, for ever. Owned by
/// the control loop.
/// </summary>
internal sealed class RetryPace
{
    private static readonly TimeSpan First = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Slowest = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan SlowestBusy = TimeSpan.FromSeconds(5);

    /// <summary>While a direct path carries data, endpoints that may be as good or better are tried this often.</summary>
    private static readonly TimeSpan BetterPathInterval = TimeSpan.FromSeconds(30);

    private TimeSpan _wait = First;
    private Timestamp _lastRound;

    /// <summary>When the next round is due.</summary>
    public Timestamp Next { get; private set; } = Timestamp.Never;

    /// <summary>Something changed: the waiting times begin anew.</summary>
    public void Reset() => _wait = First;

    /// <summary>The next round is due now.</summary>
    public void Hurry(Timestamp now) => Next = now;

    /// <summary>A round is wanted, but not sooner after the last than data may have it.</summary>
    public void Want(Timestamp now) => Next = Timestamp.Earliest(Next, Timestamp.Latest(now, _lastRound + SlowestBusy));

    /// <summary>No round until somebody wants one.</summary>
    public void Rest() => Next = Timestamp.Never;

    /// <summary>A round is made.</summary>
    public void OnRound(Timestamp now) => _lastRound = now;

    /// <summary>Plans the round after this one.</summary>
    /// <param name="now">The present.</param>
    /// <param name="isProven">Whether a direct path is proven.</param>
    /// <param name="busy">Whether data flows.</param>
    public void Schedule(Timestamp now, bool isProven, bool busy)
    {
        if (isProven)
        {
            Next = now + BetterPathInterval;
            return;
        }

        TimeSpan most = busy ? SlowestBusy : Slowest;
        Next = now + (_wait < most ? _wait : most);
        _wait = _wait * 2 < Slowest ? _wait * 2 : Slowest;
    }
}
