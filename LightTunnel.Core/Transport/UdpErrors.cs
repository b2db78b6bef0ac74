using System.Globalization;
using LightTunnel.Diagnostics;

namespace LightTunnel.Transport;

/// <summary>The errors that opening the socket can end in, in the same words on every system.</summary>
internal static class UdpErrors
{
    public static LightTunnelException PortInUse(int port, Exception? cause = null) => new(
        LightTunnelError.PortInUse,
        string.Create(CultureInfo.InvariantCulture, $"UDP port {port} is in use by another program."),
        "Choose another listen port, or stop the program that has this one. (A LightTunnel server has the port after its own as well, "
            + "unless -ObserverPort says otherwise.)",
        cause)
    { Target = port };

    public static LightTunnelException PrivilegeRequired(int port, Exception? cause = null) => new(
        LightTunnelError.PrivilegeRequired,
        string.Create(CultureInfo.InvariantCulture, $"The system does not let this user listen on UDP port {port}."),
        "Choose a port above 1023, or run as root or administrator.",
        cause)
    { Target = port };

    /// <summary>
    /// WSAEACCES, where every user may listen on every port: what keeps it back is a range of ports that something has reserved (Hyper-V,
    /// WSL and containers by WinNAT, anew at each start), or a program that has the port to itself.
    /// </summary>
    public static LightTunnelException PortReserved(int port, Exception? cause = null) => new(
        LightTunnelError.PortInUse,
        string.Create(CultureInfo.InvariantCulture, $"Windows lets nobody listen on UDP port {port}: ")
            + "it lies in a range that is reserved (by Hyper-V, WSL or WinNAT, mostly), or another program has it to itself.",
        "Choose a listen port outside of the ranges that 'netsh int ipv4 show excludedportrange protocol=udp' lists, or reserve this one "
            + "for yourself ('netsh int ipv4 add excludedportrange protocol=udp', after a restart).",
        cause)
    { Target = port };

    /// <summary>The system's refusal to let a port be listened on.</summary>
    /// <param name="port">The port.</param>
    /// <param name="isWindows">Whether Windows refused.</param>
    /// <param name="cause">How it was said.</param>
    public static LightTunnelException AccessDenied(int port, bool isWindows, Exception? cause = null) =>
        isWindows ? PortReserved(port, cause) : PrivilegeRequired(port, cause);

    public static LightTunnelException CannotOpen(int port, string reason, Exception? cause = null) => new(
        LightTunnelError.Internal,
        string.Create(CultureInfo.InvariantCulture, $"UDP port {port} could not be opened: {reason}."),
        "Check that this machine has a working network configuration.",
        cause)
    { Target = port };
}
