using LightTunnel.Addressing;

namespace LightTunnel.Transport;

/// <summary>
/// Finds those who send the most without remembering everybody: Misra's and Gries's counters (1982), with weights. Whoever sent more
/// than one part in <see cref="Places"/> + 1 of everything is among them in the end, however many others there are, and nobody's counter
/// is above what it sent. For one thread; allocates nothing. It counts by address and port, as a socket can be given to no more than
/// that: who spreads what it sends, or forges where it comes from, is not found. So it keeps those who send much from hindering the
/// others, and is no defence.
/// </summary>
internal sealed class HeavySources
{
    /// <summary>Sources that are counted at a time.</summary>
    public const int Places = 16;

    // Whose counter is below this part of everything is not what the others wait for.
    private const int LeastPart = 32;

    private readonly UdpEndpoint[] _sources = new UdpEndpoint[Places];
    private readonly long[] _weights = new long[Places]; // 0 where a place is free.
    private long _total;

    /// <summary>Counts what a source sent.</summary>
    public void Add(in UdpEndpoint source, int weight)
    {
        _total += weight;
        int lightest = 0;
        for (int i = 0; i < Places; i++)
        {
            if (_weights[i] > 0 && _sources[i] == source)
            {
                _weights[i] += weight;
                return;
            }

            if (_weights[i] < _weights[lightest])
                lightest = i;
        }

        // What a newcomer weighs is taken from all alike, itself included, until one of the places is free.
        long taken = Math.Min(weight, _weights[lightest]);
        for (int i = 0; i < Places && taken > 0; i++)
            _weights[i] -= taken;
        if (weight > taken)
            (_sources[lightest], _weights[lightest]) = (source, weight - taken);
    }

    /// <summary>Takes the heaviest source out; false when nobody stands out.</summary>
    public bool TryTakeHeaviest(out UdpEndpoint source)
    {
        int heaviest = 0;
        for (int i = 1; i < Places; i++)
        {
            if (_weights[i] > _weights[heaviest])
                heaviest = i;
        }

        source = _sources[heaviest];
        bool standsOut = _weights[heaviest] > _total / LeastPart;
        _weights[heaviest] = 0;
        return standsOut;
    }

    /// <summary>Begins anew.</summary>
    public void Clear()
    {
        Array.Clear(_weights);
        _total = 0;
    }
}
