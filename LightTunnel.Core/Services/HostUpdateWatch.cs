namespace LightTunnel.Services;

/// <summary>
/// Whether a running host should end to be started anew because a newer version of it is there: installed already, or in the module's
/// folder, from which the start installs it.
/// </summary>
/// <remarks>
/// What was newer already when the host started is not worth ending for: the start has just tried to install it, and could not. So a
/// host that cannot be updated goes on instead of being started anew for ever.
/// </remarks>
public sealed class HostUpdateWatch
{
    private readonly HostInstallation _installation;
    private readonly Version _installed, _offered;

    /// <param name="installation">Where the host is installed.</param>
    /// <param name="running">The version that runs.</param>
    public HostUpdateWatch(HostInstallation installation, Version running)
    {
        _installation = installation;
        _installed = Later(installation.Version, running);
        _offered = Later(installation.Newest()?.Version, running);
    }

    /// <summary>The version to be started anew for; null for none.</summary>
    public Version? Look()
    {
        if (_installation.Newest()?.Version is { } offered && offered > _offered)
            return offered;
        return _installation.Version is { } installed && installed > _installed ? installed : null;
    }

    private static Version Later(Version? one, Version other) => one is not null && one > other ? one : other;
}
