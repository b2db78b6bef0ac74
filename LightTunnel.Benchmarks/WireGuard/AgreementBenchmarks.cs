using BenchmarkDotNet.Attributes;
using LightTunnel.WireGuard.Agreement;

namespace LightTunnel.Benchmarks.WireGuard;

/// <summary>
/// X25519 by each implementation that works on this machine: a handshake takes four agreements and a new key at either end.
/// </summary>
public class AgreementBenchmarks : IDisposable
{
    private readonly byte[] _privateKey = new byte[X25519Secret.Size];
    private readonly byte[] _publicKey = new byte[X25519Secret.Size];
    private readonly byte[] _shared = new byte[X25519Secret.Size];
    private X25519Implementation _implementation = null!;
    private X25519Secret _secret = null!;

    /// <summary>Names of implementations.</summary>
    [ParamsSource(nameof(Names))]
    public string Implementation { get; set; } = "";

    public static IEnumerable<string> Names => X25519.All.Where(X25519.Works).Select(implementation => implementation.Name);

    [GlobalSetup]
    public void Begin()
    {
        new Random(1).NextBytes(_privateKey);
        _implementation = X25519.All.Single(implementation => implementation.Name == Implementation);
        _secret = _implementation.Create(_privateKey);
        _secret.DerivePublicKey(_publicKey);
    }

    [Benchmark]
    public bool Agree() => _secret.TryAgree(_publicKey, _shared);

    /// <summary>A secret from its bytes, and its public key.</summary>
    [Benchmark]
    public void NewKey()
    {
        using X25519Secret secret = _implementation.Create(_privateKey);
        secret.DerivePublicKey(_shared);
    }

    [GlobalCleanup]
    public void Dispose()
    {
        _secret.Dispose();
        GC.SuppressFinalize(this);
    }
}
