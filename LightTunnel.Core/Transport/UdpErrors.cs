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

    public static LightTunnelException CannotOpen(int port, string reason, Exception? cause = null) => new(
        LightTunnelError.Internal,
        string.Create(CultureInfo.InvariantCulture, $"UDP port {port} could not be opened: {reason}."),
        "Check that this machine has a working network configuration.",
        cause)
    { Target = port };
}
