namespace LightTunnel.Tun;

/// <summary>
/// The functions of wintun.dll (wintun.h 0.14) as <see cref="WintunDevice"/> uses them; replaced in tests by a driver in memory.
/// Handles and packets are 0 on failure, and <see cref="LastError"/> then says why.
/// </summary>
internal unsafe interface IWintunApi
{
    /// <summary>The Win32 error of the calling thread's last failed call.</summary>
    int LastError { get; }

    /// <summary>
    /// Creates an adapter, with that GUID or one at random; it lives as long as its handle, at most as long as the process.
    /// </summary>
    nint CreateAdapter(string name, string tunnelType, Guid? id);

    /// <summary>Closes the handle, which removes an adapter that was created with it.</summary>
    void CloseAdapter(nint adapter);

    /// <summary>The adapter's NET_LUID.</summary>
    ulong GetAdapterLuid(nint adapter);

    /// <summary>Starts the adapter's one session with rings of so many bytes each, a power of two.</summary>
    nint StartSession(nint adapter, uint ringCapacity);

    /// <summary>Ends the session; no other call may be under way or follow.</summary>
    void EndSession(nint session);

    /// <summary>Signaled when packets may be waiting. Not to be closed.</summary>
    WaitHandle GetReadWaitEvent(nint session);

    /// <summary>The oldest packet that waits, which stays in the ring until released.</summary>
    byte* ReceivePacket(nint session, out uint length);

    /// <summary>Gives a received packet's place in the ring back.</summary>
    void ReleaseReceivePacket(nint session, byte* packet);

    /// <summary>Takes a place in the sending ring.</summary>
    byte* AllocateSendPacket(nint session, uint length);

    /// <summary>Sends what was written to a place taken before.</summary>
    void SendPacket(nint session, byte* packet);
}
