using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Security.Cryptography;
using LightTunnel.Addressing;
using LightTunnel.Membership.Cbor;
using LightTunnel.Membership.Store;

namespace LightTunnel.Membership;

/// <summary>Whether an invitation admits anybody.</summary>
public enum InvitationState
{
    /// <summary>It does.</summary>
    Active,

    /// <summary>As many as it may have come by it.</summary>
    UsedUp,

    /// <summary>Its time is over.</summary>
    Expired,

    /// <summary>It was taken back.</summary>
    Removed,
}

/// <summary>What the server remembers of an invitation that it made: an immutable value, replaced whole. Never the secret.</summary>
internal sealed record InvitationRecord : ICborRecord<InvitationRecord>
{
    /// <summary>Most uses that can be asked for.</summary>
    public const int MostUses = 1_000_000;

    private static readonly CborKind<byte[]> DigestKind =
        new CborBytes<byte[]>("digest", SHA256.HashSizeInBytes, WriteDigest, TryReadDigest);

    /// <summary>The number that names it, never 0.</summary>
    public required uint Id { get; init; }

    /// <summary>Of its secret: <see cref="InvitationToken.Digest"/>.</summary>
    public required byte[] Digest { get; init; }

    /// <summary>When it was made.</summary>
    public required DateTimeOffset Created { get; init; }

    /// <summary>When it ends, by the server's clock; null for never.</summary>
    public DateTimeOffset? Expires { get; init; }

    /// <summary>How many may come by it; 0 for any number.</summary>
    public int MaxUses { get; init; }

    /// <summary>How many came by it.</summary>
    public int Uses { get; init; }

    /// <summary>When somebody last came by it; null for never.</summary>
    public DateTimeOffset? LastUsed { get; init; }

    /// <summary>What it is for, for people; empty for nothing.</summary>
    public string Name { get; init; } = string.Empty;

    /// <summary>The user who made it, for people.</summary>
    public string MadeBy { get; init; } = string.Empty;

    /// <summary>When it was taken back; null when it was not.</summary>
    public DateTimeOffset? Removed { get; init; }

    /// <summary>The groups that who comes by it is put into.</summary>
    public IReadOnlyList<string> Groups { get; init; } = [];

    /// <summary>The addresses that who comes by it gets, whatever it asks for: nobody else does meanwhile. None for any.</summary>
    public IReadOnlyList<TunnelAddress> Addresses { get; init; } = [];

    /// <summary>True when who comes by it is a member only while it is there.</summary>
    public bool IsEphemeral { get; init; }

    /// <summary>Which of the network's keys its text has: when that is not the network's any more, it ends.</summary>
    public int KeyNumber { get; init; }

    /// <summary>As it stands in the store, where the entry's key tells the id.</summary>
    public static InvitationRecord Exchange(CborFields<InvitationRecord> fields) => new()
    {
        Id = 0,
        Digest = fields.Required(1, "digest", m => m.Digest, DigestKind),
        Created = fields.Required(2, "created", m => m.Created, FieldKinds.Time),
        Expires = fields.Optional(3, "expires", m => m.Expires, FieldKinds.OrNone(FieldKinds.Time)),
        MaxUses = fields.Optional(4, "most uses", m => m.MaxUses, FieldKinds.Number(0, MostUses)),
        Uses = fields.Optional(5, "uses", m => m.Uses, FieldKinds.Number(0, int.MaxValue)),
        Name = fields.Optional(6, "name", m => m.Name, FieldKinds.Text),
        MadeBy = fields.Optional(7, "made by", m => m.MadeBy, FieldKinds.Text),
        Removed = fields.Optional(8, "removed", m => m.Removed, FieldKinds.OrNone(FieldKinds.Time)),
        LastUsed = fields.Optional(9, "last used", m => m.LastUsed, FieldKinds.OrNone(FieldKinds.Time)),
        Groups = fields.Optional(10, "groups", m => m.Groups, FieldKinds.Groups),
        Addresses = fields.Optional(
            11, "addresses", m => m.Addresses, FieldKinds.Array(FieldKinds.Address, 0, ControlMessage.MaximumAddresses)),
        IsEphemeral = fields.Optional(12, "ephemeral", m => m.IsEphemeral, FieldKinds.Flag),
        KeyNumber = fields.Optional(13, "network key's number", m => m.KeyNumber, FieldKinds.KeyNumber),
    };

    /// <summary>An id as people write it.</summary>
    public static string TextOf(uint id) => id.ToString("x8", CultureInfo.InvariantCulture);

    /// <summary>Reads an invitation's entry; false for any other, and for one that cannot be read.</summary>
    public static bool TryRead(StoreEntry entry, [NotNullWhen(true)] out InvitationRecord? record)
    {
        record = null;
        if (!StoreKeys.TryReadInvitation(entry.Key, out uint id) || entry.Value is null
            || !CborMap.TryRead(entry.Value, out CborMap? map) || !CborRecord.TryRead(map, out InvitationRecord? read))
        {
            return false;
        }

        record = read with { Id = id };
        return true;
    }

    /// <summary>The entry's value, with what of the one before only a newer version knows.</summary>
    public byte[] Write(byte[]? before) =>
        CborRecord.Encode(this, before: before is not null && CborMap.TryRead(before, out CborMap? map) ? map : null);

    /// <summary>Whether it admits anybody.</summary>
    public InvitationState StateAt(DateTimeOffset now) =>
        Removed is not null ? InvitationState.Removed
        : Expires <= now ? InvitationState.Expired
        : MaxUses > 0 && Uses >= MaxUses ? InvitationState.UsedUp
        : InvitationState.Active;

    /// <summary>When it ended or will end, as far as that is known; null for never.</summary>
    public DateTimeOffset? Ended => Removed ?? (MaxUses > 0 && Uses >= MaxUses ? LastUsed ?? Created : Expires);

    private static int WriteDigest(byte[] digest, Span<byte> destination)
    {
        digest.CopyTo(destination);
        return digest.Length;
    }

    private static bool TryReadDigest(ReadOnlySpan<byte> bytes, [NotNullWhen(true)] out byte[]? digest)
    {
        digest = bytes.Length == SHA256.HashSizeInBytes ? bytes.ToArray() : null;
        return digest is not null;
    }
}
