using BenchmarkDotNet.Attributes;
using LightTunnel.WireGuard;

namespace LightTunnel.Benchmarks.WireGuard;

/// <summary>The check of a message's counter, once for each packet that arrives.</summary>
public class ReplayWindowBenchmarks
{
    private readonly ReplayWindow _ordered = new();
    private readonly ReplayWindow _reordered = new();
    private ulong _next;
    private ulong _nextReordered;

    [Benchmark]
    public bool InOrder() => _ordered.TryAccept(_next++);

    /// <summary>Groups of 64 arrive backwards.</summary>
    [Benchmark]
    public bool Reordered() => _reordered.TryAccept(_nextReordered++ ^ 63);
}
