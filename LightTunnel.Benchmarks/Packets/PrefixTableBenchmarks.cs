using BenchmarkDotNet.Attributes;
using LightTunnel.Addressing;

namespace LightTunnel.Benchmarks.Packets;

/// <summary>
/// Which peer a destination address leads to: once for each packet that is sent, and for each source address that is checked.
/// </summary>
public class PrefixTableBenchmarks
{
    private readonly TunnelAddress[] _destinations = new TunnelAddress[1024];
    private PrefixTable<string> _table = PrefixTable<string>.Empty;
    private int _next;

    /// <summary>Members of the network, each with a route to its own address.</summary>
    [Params(10, 1000)]
    public int Routes { get; set; }

    [GlobalSetup]
    public void Fill()
    {
        for (int i = 0; i < Routes; i++)
            _table = _table.With(IpPrefix.Host(Member(i)), "peer");
        var random = new Random(1);
        for (int i = 0; i < _destinations.Length; i++)
            _destinations[i] = Member(random.Next(Routes));
    }

    [Benchmark]
    public bool Lookup() => _table.TryLookup(_destinations[_next++ % _destinations.Length], out _);

    private static TunnelAddress Member(int number) => TunnelAddress.FromIPv4(0x0A00_0001u + (uint)number);
}
