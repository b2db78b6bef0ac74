using BenchmarkDotNet.Attributes;
using LightTunnel.Timing;
using LightTunnel.WireGuard;
using LightTunnel.WireGuard.Noise;

namespace LightTunnel.Benchmarks.WireGuard;

/// <summary>A whole handshake, both ends, from the initiation to a session on each.</summary>
public class HandshakeBenchmarks : IDisposable
{
    private const CipherSuite Suite = CipherSuite.WireGuard;

    private readonly PrivateKey _initiator = PrivateKey.Generate();
    private readonly PrivateKey _responder = PrivateKey.Generate();
    private readonly PresharedKey _network = PresharedKey.Generate();
    private readonly Tai64n _timestamp = Tai64n.Next(DateTimeOffset.UnixEpoch, default);
    private readonly byte[] _initiation = new byte[Messages.InitiationSize];
    private readonly byte[] _response = new byte[Messages.ResponseSize];
    private Link _toResponder = null!;
    private Link _toInitiator = null!;

    [GlobalSetup]
    public void Introduce()
    {
        // Tables without a host: none of their links sends anything.
        _toResponder = new LinkTable(_initiator, TimeProvider.System).Add(_responder.PublicKey, PresharedKeys.Of(_network));
        _toInitiator = new LinkTable(_responder, TimeProvider.System).Add(_initiator.PublicKey, PresharedKeys.Of(_network));
    }

    [Benchmark]
    public bool BothEnds()
    {
        using HandshakeState? initiating = Handshake.TryCreateInitiation(
            _initiator, _responder.PublicKey, Suite, 1, _timestamp, _initiation);
        using HandshakeState? responding = Handshake.TryReadInitiation(_responder, [Suite], _initiation, out _, out _);
        using KeyPair? ofResponder = Handshake.TryCreateResponse(
            responding!, Suite, _toInitiator, _initiation, 2, Timestamp.NotYet, _response);
        using KeyPair? ofInitiator = Handshake.TryAcceptResponse(initiating!, Suite, _toResponder, _response, 1, Timestamp.NotYet);
        return ofInitiator is not null;
    }

    [GlobalCleanup]
    public void Dispose()
    {
        _initiator.Dispose();
        _responder.Dispose();
        _network.Dispose();
        GC.SuppressFinalize(this);
    }
}
