using LightTunnel.Engine.Control;
using LightTunnel.Membership;
using LightTunnel.Packets;
using LightTunnel.Timing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Client;

/// <summary>
/// Follows the network's key: what the server tells is used at once, kept, and then said to have been taken, as from then on others answer
/// this node by it. Former keys are let go of when their time is over. Owned by the control loop.
/// </summary>
/// <param name="node">The node.</param>
/// <param name="connection">The server.</param>
/// <param name="keep">Keeps keys where a restart finds them, and calls back on the control loop; null for nowhere.</param>
internal sealed class NetworkKeyFollower(Node node, ServerConnection connection, Action<NetworkKeySet, Action>? keep)
{
    /// <summary>Each key that is taken is written to the disk: so many at once, and one more each minute.</summary>
    private const int Burst = 8;

    private static readonly TimeSpan Interval = TimeSpan.FromMinutes(1);

    private readonly RateLimiter _limiter = new(node.Time, Interval, Burst);
    private NetworkKeyMessage? _told;
    private Timestamp _nextTry = Timestamp.Never;

    private PresharedKeyRing Keys => node.NetworkKeys;

    /// <summary>The server tells of the network's key. Of several that it tells faster than they are taken, the last one counts.</summary>
    public void OnTold(NetworkKeyMessage told)
    {
        _told?.Key.Dispose();
        _told = told;
        _nextTry = node.Now;
    }

    /// <summary>Does what is due; returns when to call again.</summary>
    public Timestamp Run(Timestamp now)
    {
        if (_told is { } told && _nextTry <= now)
        {
            if (_limiter.TryTake(now))
                Take(told);
            else
                _nextTry = now + Interval;
        }

        DateTimeOffset wall = node.Time.GetUtcNow();
        if (Keys.Set.NextEnd <= wall)
            Use(Keys.Set.At(wall), isTold: false);
        Timestamp end = Keys.Set.NextEnd is { } until ? now + Shorter(until - wall) : Timestamp.Never;
        return Timestamp.Earliest(end, _told is null ? Timestamp.Never : _nextTry);
    }

    /// <summary>Timers go by another clock than ends: who looks once a day is not late by more than the two differ in a day.</summary>
    private static TimeSpan Shorter(TimeSpan time) => time < TimeSpan.FromDays(1) ? time : TimeSpan.FromDays(1);

    private void Take(NetworkKeyMessage told)
    {
        _told = null;
        using PresharedKey key = told.Key;
        NetworkKeySet known = Keys.Set;
        if (known.Has(told.Key.Bytes) && known.Number == told.Number)
        {
            if (connection.KeptKeyNumber == told.Number)
                Tell(told.Number); // It was not heard, or the server has forgotten it.
            return;
        }

        DateTimeOffset wall = node.Time.GetUtcNow();
        bool isAnother = !known.Has(told.Key.Bytes);
        Use(
            isAnother
                ? known.Follow(told.Key.Bytes, told.Number, wall, TimeSpan.FromSeconds(told.FormerSeconds))
                : known with { Number = told.Number },
            isTold: true);
        if (isAnother)
            node.Log.Information("The network {Network} has another key from now on, which this node has taken", connection.Server.Name);
    }

    private void Use(NetworkKeySet keys, bool isTold)
    {
        NetworkKeySet before = Keys.Set;
        Keys.Take(keys);
        if (keep is null)
            OnKept(before, keys.Number, isTold);
        else
            keep(keys, () => OnKept(before, keys.Number, isTold));
    }

    private void OnKept(NetworkKeySet before, int number, bool isTold)
    {
        before.ZeroOthersThan(Keys.Set);
        connection.KeptKeyNumber = number;
        if (isTold)
            Tell(number);
    }

    private void Tell(int number) => connection.Tell(new NetworkKeyTakenMessage { Number = number });
}
