using BenchmarkDotNet.Attributes;
using LightTunnel.Packets;

namespace LightTunnel.Benchmarks.Packets;

/// <summary>The checksum that is verified of each packet, and computed anew for what is split.</summary>
public class ChecksumBenchmarks
{
    private readonly byte[] _packet = new byte[65535];

    /// <summary>Bytes: a small packet, one that fills an ordinary MTU, and the largest that the kernel hands over.</summary>
    [Params(64, 1420, 65535)]
    public int Size { get; set; }

    [GlobalSetup]
    public void Fill() => new Random(1).NextBytes(_packet);

    [Benchmark]
    public int Compute() => InternetChecksum.Compute(_packet.AsSpan(0, Size));
}
