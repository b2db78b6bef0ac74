namespace LightTunnel.Tun;

/// <summary>
/// Lets one thread of the machine at a time through, whichever process it is of, until disposed. Who cannot get in goes on all the same:
/// another user could hold it for ever.
/// </summary>
internal sealed class MachineGate : IDisposable
{
    /// <summary>Twice as long as Wintun may take to make an adapter.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly Mutex? _mutex;

    private MachineGate(Mutex? mutex) => _mutex = mutex;

    /// <summary>Waits until nobody else is inside.</summary>
    /// <param name="name">The gate's name.</param>
    public static MachineGate Enter(string name)
    {
        Mutex? mutex = null;
        try
        {
            mutex = new Mutex(initiallyOwned: false, @"Global\" + name);
            if (mutex.WaitOne(Patience))
                return new MachineGate(mutex);
        }
        catch (AbandonedMutexException)
        {
            return new MachineGate(mutex); // Whoever was inside is no more; there is nothing that could be left half done.
        }
        catch (Exception exception) when (exception is UnauthorizedAccessException or IOException or WaitHandleCannotBeOpenedException)
        {
            // Somebody else has made it, for himself.
        }

        mutex?.Dispose();
        return new MachineGate(null);
    }

    /// <summary>Lets the next one in; by the thread that entered.</summary>
    public void Dispose()
    {
        _mutex?.ReleaseMutex();
        _mutex?.Dispose();
    }
}
