using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace LightTunnel.Transport;

/// <summary>
/// The calls of ws2_32.dll that the framework has no method for, and raw options in the form that <see cref="IWinsock"/> wants.
/// </summary>
[SupportedOSPlatform("windows")]
internal sealed unsafe partial class Winsock : IWinsock
{
    private const string Library = "ws2_32.dll";

    // WSAID_WSARECVMSG of mswsock.h.
    private static readonly Guid ReceiveMessageId = new("f689d7c8-6f1f-436b-8a53-e54fe351c322");

    // LPFN_WSARECVMSG: socket, message, bytes received, then the two of overlapped calls.
    private delegate* unmanaged<nint, WinsockMessage*, uint*, void*, void*, int> _receiveMessage;

    /// <inheritdoc/>
    public bool HasOption(Socket socket, int name)
    {
        try
        {
            return socket.GetRawSocketOption(WinsockMessages.IPPROTO_UDP, name, stackalloc byte[sizeof(int)]) == sizeof(int);
        }
        catch (SocketException)
        {
            return false;
        }
    }

    /// <inheritdoc/>
    public bool TrySetOption(Socket socket, int level, int name, int value)
    {
        try
        {
            socket.SetRawSocketOption(level, name, MemoryMarshal.AsBytes(new ReadOnlySpan<int>(in value)));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    /// <inheritdoc/>
    public bool TryFindReceiveMessage(Socket socket)
    {
        try
        {
            byte[] pointer = new byte[sizeof(nint)];
            socket.IOControl(IOControlCode.GetExtensionFunctionPointer, ReceiveMessageId.ToByteArray(), pointer);
            _receiveMessage = (delegate* unmanaged<nint, WinsockMessage*, uint*, void*, void*, int>)MemoryMarshal.Read<nint>(pointer);
            return _receiveMessage != null;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    /// <inheritdoc/>
    public SocketError SendMessage(Socket socket, WinsockMessage* message)
    {
        uint sent;
        return WSASendMsg(socket.SafeHandle, message, 0, &sent, null, null) == 0
            ? SocketError.Success
            : (SocketError)Marshal.GetLastPInvokeError();
    }

    /// <inheritdoc/>
    public SocketError ReceiveMessage(Socket socket, WinsockMessage* message, out int length)
    {
        SafeSocketHandle handle = socket.SafeHandle;
        bool held = false;
        try
        {
            // As the framework does it: who closes the socket meanwhile has the call canceled, and waits until it has let go.
            handle.DangerousAddRef(ref held);
            uint received = 0;
            Marshal.SetLastSystemError(0);
            int result = _receiveMessage(handle.DangerousGetHandle(), message, &received, null, null);
            int error = Marshal.GetLastSystemError();
            length = (int)received;
            return result == 0 ? SocketError.Success : (SocketError)error;
        }
        finally
        {
            if (held)
                handle.DangerousRelease();
        }
    }

    [LibraryImport(Library, SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial int WSASendMsg(
        SafeHandle socket, WinsockMessage* message, uint flags, uint* sent, void* overlapped, void* completion);
}
