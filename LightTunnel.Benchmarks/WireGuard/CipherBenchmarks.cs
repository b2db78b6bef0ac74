using BenchmarkDotNet.Attributes;
using LightTunnel.WireGuard;
using LightTunnel.WireGuard.Ciphers;

namespace LightTunnel.Benchmarks.WireGuard;

/// <summary>Each implementation of each cipher that works on this machine; those that links do not choose, too.</summary>
public class CipherBenchmarks : IDisposable
{
    private TransportCipher _cipher = null!;
    private byte[] _packet = [];
    private byte[] _sealed = [];
    private byte[] _opened = [];

    /// <summary>Bytes of the packet: a small one, and one that fills the tunnel's ordinary MTU.</summary>
    [Params(64, 1420)]
    public int Size { get; set; }

    /// <summary>Names of implementations.</summary>
    [ParamsSource(nameof(Names))]
    public string Cipher { get; set; } = "";

    public static IEnumerable<string> Names =>
    [
        .. Aegis256.All.Where(Aegis256.Works).Select(implementation => $"AEGIS-256 {implementation.Name}"),
        .. ChaChaPoly.All.Where(ChaChaPoly.Works).Select(implementation => $"ChaCha20 {implementation.Name}"),
    ];

    [GlobalSetup]
    public void Begin()
    {
        byte[] key = new byte[TransportCipher.KeySize];
        string name = Cipher.Split(' ')[1];
        _cipher = Cipher.StartsWith("AEGIS", StringComparison.Ordinal)
            ? Aegis256.All.Single(implementation => implementation.Name == name).Create(key)
            : ChaChaPoly.All.Single(implementation => implementation.Name == name).CreateForAllLengths(key);
        _packet = new byte[Size];
        _opened = new byte[Size];
        _sealed = new byte[Size + _cipher.TagSize];
        _cipher.Seal(0, default, _packet, _sealed);
    }

    [Benchmark]
    public void Seal() => _cipher.Seal(0, default, _packet, _sealed);

    [Benchmark]
    public bool Open() => _cipher.TryOpen(0, default, _sealed, _opened);

    [GlobalCleanup]
    public void Dispose()
    {
        _cipher.Dispose();
        GC.SuppressFinalize(this);
    }
}
