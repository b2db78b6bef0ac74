using LightTunnel.Membership.Cbor;
using LightTunnel.WireGuard;

namespace LightTunnel.Membership;

/// <summary>What the store says of a key that an admin keeps out. Never changed after creation.</summary>
internal sealed record Block : ICborRecord<Block>
{
    /// <summary>The name that its member had.</summary>
    public required string Name { get; init; }

    /// <summary>Since when.</summary>
    public required DateTimeOffset Since { get; init; }

    /// <summary>The user of the server's machine who did it; empty when unknown.</summary>
    public string By { get; init; } = string.Empty;

    /// <inheritdoc/>
    public static Block Exchange(CborFields<Block> fields) => new()
    {
        Name = fields.Required(1, "name", m => m.Name, FieldKinds.Name),
        Since = fields.Required(2, "since", m => m.Since, FieldKinds.Time),
        By = fields.Optional(3, "by", m => m.By, FieldKinds.Text),
    };
}

/// <summary>
/// The keys that are kept out of the network, as they are in the store. Who acts upon that is told of each change. Owned by the control
/// loop.
/// </summary>
internal sealed class BlockedKeys
{
    /// <summary>Most keys that an admin can keep out: as many as there can be members.</summary>
    public const int MaximumCount = Leases.DefaultMaximumCount;

    /// <summary>An entry of a newer version, or one that is damaged, keeps its key out nevertheless.</summary>
    private static readonly Block Unreadable = new() { Name = "unknown", Since = DateTimeOffset.UnixEpoch };

    private readonly Dictionary<PublicKey, Block> _blocks = [];
    private readonly Queue<PublicKey> _news = new();

    /// <summary>All of them.</summary>
    public IReadOnlyDictionary<PublicKey, Block> All => _blocks;

    /// <summary>True for a key that is kept out.</summary>
    public bool Contains(in PublicKey key) => _blocks.ContainsKey(key);

    /// <summary>What is known of a key that is kept out; null for any other.</summary>
    public Block? Find(in PublicKey key) => _blocks.GetValueOrDefault(key);

    /// <summary>Takes over what is in the store now.</summary>
    /// <param name="key">The key.</param>
    /// <param name="value">Its entry's value, or null when there is none.</param>
    public void Take(in PublicKey key, byte[]? value)
    {
        bool was = _blocks.Remove(key);
        if (value is not null)
            _blocks[key] = CborMap.TryRead(value, out CborMap? map) && CborRecord.TryRead(map, out Block? read) ? read : Unreadable;
        if (was != value is not null)
            _news.Enqueue(key);
    }

    /// <summary>The next key that is kept out since this was last asked, or no more.</summary>
    public bool TryTakeNews(out PublicKey key) => _news.TryDequeue(out key);
}
