using System.Diagnostics.CodeAnalysis;
using LightTunnel.Addressing;
using LightTunnel.Timing;

namespace LightTunnel.Traversal;

/// <summary>
/// The paths to one peer that were proven once, or that its probes came by: bounded, the least useful goes first. Owned by
/// the control loop.
/// </summary>
internal sealed class PathTable
{
    /// <summary>Paths that are remembered.</summary>
    public const int MaximumCount = 32;

    private readonly Dictionary<PathAddress, ProbedPath> _paths = [];

    /// <summary>Every path.</summary>
    public IReadOnlyCollection<ProbedPath> All => _paths.Values;

    /// <summary>True while any path without a relay is proven.</summary>
    public bool IsDirectProven
    {
        get
        {
            foreach (ProbedPath path in _paths.Values)
            {
                if (path.IsProven && !path.Key.IsRelayed)
                    return true;
            }

            return false;
        }
    }

    /// <summary>The path with this key.</summary>
    public bool TryGet(in PathAddress key, [NotNullWhen(true)] out ProbedPath? path) => _paths.TryGetValue(key, out path);

    /// <summary>True when the path with this key is proven.</summary>
    public bool IsProven(in PathAddress key) => _paths.TryGetValue(key, out ProbedPath? path) && path.IsProven;

    /// <summary>The path with this key, new or known; false when there are too many that are all worth more.</summary>
    public bool TryGetOrAdd(in PathAddress key, Timestamp now, [NotNullWhen(true)] out ProbedPath? path)
    {
        if (_paths.TryGetValue(key, out path))
            return true;
        if (!Candidate.IsUsable(key.Endpoint))
            return false;
        if (_paths.Count >= MaximumCount)
        {
            ProbedPath? worst = _paths.Values
                .Where(known => !known.IsProven && known.LastHeard < now - OutstandingProbes.Lifetime)
                .MinBy(known => Timestamp.Latest(known.LastAnswer, known.LastHeard));
            if (worst is null)
                return false;
            _paths.Remove(worst.Key);
        }

        path = new ProbedPath(key);
        _paths.Add(key, path);
        return true;
    }

    /// <summary>Forgets every path without a relay.</summary>
    public void RemoveDirect()
    {
        foreach (PathAddress key in _paths.Keys)
        {
            if (!key.IsRelayed)
                _paths.Remove(key);
        }
    }

    /// <summary>Forgets a path.</summary>
    public void Remove(in PathAddress key) => _paths.Remove(key);
}
