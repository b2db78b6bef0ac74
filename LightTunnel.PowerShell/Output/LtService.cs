using LightTunnel.Services;

namespace LightTunnel;

/// <summary>A tunnel that is a service of this machine, as it stood at one moment. Its text is its name.</summary>
public sealed class LtService
{
    internal LtService(ServiceStatus status, Version? installed, LtTunnel? tunnel)
        : this(
            status.Definition.Name, (LtTunnelRole)status.Definition.Role, (LtServiceState)status.State, status.Enabled, installed,
            status.HostVersion, tunnel, status.Definition.SystemName, status.Definition.ConfigurationPath,
            status.LastError ?? tunnel?.LastError, status.ProcessId)
    {
    }

    internal LtService(
        string name, LtTunnelRole role, LtServiceState state, bool enabled, Version? version, Version? hostVersion, LtTunnel? tunnel,
        string systemName, string configurationPath, string? lastError, int processId)
    {
        Name = name;
        Role = role;
        State = state;
        Enabled = enabled;
        Version = version?.ToString();
        HostVersion = hostVersion?.ToString();
        Tunnel = tunnel;
        SystemName = systemName;
        ConfigurationPath = configurationPath;
        LastError = lastError;
        ProcessId = processId;
    }

    /// <summary>The tunnel's name on this machine.</summary>
    public string Name { get; }

    /// <summary>Server or client.</summary>
    public LtTunnelRole Role { get; }

    /// <summary>Where the service stands.</summary>
    public LtServiceState State { get; }

    /// <summary>Whether it is started with the system.</summary>
    public bool Enabled { get; }

    /// <summary>The version that is installed, which the next start takes.</summary>
    public string? Version { get; }

    /// <summary>The version that runs; null when none does.</summary>
    public string? HostVersion { get; }

    /// <summary>The tunnel as Get-LtServer or Get-LtNetwork shows it; null when it does not answer.</summary>
    public LtTunnel? Tunnel { get; }

    /// <summary>What the system calls it, "lighttunnel-office".</summary>
    public string SystemName { get; }

    /// <summary>The file with its settings.</summary>
    public string ConfigurationPath { get; }

    /// <summary>What is wrong; null for nothing.</summary>
    public string? LastError { get; }

    /// <summary>The process that runs it, 0 for none.</summary>
    public int ProcessId { get; }

    /// <inheritdoc/>
    public override string ToString() => Name;
}
