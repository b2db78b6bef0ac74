using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Microsoft.Win32.SafeHandles;

namespace LightTunnel.Diagnostics;

/// <summary>
/// Opens files of a node on Linux so that nobody else decides what is opened: a symbolic link, a second name (hard link), a pipe, or
/// another user's file is refused, before anything in it is changed. .NET itself follows links.
/// </summary>
[SupportedOSPlatform("linux")]
internal static partial class OwnedFile
{
    private const string Library = "libc";
    private const int WriteOnly = 1, ReadWrite = 2, Create = 0x40, Exclusive = 0x80, Append = 0x400, NonBlocking = 0x800,
        CloseOnExec = 0x80000;
    private const int CurrentFolder = -100, OfDescriptor = 0x1000, OfLinkItself = 0x100, BasicStatistics = 0x7FF;
    private const int LockExclusive = 2, LockWithoutWaiting = 4, LockRelease = 8;
    private const int NoSuchFile = 2, WouldBlock = 11, TooManyLinks = 40;
    private const uint OwnerOnly = 0x180; // 0600

    /// <summary>O_NOFOLLOW has two values among Linux's processors.</summary>
    private static readonly int NoFollow =
        RuntimeInformation.ProcessArchitecture is Architecture.Arm or Architecture.Armv6 or Architecture.Arm64 or Architecture.Ppc64le
            ? 0x8000
            : 0x20000;

    /// <summary>The user that this process acts as.</summary>
    public static uint CurrentUser => GetEffectiveUser();

    /// <summary>Opens a file to read and write, readable by its owner only from the moment it exists.</summary>
    /// <exception cref="IOException">It cannot be opened, or is not this user's own file; its HResult is 11 when another process has locked
    /// it.</exception>
    public static FileStream Open(string path, FileMode mode, bool isLocked = false)
    {
        int flags = ReadWrite | mode switch
        {
            FileMode.Open => 0,
            FileMode.OpenOrCreate => Create,
            FileMode.CreateNew => Create | Exclusive,
            _ => throw new ArgumentOutOfRangeException(nameof(mode), mode, null),
        };
        SafeFileHandle handle = OpenChecked(path, flags);
        if (isLocked && Lock(handle, LockExclusive | LockWithoutWaiting) != 0)
        {
            int error = Marshal.GetLastPInvokeError();
            handle.Dispose();
            throw new IOException($"{path} could not be locked: {Marshal.GetPInvokeErrorMessage(error)}.", error);
        }

        return isLocked ? new LockedFile(handle) : new FileStream(handle, FileAccess.ReadWrite, bufferSize: 0);
    }

    /// <summary>Opens a file to write at its end, wherever others have written meanwhile.</summary>
    /// <exception cref="IOException">It cannot be opened, or is not this user's own file.</exception>
    public static FileStream OpenToAppend(string path) =>
        new(OpenChecked(path, WriteOnly | Create | Append), FileAccess.Write, bufferSize: 0);

    /// <summary>Opens a file to read.</summary>
    /// <exception cref="IOException">It cannot be opened, or is not this user's own file.</exception>
    public static FileStream OpenToRead(string path) => new(OpenChecked(path, 0), FileAccess.Read, bufferSize: 0);

    /// <summary>What the system says of a path itself, not of what a link leads to; null when there is nothing.</summary>
    /// <exception cref="IOException">It may not be looked at.</exception>
    public static FileFacts? Look(string path)
    {
        if (Statistics(CurrentFolder, path, OfLinkItself, BasicStatistics, out FileFacts facts) == 0)
            return facts;
        int error = Marshal.GetLastPInvokeError();
        return error == NoSuchFile ? null : throw Refused(path, error);
    }

    private static SafeFileHandle OpenChecked(string path, int flags)
    {
        // A pipe would let the opener wait for its other end.
        int descriptor = OpenDescriptor(path, flags | NonBlocking | CloseOnExec | NoFollow, OwnerOnly);
        if (descriptor < 0)
            throw Refused(path, Marshal.GetLastPInvokeError());
        var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        int result = Statistics(descriptor, string.Empty, OfDescriptor, BasicStatistics, out FileFacts facts);
        string? fault = result != 0 ? "cannot be looked at"
            : !facts.IsFile ? "is no ordinary file"
            : facts.User != CurrentUser && facts.User != 0 ? $"belongs to another user ({facts.User})"
            : facts.Links > 1 ? "has a second name elsewhere (a hard link)"
            : null;
        if (fault is null)
            return handle;
        handle.Dispose();
        throw new IOException($"{path} {fault}. Remove it, and see who made it.");
    }

    private static IOException Refused(string path, int error) => error switch
    {
        NoSuchFile => new FileNotFoundException($"{path} does not exist.", path),
        TooManyLinks => new IOException($"{path} is a symbolic link, which is not followed. Remove it, and see who made it."),
        _ => new IOException($"{path}: {Marshal.GetPInvokeErrorMessage(error)}.", error == WouldBlock ? 0 : error),
    };

    [LibraryImport(Library, EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenDescriptor(string path, int flags, uint mode);

    [LibraryImport(Library, EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Statistics(int folder, string path, int flags, uint mask, out FileFacts facts);

    [LibraryImport(Library, EntryPoint = "flock", SetLastError = true)]
    private static partial int Lock(SafeFileHandle descriptor, int operation);

    [LibraryImport(Library, EntryPoint = "geteuid")]
    private static partial uint GetEffectiveUser();

    /// <summary>
    /// A file that is unlocked before it is closed: a process that was being started at this moment has the descriptor as well, until it
    /// runs its program (flock(2)).
    /// </summary>
    private sealed class LockedFile(SafeFileHandle handle) : FileStream(handle, FileAccess.ReadWrite, bufferSize: 0)
    {
        protected override void Dispose(bool disposing)
        {
            if (disposing && !SafeFileHandle.IsClosed)
                OwnedFile.Lock(SafeFileHandle, LockRelease);
            base.Dispose(disposing);
        }
    }
}

/// <summary>What is used of struct statx, which is the same on every processor.</summary>
[StructLayout(LayoutKind.Explicit, Size = 256)]
internal readonly struct FileFacts
{
    private const int KindMask = 0xF000, FileKind = 0x8000, FolderKind = 0x4000, LinkKind = 0xA000;
    private const int GroupWrites = 0x10, OthersWrite = 0x02, Sticky = 0x200;

    [FieldOffset(16)]
    private readonly uint _links;

    [FieldOffset(20)]
    private readonly uint _user;

    [FieldOffset(28)]
    private readonly ushort _mode;

    [FieldOffset(32)]
    private readonly ulong _number;

    [FieldOffset(136)]
    private readonly ulong _device;

    /// <summary>How many names it has.</summary>
    public uint Links => _links;

    /// <summary>Equal for two paths of one file.</summary>
    public (ulong Device, ulong Number) Identity => (_device, _number);

    /// <summary>Its owner's number.</summary>
    public uint User => _user;

    public bool IsFile => (_mode & KindMask) == FileKind;

    public bool IsFolder => (_mode & KindMask) == FolderKind;

    public bool IsLink => (_mode & KindMask) == LinkKind;

    /// <summary>True when its group or everybody may change it.</summary>
    public bool IsWrittenByOthers => (_mode & (GroupWrites | OthersWrite)) != 0;

    /// <summary>
    /// True when everybody may change all that is in the folder: not in one like /tmp, where only the owner of a thing may.
    /// </summary>
    public bool IsOpenToAll => (_mode & OthersWrite) != 0 && (_mode & Sticky) == 0;
}
