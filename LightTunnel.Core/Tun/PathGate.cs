using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using LightTunnel.Transport;
using Microsoft.Win32.SafeHandles;

namespace LightTunnel.Tun;

/// <summary>
/// Lets one thread at a time change what belongs to a file, a folder or a network namespace, whichever process it is of: a lock on that
/// itself, which the system lets go of with its holder. Who cannot get it goes on all the same, as anybody could hold it for ever.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed partial class PathGate : IDisposable
{
    private const int LockExclusive = 2, LockWithoutWaiting = 4, LockRelease = 8;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);

    private readonly SafeFileHandle? _handle;

    private PathGate(SafeFileHandle? handle) => _handle = handle;

    /// <summary>Waits until nobody else is inside.</summary>
    /// <param name="path">What is changed.</param>
    public static PathGate Enter(string path)
    {
        int descriptor = LibC.Open(path, LibC.O_CLOEXEC);
        if (descriptor < 0)
            return new PathGate(null);
        var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        long began = Stopwatch.GetTimestamp();
        while (Lock(handle, LockExclusive | LockWithoutWaiting) != 0 && Stopwatch.GetElapsedTime(began) < Patience)
            Thread.Sleep(Pause);
        return new PathGate(handle);
    }

    /// <summary>
    /// Lets the next one in. A process that is being started at this moment has the descriptor as well, so not by closing it.
    /// </summary>
    public void Dispose()
    {
        if (_handle is null)
            return;
        _ = Lock(_handle, LockRelease);
        _handle.Dispose();
    }

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Lock(SafeFileHandle descriptor, int operation);
}
