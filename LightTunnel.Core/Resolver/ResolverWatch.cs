using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using LightTunnel.Transport;
using LightTunnel.Tun;
using Microsoft.Win32.SafeHandles;

namespace LightTunnel.Resolver;

/// <summary>
/// Hears from the kernel when somebody writes, replaces or removes a file, or what it is a link to (inotify(7)). For one thread.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed unsafe partial class ResolverWatch : IDisposable
{
    private const int NonBlocking = 0x800, CloseOnExec = 0x80000;
    private const uint ClosedAfterWriting = 0x8, MovedTo = 0x80, Created = 0x100, Deleted = 0x200;

    private readonly string _path;
    private readonly SafeFileHandle _events;
    private readonly byte[] _buffer = new byte[4096];

    /// <param name="path">The file.</param>
    /// <exception cref="IOException">The system has no watch left.</exception>
    public ResolverWatch(string path)
    {
        _path = path;
        int descriptor = Initialize(NonBlocking | CloseOnExec);
        if (descriptor < 0)
            throw new IOException($"inotify: {LibC.Describe(LibC.LastError)}");
        _events = new SafeFileHandle(descriptor, ownsHandle: true);
    }

    /// <summary>Waits until something may have changed, or for as long as is said.</summary>
    /// <param name="closed">Ends the wait.</param>
    /// <param name="longest">How long.</param>
    /// <returns>False when the signal was set.</returns>
    public bool Wait(CloseSignal closed, TimeSpan longest)
    {
        int descriptor = (int)_events.DangerousGetHandle();
        if (!closed.WaitReadable([descriptor], longest))
            return false;
        fixed (byte* buffer = _buffer)
        {
            while (LibC.Read(descriptor, buffer, (nuint)_buffer.Length) > 0)
            {
                // Which of the files it was does not matter.
            }
        }

        return true;
    }

    /// <summary>Listens to the files that the path leads to now. What is listened to already stays so.</summary>
    public void Follow()
    {
        Add(Path.GetDirectoryName(_path), MovedTo | Created | Deleted);
        // A file that is mounted there is in another folder, which nobody here knows.
        Add(_path, ClosedAfterWriting);
        string target;
        try
        {
            target = ResolvConfFile.Resolve(_path);
        }
        catch (IOException)
        {
            return;
        }

        if (target != _path)
            Add(Path.GetDirectoryName(target), MovedTo | Created | Deleted);
    }

    /// <inheritdoc/>
    public void Dispose() => _events.Dispose();

    private void Add(string? path, uint events)
    {
        if (path is not null)
            _ = AddWatch((int)_events.DangerousGetHandle(), path, events); // What is not there is found by looking now and then.
    }

    [LibraryImport("libc", EntryPoint = "inotify_init1", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Initialize(int flags);

    [LibraryImport("libc", EntryPoint = "inotify_add_watch", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int AddWatch(int descriptor, string path, uint events);
}
