using System.Runtime.Versioning;
using LightTunnel.Transport;
using Microsoft.Win32.SafeHandles;

namespace LightTunnel.Tun;

/// <summary>
/// Waits for a file descriptor to become readable, until told to stop for ever: an eventfd that is polled together with it. (Closing a
/// descriptor does not wake the thread that waits for it, and its number may be given to another file meanwhile.)
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed unsafe class CloseSignal : IDisposable
{
    private readonly SafeFileHandle _event;
    private int _set;

    public CloseSignal()
    {
        int descriptor = LibC.EventFd(0, LibC.EFD_NONBLOCK | LibC.EFD_CLOEXEC);
        if (descriptor < 0)
            throw new IOException($"eventfd: {LibC.Describe(LibC.LastError)}");
        _event = new SafeFileHandle(descriptor, ownsHandle: true);
    }

    /// <summary>True once <see cref="Set"/> was called.</summary>
    public bool IsSet => Volatile.Read(ref _set) != 0;

    /// <summary>Wakes the waiting thread now and at every later wait. Idempotent, any thread.</summary>
    public void Set()
    {
        if (Interlocked.Exchange(ref _set, 1) != 0)
            return;
        bool held = false;
        try
        {
            _event.DangerousAddRef(ref held);
            ulong one = 1;
            _ = LibC.Write((int)_event.DangerousGetHandle(), &one, sizeof(ulong));
        }
        catch (ObjectDisposedException)
        {
            // Disposed without ever being set: nobody waits any more.
        }
        finally
        {
            if (held)
                _event.DangerousRelease();
        }
    }

    /// <summary>Blocks until the descriptor, which the caller keeps open, is readable.</summary>
    /// <returns>False when the signal was set, or nothing will ever be readable again.</returns>
    public bool WaitReadable(int descriptor)
    {
        bool held = false;
        try
        {
            _event.DangerousAddRef(ref held);
            LibC.PollFd* waited = stackalloc LibC.PollFd[2];
            waited[0] = new LibC.PollFd { FileDescriptor = descriptor, Events = LibC.POLLIN };
            waited[1] = new LibC.PollFd { FileDescriptor = (int)_event.DangerousGetHandle(), Events = LibC.POLLIN };
            while (!IsSet)
            {
                int ready = LibC.Poll(waited, 2, -1);
                if (ready < 0 && LibC.LastError != LibC.EINTR)
                    return false;
                if (ready > 0 && waited[0].ReturnedEvents != 0)
                    return !IsSet && (waited[0].ReturnedEvents & LibC.POLLNVAL) == 0;
            }

            return false;
        }
        catch (ObjectDisposedException)
        {
            return false;
        }
        finally
        {
            if (held)
                _event.DangerousRelease();
        }
    }

    /// <summary>Blocks until one of the descriptors, which the caller keeps open, is readable, or for as long as is said.</summary>
    /// <returns>False when the signal was set.</returns>
    public bool WaitReadable(ReadOnlySpan<int> descriptors, TimeSpan longest)
    {
        bool held = false;
        try
        {
            _event.DangerousAddRef(ref held);
            LibC.PollFd* waited = stackalloc LibC.PollFd[descriptors.Length + 1];
            for (int i = 0; i < descriptors.Length; i++)
                waited[i] = new LibC.PollFd { FileDescriptor = descriptors[i], Events = LibC.POLLIN };
            waited[descriptors.Length] = new LibC.PollFd { FileDescriptor = (int)_event.DangerousGetHandle(), Events = LibC.POLLIN };
            _ = LibC.Poll(waited, (nuint)descriptors.Length + 1, (int)Math.Clamp(Math.Ceiling(longest.TotalMilliseconds), 0, int.MaxValue));
            return !IsSet;
        }
        catch (ObjectDisposedException)
        {
            return false;
        }
        finally
        {
            if (held)
                _event.DangerousRelease();
        }
    }

    /// <summary>Frees the eventfd once no thread waits on it any more.</summary>
    public void Dispose()
    {
        Set();
        _event.Dispose();
    }
}
