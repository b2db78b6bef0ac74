using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using LightTunnel.Packets;

namespace LightTunnel.Transport;

/// <summary>
/// A device or transport that can be asked for packets without waiting, and has a descriptor to wait by: so that one thread can serve
/// several. A queue is taken from in this way by one thread, or by that of the blocking call.
/// </summary>
internal interface IPollable
{
    /// <summary>Takes what is there, up to the batch's capacity. The batch is cleared first.</summary>
    /// <returns>False when nothing will ever come again; true otherwise, also when the batch stayed empty.</returns>
    bool TryTake(PacketBatch batch, int queue);

    /// <summary>A descriptor that is readable when there is something to take, or nothing will ever come again.</summary>
    SafeHandle ReadyHandle(int queue);

    /// <summary>
    /// True when the last <see cref="TryTake"/> left something, or took so much that more has come meanwhile: to ask again costs less
    /// than to wait first.
    /// </summary>
    bool ExpectsMore(int queue);

    /// <summary>Blocks until there is something to take here or there, or nothing will ever come again.</summary>
    /// <returns>Where.</returns>
    /// <exception cref="ObjectDisposedException">One of the two is closed.</exception>
    (bool Here, bool There) WaitWith(IPollable other, int queue);
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
    /// <returns>Of which; of both when that is not known.</returns>
    /// <exception cref="ObjectDisposedException">One of them is closed.</exception>
    public static (bool First, bool Second) Wait(SafeHandle first, short firstEvents, SafeHandle? second, short secondEvents)
    {
        bool firstHeld = false, secondHeld = false;
        try
        {
            first.DangerousAddRef(ref firstHeld);
            second?.DangerousAddRef(ref secondHeld);
            LibC.PollFd* waited = stackalloc LibC.PollFd[2];
            waited[0] = new LibC.PollFd { FileDescriptor = (int)first.DangerousGetHandle(), Events = firstEvents };
            waited[1] = new LibC.PollFd { FileDescriptor = (int)(second?.DangerousGetHandle() ?? -1), Events = secondEvents };
            int ready;
            do
            {
                ready = LibC.Poll(waited, 2, -1);
            }
            while (ready < 0 && LibC.LastError == LibC.EINTR);
            return (ready < 0 || waited[0].ReturnedEvents != 0, ready < 0 || waited[1].ReturnedEvents != 0);
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
