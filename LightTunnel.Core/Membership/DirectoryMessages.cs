using System.Diagnostics.CodeAnalysis;
using System.Formats.Cbor;
using LightTunnel.Addressing;
using LightTunnel.Membership.Cbor;
using LightTunnel.Membership.Signing;
using LightTunnel.WireGuard;

namespace LightTunnel.Membership;

/// <summary>What the directory says of one member.</summary>
internal sealed record DirectoryEntry : ICborRecord<DirectoryEntry>
{
    private Encoding? _encoding;

    /// <summary>An entry in a message.</summary>
    public static CborKind<DirectoryEntry> Kind { get; } = new EntryKind();

    /// <summary>The member's id, 2 or above.</summary>
    public required uint MemberId { get; init; }

    /// <summary>The member's name; see <see cref="NodeName"/>.</summary>
    public required string Name { get; init; }

    /// <summary>The member's tunnel addresses, 1 to 4.</summary>
    public required IReadOnlyList<TunnelAddress> Addresses { get; init; }

    public required PublicKey PublicKey { get; init; }

    /// <summary>True while the server hears the member.</summary>
    public bool Online { get; init; }

    /// <summary>LightTunnel version of the member, for people; empty when unknown.</summary>
    public string SoftwareVersion { get; init; } = string.Empty;

    /// <summary>The cipher suite that the member prefers; WireGuard's when it tells none, or one unknown to this version.</summary>
    public CipherSuite PreferredSuite { get; init; }

    /// <summary>True for a plain WireGuard client: what goes to it and comes from it passes through the server, which opens it.</summary>
    public bool IsPlain { get; init; }

    /// <summary>The newest of the network's keys that the member is known to have, by its number.</summary>
    public int KeyNumber { get; init; }

    /// <summary>An admin's signature of the member, which the server has no say in; null for none.</summary>
    public MemberSignature? Signature { get; init; }

    /// <summary>The networks behind the member that it offers and that are approved.</summary>
    public IReadOnlyList<IpPrefix> Routes { get; init; } = [];

    /// <inheritdoc/>
    public static DirectoryEntry Exchange(CborFields<DirectoryEntry> fields) => new()
    {
        MemberId = fields.Required(1, "member id", m => m.MemberId, FieldKinds.ClientId),
        Name = fields.Required(2, "name", m => m.Name, FieldKinds.Name),
        Addresses = fields.Required(
            3, "addresses", m => m.Addresses, FieldKinds.Array(FieldKinds.Address, 1, ControlMessage.MaximumAddresses)),
        PublicKey = fields.Required(4, "public key", m => m.PublicKey, FieldKinds.Key),
        Online = fields.Optional(5, "online", m => m.Online, FieldKinds.Flag, isAlwaysWritten: true),
        SoftwareVersion = fields.Optional(6, "software version", m => m.SoftwareVersion, FieldKinds.Version),
        PreferredSuite = fields.Optional(7, "cipher suite", m => m.PreferredSuite, FieldKinds.Suite),
        IsPlain = fields.Optional(8, "plain WireGuard", m => m.IsPlain, FieldKinds.Flag),
        KeyNumber = fields.Optional(9, "network key's number", m => m.KeyNumber, FieldKinds.KeyNumber),
        Signature = fields.Optional(12, "signature", m => m.Signature, MemberSignature.Kind),
        Routes = fields.Optional(30, "networks", m => m.Routes, FieldKinds.Routes),
    };

    /// <summary>The entry as it stands in a message: made when first asked for, and kept for all others who are told it.</summary>
    /// <exception cref="ArgumentException">A part of the entry is out of its bounds.</exception>
    public byte[] Encode()
    {
        // A copy that was made of an entry (with) holds the encoding of that one.
        if (_encoding is not { } encoding || !ReferenceEquals(encoding.Of, this))
            _encoding = encoding = new Encoding(this, CborRecord.Encode(this));
        return encoding.Bytes;
    }

    /// <summary>By value, addresses included.</summary>
    public bool Equals(DirectoryEntry? other) =>
        other is not null && MemberId == other.MemberId && Name == other.Name && PublicKey == other.PublicKey
        && Online == other.Online && SoftwareVersion == other.SoftwareVersion && PreferredSuite == other.PreferredSuite
        && IsPlain == other.IsPlain && KeyNumber == other.KeyNumber && Equals(Signature, other.Signature)
        && Addresses.SequenceEqual(other.Addresses) && Routes.SequenceEqual(other.Routes);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(MemberId, Name, Online);

    private sealed record Encoding(DirectoryEntry Of, byte[] Bytes);

    private sealed class EntryKind : CborKind<DirectoryEntry>
    {
        public override string Description => "entry";

        public override bool TryRead(CborReader reader, [MaybeNullWhen(false)] out DirectoryEntry value) =>
            CborRecord.TryRead(CborMap.Read(reader), out value);

        public override void Write(CborWriter writer, DirectoryEntry value) => writer.WriteEncodedValue(value.Encode());
    }
}

/// <summary>A page of the directory: what changed after the last page.</summary>
internal sealed record DirectoryMessage : ControlMessage, ICborRecord<DirectoryMessage>
{
    /// <summary>Longest encoded page.</summary>
    public const int MaximumLength = 1100;

    /// <summary>Bound on what a decoder builds: nothing that a page tells of takes less than a byte.</summary>
    public const int MaximumItems = MaximumLength;

