using System.Diagnostics.CodeAnalysis;
using System.Formats.Cbor;
using LightTunnel.WireGuard;

namespace LightTunnel.Membership;

/// <summary>The encoding of pages of the directory, and of what is asked of it; part of <see cref="ControlMessageCodec"/>.</summary>
internal static class DirectoryCodec
{
    // Types of what is put together here from entries that are encoded already.
    private const int DirectoryType = 4;
    private const int ListingType = 12;

    /// <summary>Most entries or removals that a page can hold, for bounds on what a decoder builds.</summary>
    private const int MaximumItems = ControlMessageCodec.MaximumPageLength;

    /// <summary>A page of the directory from entries that are encoded already.</summary>
    public static byte[] EncodePage(
        ulong revision, IReadOnlyList<byte[]> changed, IReadOnlyList<uint> removed, bool more, bool start, bool partial = false,
        IReadOnlyList<MemberSubject>? unknown = null)
    {
        bool hasUnknown = unknown is { Count: > 0 };
        var writer = new CborWriter(CborConformanceMode.Canonical);
        writer.WriteStartMap(
            2 + (changed.Count > 0 ? 1 : 0) + (removed.Count > 0 ? 1 : 0) + (more ? 1 : 0) + (start ? 1 : 0) + (partial ? 1 : 0) + (hasUnknown ? 1 : 0));
        WriteType(writer, DirectoryType);
        writer.WriteInt32(1);
        writer.WriteUInt64(revision);
        if (changed.Count > 0)
        {
            writer.WriteInt32(2);
            Write(writer, changed);
        }

        if (removed.Count > 0)
        {
            writer.WriteInt32(3);
            Write(writer, removed);
        }

        WriteFlag(writer, 4, more);
        WriteFlag(writer, 5, start);
        WriteFlag(writer, 6, partial);
        if (hasUnknown)
        {
            writer.WriteInt32(7);
            Write(writer, unknown!);
        }

        writer.WriteEndMap();
        return writer.Encode();
    }

    /// <summary>A part of a listing from entries that are encoded already.</summary>
    public static byte[] EncodeListing(uint question, IReadOnlyList<byte[]> entries, uint? goOnAfter)
    {
        var writer = new CborWriter(CborConformanceMode.Canonical);
        writer.WriteStartMap(2 + (entries.Count > 0 ? 1 : 0) + (goOnAfter is null ? 0 : 1));
        WriteType(writer, ListingType);
        writer.WriteInt32(1);
        writer.WriteUInt32(question);
        if (entries.Count > 0)
        {
            writer.WriteInt32(2);
            Write(writer, entries);
        }

        if (goOnAfter is { } after)
        {
            writer.WriteInt32(3);
            writer.WriteUInt32(after);
        }

        writer.WriteEndMap();
        return writer.Encode();
    }

    public static void Write(CborWriter writer, DirectoryMessage message)
    {
        byte[] page = EncodePage(
            message.Revision, [.. message.Changed.Select(ControlMessageCodec.EncodeEntry)], message.Removed, message.More, message.Start, message.Partial,
            message.Unknown);
        Require(page.Length <= ControlMessageCodec.MaximumPageLength, $"A page takes at most {ControlMessageCodec.MaximumPageLength} bytes.");
        writer.WriteEncodedValue(page);
    }

    public static void Write(CborWriter writer, int type, FindMessage message)
    {
        Require(message.Subjects.Count <= FindMessage.MaximumSubjects, $"At most {FindMessage.MaximumSubjects} members are asked for at once.");
        writer.WriteStartMap(2);
        WriteType(writer, type);
        writer.WriteInt32(1);
        Write(writer, message.Subjects);
        writer.WriteEndMap();
    }

    public static void Write(CborWriter writer, int type, ForgetMessage message)
    {
        Require(message.Members.Count <= ForgetMessage.MaximumMembers, $"At most {ForgetMessage.MaximumMembers} members are forgotten at once.");
        writer.WriteStartMap(3);
        WriteType(writer, type);
        writer.WriteInt32(1);
        writer.WriteUInt64(message.Revision);
        writer.WriteInt32(2);
        Write(writer, message.Members);
        writer.WriteEndMap();
    }

    public static void Write(CborWriter writer, int type, ListMessage message)
    {
        writer.WriteStartMap(4);
        WriteType(writer, type);
        writer.WriteInt32(1);
        writer.WriteUInt32(message.Question);
        writer.WriteInt32(2);
        writer.WriteTextString(CborValues.Printable(message.Pattern, NodeName.MaximumLength));
        writer.WriteInt32(3);
        writer.WriteUInt32(message.After);
        writer.WriteEndMap();
    }

    public static void Write(CborWriter writer, ListingMessage message) =>
        writer.WriteEncodedValue(EncodeListing(message.Question, [.. message.Entries.Select(ControlMessageCodec.EncodeEntry)], message.GoOnAfter));

