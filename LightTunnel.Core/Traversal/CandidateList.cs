using System.Collections;
using LightTunnel.Addressing;

namespace LightTunnel.Traversal;

/// <summary>
/// The endpoints at which a member may be reachable: each once, at most <see cref="MaximumCount"/>, most promising first. Never changes.
/// </summary>
internal sealed class CandidateList : IReadOnlyList<Candidate>, IEquatable<CandidateList>
{
    /// <summary>Most entries; a hostile member cannot have us probe more.</summary>
    public const int MaximumCount = 16;

    /// <summary>A machine with many interfaces must not crowd out the endpoints that lead through its NAT.</summary>
    private const int ReservedForOthers = 8;

    private readonly Candidate[] _items;

    private CandidateList(Candidate[] items) => _items = items;

    /// <summary>No candidate.</summary>
    public static CandidateList Empty { get; } = new([]);

    /// <inheritdoc/>
    public int Count => _items.Length;

    /// <inheritdoc/>
    public Candidate this[int index] => _items[index];

    /// <summary>
    /// Orders: private addresses of interfaces, then public ones (IPv6 first), manual and port-mapped, reflexive, predicted; what is
    /// equal keeps its order. Leaves out what is unusable, and of one endpoint all but the best kind.
    /// </summary>
    public static CandidateList Create(IEnumerable<Candidate> candidates)
    {
        var seen = new HashSet<UdpEndpoint>();
        Candidate[] ordered = [.. candidates
            .Where(candidate => Candidate.IsUsable(candidate.Endpoint))
            .OrderBy(Rank)
            .Where(candidate => seen.Add(candidate.Endpoint))];
        if (ordered.Length > MaximumCount)
        {
            int others = Math.Min(ordered.Count(candidate => candidate.Kind != CandidateKind.Host), ReservedForOthers);
            int hosts = MaximumCount - others;
            ordered = [.. ordered.Where(candidate => candidate.Kind != CandidateKind.Host || hosts-- > 0).Take(MaximumCount)];
        }

        return ordered.Length == 0 ? Empty : new CandidateList(ordered);
    }

    /// <summary>The first endpoint of a kind in IPv4, where NATs are.</summary>
    public bool TryFindIPv4(CandidateKind kind, out UdpEndpoint endpoint)
    {
        foreach (Candidate candidate in _items)
        {
            if (candidate.Kind != kind || !candidate.Endpoint.IsIPv4)
                continue;
            endpoint = candidate.Endpoint;
            return true;
        }

        endpoint = default;
        return false;
    }

    /// <summary>True when both have the same endpoints but for predicted ones, which are others each time.</summary>
    public bool EqualsButPredictions(CandidateList other) =>
        _items.Where(candidate => candidate.Kind != CandidateKind.Predicted)
            .SequenceEqual(other._items.Where(candidate => candidate.Kind != CandidateKind.Predicted));

    /// <summary>How the endpoint is known to be one, null when it is not in the list.</summary>
    public CandidateKind? KindOf(in UdpEndpoint endpoint)
    {
        foreach (Candidate candidate in _items)
        {
            if (candidate.Endpoint == endpoint)
                return candidate.Kind;
        }

        return null;
    }

    /// <summary>Smaller is more promising.</summary>
    public static int Rank(Candidate candidate) => candidate switch
    {
        { Kind: CandidateKind.Host, Endpoint.IsLocal: true } => 0,
        { Endpoint.IsIPv4: false } when candidate.Kind != CandidateKind.Predicted => 1,
        { Kind: CandidateKind.Host } => 2,
        { Kind: CandidateKind.Manual } => 3,
        { Kind: CandidateKind.PortMapped } => 4,
        { Kind: CandidateKind.ServerReflexive } => 5,
        { Kind: CandidateKind.PeerReflexive } => 6,
        _ => 7,
    };

    /// <inheritdoc/>
    public IEnumerator<Candidate> GetEnumerator() => ((IEnumerable<Candidate>)_items).GetEnumerator();

    /// <inheritdoc/>
    public bool Equals(CandidateList? other) => other is not null && _items.AsSpan().SequenceEqual(other._items);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as CandidateList);

    /// <inheritdoc/>
    public override int GetHashCode() => _items.Length == 0 ? 0 : HashCode.Combine(_items.Length, _items[0]);

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