    /// <summary>
    /// The directory's revision up to which this page tells. To a client that asks for members, the number of the page in its
    /// conversation instead.
    /// </summary>
    public required ulong Revision { get; init; }

    /// <summary>Entries new or changed.</summary>
    public IReadOnlyList<DirectoryEntry> Changed { get; init; } = [];

    /// <summary>Members that are gone.</summary>
    public IReadOnlyList<uint> Removed { get; init; } = [];

    /// <summary>True when more pages follow at once.</summary>
    public bool More { get; init; }

    /// <summary>
    /// True for the first page of a whole listing: members that it does not tell of until <see cref="More"/> is false are gone.
    /// </summary>
    public bool Start { get; init; }

    /// <summary>True when there are members that pages tell of only to who asks for them (<see cref="FindMessage"/>).</summary>
    public bool Partial { get; init; }

    /// <summary>What was asked for and is no member's.</summary>
    public IReadOnlyList<MemberSubject> Unknown { get; init; } = [];

    /// <inheritdoc/>
    public static DirectoryMessage Exchange(CborFields<DirectoryMessage> fields) => new()
    {
        Revision = fields.Required(1, "revision", m => m.Revision, FieldKinds.AnyUInt64),
        Changed = fields.Optional(2, "entries", m => m.Changed, FieldKinds.Array(DirectoryEntry.Kind, 0, MaximumItems)),
        Removed = fields.Optional(3, "members removed", m => m.Removed, FieldKinds.Array(FieldKinds.AnyUInt32, 0, MaximumItems)),
        More = fields.Optional(4, "more follows", m => m.More, FieldKinds.Flag),
        Start = fields.Optional(5, "begins a listing", m => m.Start, FieldKinds.Flag),
        Partial = fields.Optional(6, "there are others", m => m.Partial, FieldKinds.Flag),
        Unknown = fields.Optional(7, "nobody's", m => m.Unknown, FieldKinds.ArrayOfKnown(MemberSubject.Kind, MaximumItems)),
    };
}

/// <summary>
/// A client wants to know who a few members are, and what becomes of them. The answer is in the next pages of the directory.
/// </summary>
internal sealed record FindMessage : ControlMessage, ICborRecord<FindMessage>
{
    /// <summary>Most subjects of one message: so many keys fit into a frame.</summary>
    public const int MaximumSubjects = 32;

    public required IReadOnlyList<MemberSubject> Subjects { get; init; }

    /// <inheritdoc/>
    public static FindMessage Exchange(CborFields<FindMessage> fields) => new()
    {
        Subjects = fields.Optional(
            1, "subjects", m => m.Subjects, FieldKinds.ArrayOfKnown(MemberSubject.Kind, MaximumSubjects), isAlwaysWritten: true),
    };
}

/// <summary>A client needs to know nothing of some members any more.</summary>
internal sealed record ForgetMessage : ControlMessage, ICborRecord<ForgetMessage>
{
    /// <summary>Most members of one message.</summary>
    public const int MaximumMembers = 200;

    /// <summary>The last page that the client has read: of whom a later one tells, it is told on.</summary>
    public required ulong Revision { get; init; }

    public required IReadOnlyList<uint> Members { get; init; }

    /// <inheritdoc/>
    public static ForgetMessage Exchange(CborFields<ForgetMessage> fields) => new()
    {
        Revision = fields.Required(1, "page", m => m.Revision, FieldKinds.AnyUInt64),
        Members = fields.Optional(
            2, "members", m => m.Members, FieldKinds.Array(FieldKinds.AnyUInt32, 0, MaximumMembers), isAlwaysWritten: true),
    };
}

/// <summary>A person looks for members by their names; what becomes of those that are found is not told.</summary>
internal sealed record ListMessage : ControlMessage, ICborRecord<ListMessage>
{
    /// <summary>Comes back with each part of the answer.</summary>
    public required uint Question { get; init; }

    /// <summary>A name or an address, in which * stands for any characters and ? for one; letters' case does not count.</summary>
    public required string Pattern { get; init; }

    /// <summary>Only members with larger ids: the answer to a question before has told of the others.</summary>
    public uint After { get; init; }

    /// <inheritdoc/>
    public static ListMessage Exchange(CborFields<ListMessage> fields) => new()
    {
        Question = fields.Required(1, "question", m => m.Question, FieldKinds.AnyUInt32),
        Pattern = fields.Required(2, "pattern", m => m.Pattern, FieldKinds.Pattern),
        After = fields.Required(3, "after", m => m.After, FieldKinds.AnyUInt32),
    };
}

/// <summary>A part of the answer to a <see cref="ListMessage"/>, in the order of ids.</summary>
internal sealed record ListingMessage : ControlMessage, ICborRecord<ListingMessage>
{
    public required uint Question { get; init; }

    public IReadOnlyList<DirectoryEntry> Entries { get; init; } = [];

    /// <summary>Where to go on with the next question; 0 when another part follows by itself, null at the end of the list.</summary>
    public uint? GoOnAfter { get; init; }

    /// <inheritdoc/>
    public static ListingMessage Exchange(CborFields<ListingMessage> fields) => new()
    {
        Question = fields.Required(1, "question", m => m.Question, FieldKinds.AnyUInt32),
        Entries = fields.Optional(2, "entries", m => m.Entries, FieldKinds.Array(DirectoryEntry.Kind, 0, DirectoryMessage.MaximumItems)),
        GoOnAfter = fields.Optional(3, "go on after", m => m.GoOnAfter, FieldKinds.OrNone(FieldKinds.AnyUInt32)),
    };
}
