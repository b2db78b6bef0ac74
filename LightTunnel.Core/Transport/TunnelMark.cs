using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace LightTunnel.Transport;

/// <summary>
/// The mark (SO_MARK) that Linux's routing and packet filter know the tunnels' own datagrams by: what carries other packets must never be
/// routed into a tunnel itself. All tunnels have the same, as none of them carries another's. Its bits are none of those that kube-proxy,
/// Calico, Cilium and Tailscale look at. Without an exit node nobody asks for it.
/// </summary>
internal static class TunnelMark
{
    /// <summary>The mark.</summary>
    public const int Value = 0x2074;

    /// <summary>What answers somebody who has begun to talk, and goes back the way that it came.</summary>
    public const int Replies = 0x2075;

    /// <summary>The bits that both have in common.</summary>
    public const uint Mask = 0xFFFF_FFFE;

    private const int SO_MARK = 36;

    /// <summary>Marks what a socket sends; false where the system has no marks, or does not let this process set them.</summary>
    public static bool TrySet(SafeHandle socket) =>
        OperatingSystem.IsLinux() && LibC.TrySetOption(socket, LibC.SOL_SOCKET, SO_MARK, Value);

    /// <inheritdoc cref="TrySet(SafeHandle)"/>
    public static bool TrySet(Socket socket) => TrySet(socket.SafeHandle);
}
