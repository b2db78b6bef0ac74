using System.Diagnostics.CodeAnalysis;
using LightTunnel.WireGuard;

namespace LightTunnel.Traversal;

/// <summary>
/// The keys of the probes with one peer, for each of the network's keys that are good at present: what a peer seals with any of them is
/// opened, and it is sent what it can be expected to open. Derived when first needed. Owned by the control loop.
/// </summary>
internal sealed class ProbeKeys : IDisposable
{
    private readonly PrivateKey _own;
    private readonly PublicKey _peer;
    private readonly PresharedKeys _network;
    private ProbeKey?[] _keys = [];
    private int _version;

    private ProbeKeys(PrivateKey own, in PublicKey peer, PresharedKeys network)
    {
        _own = own;
        _peer = peer;
        _network = network;
    }

    /// <summary>The newest of the network's keys that the peer is known to have, as somebody told or as it has shown.</summary>
    public int PeerNumber { get; set; }

    /// <summary>How many there are.</summary>
    public int Count
    {
        get
        {
            Renew();
            return _keys.Length;
        }
    }

    /// <summary>The one to seal with.</summary>
    public ProbeKey Sending => this[_network.IndexFor(PeerNumber)];

    /// <summary>One of them, the newest first.</summary>
    public ProbeKey this[int index]
    {
        get
        {
            Renew();
            if (_keys[index] is { } known)
                return known;
            return ProbeKey.TryDerive(_own, _peer, _network.All[index].Key, out ProbeKey? derived)
                ? _keys[index] = derived
                : throw new InvalidOperationException("The peer's key was usable before.");
        }
    }

    /// <summary>False when the peer's key is unusable (of low order) or our own.</summary>
    /// <param name="own">This node's key pair; not owned.</param>
    /// <param name="peer">The peer's public key.</param>
    /// <param name="network">The network's keys; not owned.</param>
    /// <param name="keys">The keys.</param>
    public static bool TryMake(PrivateKey own, in PublicKey peer, PresharedKeys network, [NotNullWhen(true)] out ProbeKeys? keys)
    {
        keys = null;
        if (!ProbeKey.TryDerive(own, peer, network.Newest.Key, out ProbeKey? newest))
            return false;
        keys = new ProbeKeys(own, peer, network);
        keys.Renew();
        keys._keys[0] = newest;
        return true;
    }

    /// <summary>The peer has one of them.</summary>
    public void NoteShown(int index) => PeerNumber = Math.Max(PeerNumber, _network.All[index].Number);

    /// <summary>Zeroes the keys.</summary>
    public void Dispose()
    {
        foreach (ProbeKey? key in _keys)
            key?.Dispose();
    }

    private void Renew()
    {
        if (_keys.Length > 0 && _version == _network.Version)
            return;
        Dispose();
        _version = _network.Version;
        _keys = new ProbeKey?[_network.All.Count];
    }
}
