namespace LightTunnel.WireGuard;

/// <summary>A pre-shared key, and which of its network's it is.</summary>
/// <param name="Number">As <see cref="NetworkKeySet.Number"/>.</param>
/// <param name="Key">The key.</param>
internal sealed record NumberedKey(int Number, PresharedKey Key);

/// <summary>What a link's handshakes are made with.</summary>
/// <param name="Keys">The pre-shared keys.</param>
/// <param name="PeerNumber">The newest of them that the peer is known to have, by its number; 0 where nothing is known.</param>
internal readonly record struct LinkKeys(PresharedKeys Keys, int PeerNumber);

/// <summary>
/// The pre-shared keys that the handshakes of links are made with, the newest first, at least one: a network has another key from some
/// moment on, and for a while members know each other by the one before as well. Owned by the control loop.
/// </summary>
internal abstract class PresharedKeys
{
    /// <summary>Where none is used: the paper's zeros.</summary>
    public static PresharedKeys None { get; } = new SingleKey(new PresharedKey(new byte[PresharedKey.Size]));

    /// <summary>All of them, the newest first.</summary>
    public abstract IReadOnlyList<NumberedKey> All { get; }

    /// <summary>Changes whenever <see cref="All"/> does.</summary>
    public abstract int Version { get; }

    /// <summary>The newest one.</summary>
    public NumberedKey Newest => All[0];

    /// <summary>One key only, which is not owned; <see cref="None"/> for null.</summary>
    public static PresharedKeys Of(PresharedKey? key) => key is null ? None : new SingleKey(key);

    /// <summary>
    /// The key that a peer can be expected to have: the newest that it is known to have, or the oldest where nothing is known, which it had
    /// before it was told of another.
    /// </summary>
    public int IndexFor(int peerNumber)
    {
        IReadOnlyList<NumberedKey> all = All;
        for (int i = 0; i < all.Count; i++)
        {
            if (all[i].Number <= peerNumber)
                return i;
        }

        return all.Count - 1;
    }

    private sealed class SingleKey(PresharedKey key) : PresharedKeys
    {
        public override IReadOnlyList<NumberedKey> All { get; } = [new NumberedKey(0, key)];

        public override int Version => 0;
    }
}

/// <summary>A node's keys of its network, as they change. Zeroes what it lets go of.</summary>
internal sealed class PresharedKeyRing : PresharedKeys, IDisposable
{
    private IReadOnlyList<NumberedKey> _all = [];
    private int _version;

    /// <param name="keys">The keys; copied.</param>
    public PresharedKeyRing(NetworkKeySet keys)
    {
        NewestOnly = new NewestKey(this);
        Set = keys;
        Take(keys);
    }

    /// <param name="only">The only key, copied.</param>
    public PresharedKeyRing(PresharedKey only)
        : this(new NetworkKeySet { Key = only.Bytes.ToArray() })
    {
    }

    /// <inheritdoc/>
    public override IReadOnlyList<NumberedKey> All => _all;

    /// <inheritdoc/>
    public override int Version => _version;

    /// <summary>The same without what is good for known members only.</summary>
    public PresharedKeys NewestOnly { get; }

    /// <summary>The keys, as they last.</summary>
    public NetworkKeySet Set { get; private set; }

    /// <summary>Which of the network's keys is the newest here.</summary>
    public int Number => Set.Number;

    /// <summary>These are the network's keys from now on.</summary>
    public void Take(NetworkKeySet keys)
    {
        IReadOnlyList<NumberedKey> before = _all;
        Set = keys;
        _all =
        [
            new NumberedKey(keys.Number, new PresharedKey(keys.Key)),
            .. keys.Former.Select(former => new NumberedKey(former.Number, new PresharedKey(former.Key))),
        ];
        _version++;
        Zero(before);
    }

    /// <inheritdoc/>
    public void Dispose() => Zero(_all);

    private static void Zero(IReadOnlyList<NumberedKey> keys)
    {
        foreach (NumberedKey key in keys)
            key.Key.Dispose();
    }

    private sealed class NewestKey(PresharedKeyRing ring) : PresharedKeys
    {
        private IReadOnlyList<NumberedKey> _all = [];
        private int _version;

        public override IReadOnlyList<NumberedKey> All
        {
            get
            {
                if (_version != ring._version)
                    (_version, _all) = (ring._version, [ring._all[0]]);
                return _all;
            }
        }

        public override int Version => ring._version;
    }
}
