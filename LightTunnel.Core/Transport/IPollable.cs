using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using LightTunnel.Packets;

namespace LightTunnel.Transport;

/// <summary>
/// A device or transport that can be asked for packets without waiting, and has a descriptor to wait by: so that one thread can serve several. A queue is
/// taken from in this way by one thread, or by that of the blocking call.
/// </summary>
internal interface IPollable
{
    /// <summary>Takes what is there, up to the batch's capacity. The batch is cleared first.</summary>
    /// <returns>False when nothing will ever come again; true otherwise, also when the batch stayed empty.</returns>
    bool TryTake(PacketBatch batch, int queue);

    /// <summary>A descriptor that is readable when there is something to take, or nothing will ever come again.</summary>
    SafeHandle ReadyHandle(int queue);

    /// <summary>Blocks until there is something to take here or there, or nothing will ever come again.</summary>
    /// <exception cref="ObjectDisposedException">One of the two is closed.</exception>
    void WaitWith(IPollable other, int queue);
}

/// <summary>Waits for descriptors of Linux.</summary>
[SupportedOSPlatform("linux")]
internal static unsafe class Poll
{
    /// <summary>Blocks until something that is waited for is true of one of the descriptors, or one is broken.</summary>
    /// <param name="first">A descriptor.</param>
    /// <param name="firstEvents">What is waited for there (POLLIN and so on).</param>
    /// <param name="second">Another; null for none.</param>
    /// <param name="secondEvents">What is waited for there.</param>
    /// <exception cref="ObjectDisposedException">One of them is closed.</exception>
    public static void Wait(SafeHandle first, short firstEvents, SafeHandle? second, short secondEvents)
    {
        bool firstHeld = false, secondHeld = false;
        try
        {
            first.DangerousAddRef(ref firstHeld);
            second?.DangerousAddRef(ref secondHeld);
            LibC.PollFd* waited = stackalloc LibC.PollFd[2];
            waited[0] = new LibC.PollFd { FileDescriptor = (int)first.DangerousGetHandle(), Events = firstEvents };
            waited[1] = new LibC.PollFd { FileDescriptor = (int)(second?.DangerousGetHandle() ?? -1), Events = secondEvents };
            while (LibC.Poll(waited, 2, -1) < 0 && LibC.LastError == LibC.EINTR)
            {
            }
        }
        finally
        {
            if (firstHeld)
                first.DangerousRelease();
            if (secondHeld)
                second!.DangerousRelease();
        }
    }
}
