using LightTunnel.Diagnostics;
using LightTunnel.Services;

namespace LightTunnel.Host;

/// <summary>Newer versions of this program, which come with newer versions of the module.</summary>
internal static class HostUpdate
{
    /// <summary>The version that runs.</summary>
    public static Version Running { get; } = ThreeNumbers(typeof(HostUpdate).Assembly.GetName().Version!);

    /// <summary>Installs the newest version that the module's folder has, if it is newer, and says so.</summary>
    public static ExitStatus Run(ServiceLog log)
    {
        try
        {
            Version? before = HostInstallation.OfThisMachine.Version;
            if (HostInstallation.OfThisMachine.Update())
                log.Write(LogLevel.Information, $"LightTunnel {HostInstallation.OfThisMachine.Version} is installed in place of {before}.");
            return ExitStatus.Stopped;
        }
        catch (LightTunnelException exception)
        {
            log.Write(exception);
            return ExitStatus.Failed;
        }
    }

    private static Version ThreeNumbers(Version version) => new(version.Major, version.Minor, version.Build);
}