    public static bool TryRead(CborMap map, [NotNullWhen(true)] out DirectoryMessage? message)
    {
        message = null;
        if (!map.TryGetUInt64(1, out ulong revision) || !TryReadEntries(map, 2, out IReadOnlyList<DirectoryEntry>? entries)
            || !map.TryGetMembers(3, MaximumItems, out IReadOnlyList<uint>? removed)
            || !map.TryGetFlag(4, out bool more) || !map.TryGetFlag(5, out bool start) || !map.TryGetFlag(6, out bool partial)
            || !TryReadSubjects(map, 7, MaximumItems, out IReadOnlyList<MemberSubject>? unknown))
        {
            return false;
        }

        message = new DirectoryMessage
        {
            Revision = revision,
            Changed = entries,
            Removed = removed,
            More = more,
            Start = start,
            Partial = partial,
            Unknown = unknown,
        };
        return true;
    }

    public static bool TryRead(CborMap map, [NotNullWhen(true)] out FindMessage? message)
    {
        message = TryReadSubjects(map, 1, FindMessage.MaximumSubjects, out IReadOnlyList<MemberSubject>? subjects) ? new FindMessage { Subjects = subjects } : null;
        return message is not null;
    }

    public static bool TryRead(CborMap map, [NotNullWhen(true)] out ForgetMessage? message)
    {
        message = map.TryGetUInt64(1, out ulong revision) && map.TryGetMembers(2, ForgetMessage.MaximumMembers, out IReadOnlyList<uint>? members)
            ? new ForgetMessage { Revision = revision, Members = members }
            : null;
        return message is not null;
    }

    public static bool TryRead(CborMap map, [NotNullWhen(true)] out ListMessage? message)
    {
        message = map.TryGetUInt32(1, 0, out uint question) && map.TryGetText(2, NodeName.MaximumLength, out string? pattern) && map.TryGetUInt32(3, 0, out uint after)
            ? new ListMessage { Question = question, Pattern = CborValues.Printable(pattern, NodeName.MaximumLength), After = after }
            : null;
        return message is not null;
    }

    public static bool TryRead(CborMap map, [NotNullWhen(true)] out ListingMessage? message)
    {
        message = null;
        uint after = 0;
        if (!map.TryGetUInt32(1, 0, out uint question) || !TryReadEntries(map, 2, out IReadOnlyList<DirectoryEntry>? entries)
            || (map.Contains(3) && !map.TryGetUInt32(3, 0, out after)))
        {
            return false;
        }

        message = new ListingMessage { Question = question, Entries = entries, GoOnAfter = map.Contains(3) ? after : null };
        return true;
    }

    private static bool TryReadEntries(CborMap map, int key, [NotNullWhen(true)] out IReadOnlyList<DirectoryEntry>? entries)
    {
        entries = null;
        if (!map.TryGetMaps(key, MaximumItems, out IReadOnlyList<CborMap>? maps))
            return false;
        var read = new List<DirectoryEntry>(maps.Count);
        foreach (CborMap entryMap in maps)
        {
            if (!ControlMessageCodec.TryReadEntry(entryMap, out DirectoryEntry? entry))
                return false;
            read.Add(entry);
        }

        entries = read;
        return true;
    }

    /// <summary>Empty when absent; what a newer version asks by is skipped.</summary>
    private static bool TryReadSubjects(CborMap map, int key, int maximumCount, [NotNullWhen(true)] out IReadOnlyList<MemberSubject>? subjects)
    {
        subjects = [];
        if (!map.Contains(key))
            return true;
        bool valid = map.TryGetByteStrings(key, maximumCount, out IReadOnlyList<byte[]>? encoded);
        subjects = valid ? [.. encoded!.Select(bytes => MemberSubject.Read(bytes)).OfType<MemberSubject>()] : null;
        return valid;
    }

    private static void Write(CborWriter writer, IReadOnlyList<byte[]> entries)
    {
        writer.WriteStartArray(entries.Count);
        foreach (byte[] entry in entries)
            writer.WriteEncodedValue(entry);
        writer.WriteEndArray();
    }

    private static void Write(CborWriter writer, IReadOnlyList<uint> members)
    {
        writer.WriteStartArray(members.Count);
        foreach (uint member in members)
            writer.WriteUInt32(member);
        writer.WriteEndArray();
    }

    private static void Write(CborWriter writer, IReadOnlyList<MemberSubject> subjects)
    {
        Span<byte> bytes = stackalloc byte[PublicKey.Size];
        writer.WriteStartArray(subjects.Count);
        foreach (MemberSubject subject in subjects)
            writer.WriteByteString(bytes[..subject.Write(bytes)]);
        writer.WriteEndArray();
    }

    private static void WriteType(CborWriter writer, int type)
    {
        writer.WriteInt32(0);
        writer.WriteInt32(type);
    }

    private static void WriteFlag(CborWriter writer, int key, bool value)
    {
        if (!value)
            return;
        writer.WriteInt32(key);
        writer.WriteBoolean(true);
    }

    private static void Require(bool condition, string what)
    {
        if (!condition)
            throw new ArgumentException(what);
    }
}
