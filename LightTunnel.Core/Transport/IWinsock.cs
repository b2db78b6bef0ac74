using System.Net.Sockets;

namespace LightTunnel.Transport;

/// <summary>
/// What <see cref="WinsockMessages"/> needs of Windows (ws2_32.dll) beyond the framework's sockets; replaced in tests by a stand-in. A
/// socket that was closed makes any of them throw <see cref="ObjectDisposedException"/>.
/// </summary>
internal unsafe interface IWinsock
{
    /// <summary>True when the system knows an option of IPPROTO_UDP.</summary>
    bool HasOption(Socket socket, int name);

    /// <summary>Sets an option; false when the system refuses.</summary>
    bool TrySetOption(Socket socket, int level, int name, int value);

    /// <summary>
    /// Looks for WSARecvMsg, which is an extension of the socket's provider; false when there is none. Before the first
    /// <see cref="ReceiveMessage"/>.
    /// </summary>
    bool TryFindReceiveMessage(Socket socket);

    /// <summary>Sends a message (WSASendMsg).</summary>
    SocketError SendMessage(Socket socket, WinsockMessage* message);

    /// <summary>Waits for a message (WSARecvMsg), which changes the lengths of name and control, and the flags.</summary>
    SocketError ReceiveMessage(Socket socket, WinsockMessage* message, out int length);
}
