using LightTunnel.Diagnostics;
using LightTunnel.Packets;

namespace LightTunnel.Tun;

/// <summary>Creates the kind of interface that this operating system has.</summary>
internal sealed class TunDeviceFactory : ITunDeviceFactory
{
    /// <inheritdoc/>
    public ITunDevice Create(string? name, DataPathOptions? options = null, Guid? id = null)
    {
        if (OperatingSystem.IsLinux())
            return LinuxTun.Create(name, options);
        if (OperatingSystem.IsWindows())
            return WintunDevice.Create(name, options, id);
        throw new LightTunnelException(
            LightTunnelError.TunUnavailable, "There is no tunnel interface for this operating system.", "Use Linux or Windows.");
    }
}
