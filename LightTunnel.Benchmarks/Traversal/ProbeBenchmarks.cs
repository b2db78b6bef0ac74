using BenchmarkDotNet.Attributes;
using LightTunnel.Addressing;
using LightTunnel.Traversal;
using LightTunnel.WireGuard;

namespace LightTunnel.Benchmarks.Traversal;

/// <summary>Writing a probe, and reading and verifying one.</summary>
public class ProbeBenchmarks : IDisposable
{
    private readonly byte[] _datagram = new byte[ProbeCodec.Size];
    private readonly byte[] _received = new byte[ProbeCodec.Size];
    private readonly Probe _probe = new(
        IsAnswer: true, Sender: 7, Sequence: 1, Transaction: 2, ProbeFlags.PathInUse, new UdpEndpoint(UInt128.One, 9000));
    private ProbeKey? _own;
    private ProbeKey? _others;

    [GlobalSetup]
    public void Derive()
    {
        using var own = PrivateKey.Generate();
        using var other = PrivateKey.Generate();
        using var network = PresharedKey.Generate();
        if (!ProbeKey.TryDerive(own, other.PublicKey, network, out _own) || !ProbeKey.TryDerive(other, own.PublicKey, network, out _others))
            throw new InvalidOperationException("Two random keys agree on nothing.");
        ProbeCodec.Seal(_others, _probe, _received);
    }

    [Benchmark]
    public void Encode() => ProbeCodec.Seal(_own!, _probe, _datagram);

    [Benchmark]
    public bool DecodeAndVerify() => ProbeCodec.TryOpen(_own!, _received, out _);

    [GlobalCleanup]
    public void Dispose()
    {
        _own?.Dispose();
        _others?.Dispose();
        GC.SuppressFinalize(this);
    }
}
