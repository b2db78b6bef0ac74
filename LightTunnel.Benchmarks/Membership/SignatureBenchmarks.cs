using BenchmarkDotNet.Attributes;
using LightTunnel.Addressing;
using LightTunnel.Membership.Signing;
using LightTunnel.WireGuard;

namespace LightTunnel.Benchmarks.Membership;

/// <summary>An admin's signature of a member: made once, and checked once by each other member.</summary>
public class SignatureBenchmarks : IDisposable
{
    private readonly SigningKey _key = SigningKey.Generate();
    private readonly PublicKey _member = new(new byte[PublicKey.Size]);
    private readonly TunnelAddress[] _addresses = [TunnelAddress.TryParse("10.0.0.20", out TunnelAddress address) ? address : default];
    private readonly DateTimeOffset _now = DateTimeOffset.UtcNow;
    private SigningTrust _trust = null!;
    private MemberSignature _signature = null!;

    [GlobalSetup]
    public void Begin()
    {
        _trust = new SigningTrust(_member, [_key.PublicKey]);
        _signature = Sign();
    }

    [Benchmark]
    public int SignMember() => Sign().GetHashCode();

    private MemberSignature Sign() => MemberSignature.Make(_key, new MemberStatement
    {
        ServerKey = _member, PublicKey = _member, Name = "laptop", Addresses = _addresses, Issued = _now,
    });

    [Benchmark]
    public SignatureState CheckMember() => _trust.Check(_member, "laptop", _addresses, isPlain: false, _signature, _now);

    [GlobalCleanup]
    public void Dispose()
    {
        _key.Dispose();
        GC.SuppressFinalize(this);
    }
}
