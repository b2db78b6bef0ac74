namespace LightTunnel.Membership;

/// <summary>A page of the directory: what changed after the last page.</summary>
internal sealed record DirectoryMessage : ControlMessage
{
    /// <summary>
    /// The directory's revision up to which this page tells. To a client that asks for members, the number of the page in its conversation instead.
    /// </summary>
    public required ulong Revision { get; init; }

    /// <summary>Entries new or changed.</summary>
    public IReadOnlyList<DirectoryEntry> Changed { get; init; } = [];

    /// <summary>Members that are gone.</summary>
    public IReadOnlyList<uint> Removed { get; init; } = [];

    /// <summary>True when more pages follow at once.</summary>
    public bool More { get; init; }

    /// <summary>True for the first page of a whole listing: members that it does not tell of until <see cref="More"/> is false are gone.</summary>
    public bool Start { get; init; }

    /// <summary>True when there are members that pages tell of only to who asks for them (<see cref="FindMessage"/>).</summary>
    public bool Partial { get; init; }

    /// <summary>What was asked for and is no member's.</summary>
    public IReadOnlyList<MemberSubject> Unknown { get; init; } = [];
}

/// <summary>A client wants to know who a few members are, and what becomes of them. The answer is in the next pages of the directory.</summary>
internal sealed record FindMessage : ControlMessage
{
    /// <summary>Most subjects of one message: so many keys fit into a frame.</summary>
    public const int MaximumSubjects = 32;

    public required IReadOnlyList<MemberSubject> Subjects { get; init; }
}

/// <summary>A client needs to know nothing of some members any more.</summary>
internal sealed record ForgetMessage : ControlMessage
{
    /// <summary>Most members of one message.</summary>
    public const int MaximumMembers = 200;

    /// <summary>The last page that the client has read: of whom a later one tells, it is told on.</summary>
    public required ulong Revision { get; init; }

    public required IReadOnlyList<uint> Members { get; init; }
}

/// <summary>A person looks for members by their names; what becomes of those that are found is not told.</summary>
internal sealed record ListMessage : ControlMessage
{
    /// <summary>Comes back with each part of the answer.</summary>
    public required uint Question { get; init; }

    /// <summary>A name or an address, in which * stands for any characters and ? for one; letters' case does not count.</summary>
    public required string Pattern { get; init; }

    /// <summary>Only members with larger ids: the answer to a question before has told of the others.</summary>
    public uint After { get; init; }
}

/// <summary>A part of the answer to a <see cref="ListMessage"/>, in the order of ids.</summary>
internal sealed record ListingMessage : ControlMessage
{
    public required uint Question { get; init; }

    public IReadOnlyList<DirectoryEntry> Entries { get; init; } = [];

    /// <summary>Where to go on with the next question; 0 when another part follows by itself, null at the end of the list.</summary>
    public uint? GoOnAfter { get; init; }
}
