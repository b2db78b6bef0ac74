using BenchmarkDotNet.Attributes;
using LightTunnel.Timing;
using LightTunnel.WireGuard;

namespace LightTunnel.Benchmarks.WireGuard;

/// <summary>Sealing and opening a packet with a session's keys: more than half of what a packet costs.</summary>
public class SealBenchmarks : IDisposable
{
    private KeyPair _session = null!;
    private TransportCipher _cipher = null!;
    private byte[] _packet = [];
    private byte[] _sealed = [];
    private byte[] _datagram = [];
    private byte[] _first = [];
    private byte[] _second = [];
    private byte[] _firstSealed = [];
    private byte[] _secondSealed = [];

    /// <summary>Bytes of the packet: a small one, and one that fills the tunnel's ordinary MTU.</summary>
    [Params(64, 1420)]
    public int Size { get; set; }

    /// <summary>WireGuard's suite by the implementation that is fastest here, and AEGIS-256.</summary>
    [ParamsAllValues]
    public CipherSuite Suite { get; set; }

    [GlobalSetup]
    public void Begin()
    {
        byte[] key = new byte[TransportCipher.KeySize];
        new Random(1).NextBytes(key);
        // One key for both directions, so that the session opens what it has sealed; nothing asks it for its link.
        _session = new KeyPair(null!, Suite, key, key, localIndex: 1, remoteIndex: 2, isInitiator: true, created: Timestamp.NotYet);
        _packet = new byte[Size];
        _datagram = new byte[Size + _session.Overhead];
        _session.Seal(0, _packet, _datagram);
        _sealed = [.. _datagram];

        _cipher = TransportCipher.Create(Suite, key);
        _first = new byte[Size + _cipher.TagSize];
        _second = new byte[_first.Length];
        _cipher.SealPair(0, _packet, _packet, _first, _second);
        _firstSealed = [.. _first];
        _secondSealed = [.. _second];
    }

    [Benchmark]
    public bool Seal()
    {
        if (_session.TryClaimCounters(1, out ulong counter))
            _session.Seal(counter, _packet, _datagram);
        return _session.IsIntact();
    }

    /// <summary>With a copy first: it opens in place, and there is nothing left to open then.</summary>
    [Benchmark]
    public bool Open()
    {
        _sealed.CopyTo(_datagram, 0);
        return _session.TryOpen(0, _datagram);
    }

    /// <summary>Two packets side by side; the figures are for one of them, without the session's own work.</summary>
    [Benchmark(OperationsPerInvoke = 2)]
    public void SealPair() => _cipher.SealPair(0, _packet, _packet, _first, _second);

    /// <inheritdoc cref="SealPair"/>
    [Benchmark(OperationsPerInvoke = 2)]
    public bool OpenPair()
    {
        _firstSealed.CopyTo(_first, 0);
        _secondSealed.CopyTo(_second, 0);
        _cipher.TryOpenPair(0, 1, _first, _second, _first, _second, out bool first, out bool second);
        return first && second;
    }

    [GlobalCleanup]
    public void Dispose()
    {
        _cipher.Dispose();
        _session.Dispose();
        GC.SuppressFinalize(this);
    }
}
