using LightTunnel.Addressing;
using LightTunnel.Timing;

namespace LightTunnel.Traversal;

/// <summary>Probes whose answers are waited for: a bounded number, each for a bounded time. Owned by the control loop.</summary>
internal sealed class OutstandingProbes(Random random)
{
    /// <summary>Most that are waited for; more displace the oldest.</summary>
    public const int Capacity = 2048;

    /// <summary>An answer this late is an answer still.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromSeconds(5);

    private readonly Dictionary<uint, (PathAddress Path, Timestamp Sent)> _waiting = [];
    private readonly Queue<(uint Transaction, Timestamp Sent)> _order = new();

    /// <summary>How many are waited for.</summary>
    public int Count => _waiting.Count;

    /// <summary>Notes a probe by a path; returns the transaction that its answer will carry.</summary>
    public uint Add(in PathAddress path, Timestamp now)
    {
        if (_waiting.Count >= Capacity && _order.TryDequeue(out (uint Transaction, Timestamp Sent) oldest))
            _waiting.Remove(oldest.Transaction);
        uint transaction;
        do
            transaction = (uint)random.NextInt64(1L << 32);
        while (!_waiting.TryAdd(transaction, (path, now)));
        _order.Enqueue((transaction, now));
        return transaction;
    }

    /// <summary>Ends the wait for an answer; false when nobody waits for it.</summary>
    public bool TryTake(uint transaction, out PathAddress path, out Timestamp sent)
    {
        bool known = _waiting.Remove(transaction, out (PathAddress Path, Timestamp Sent) probe);
        (path, sent) = probe;
        return known;
    }

    /// <summary>Gives up those that are older than <see cref="Lifetime"/>.</summary>
    public void ForgetLate(Timestamp now)
    {
        Timestamp limit = now - Lifetime;
        while (_order.TryPeek(out (uint Transaction, Timestamp Sent) oldest) && oldest.Sent < limit)
        {
            _order.Dequeue();
            _waiting.Remove(oldest.Transaction);
        }
    }

    /// <summary>Waits for none.</summary>
    public void Clear()
    {
        _waiting.Clear();
        _order.Clear();
    }
}
