using LightTunnel.Membership;

namespace LightTunnel.Services;

/// <summary>A tunnel that is registered as a service of the system.</summary>
/// <param name="Name">The tunnel's name.</param>
/// <param name="Role">Server or client.</param>
/// <param name="ConfigurationPath">The file with its settings, and secrets.</param>
public sealed record ServiceDefinition(string Name, TunnelRole Role, string ConfigurationPath)
{
    /// <summary>Where its identity is kept, when that is no place that every service may write to.</summary>
    public string? StatePath { get; init; }

    /// <summary>Its log file, likewise.</summary>
    public string? LogPath { get; init; }

    /// <summary>The system's name of it: "lighttunnel-office".</summary>
    public string SystemName => $"lighttunnel-{Name}";

    /// <summary>Two names that differ in upper case only are one: Windows knows no other, and people mistake them.</summary>
    public bool IsNamed(string name) => string.Equals(Name, name, StringComparison.OrdinalIgnoreCase);
}

/// <summary>Where a service stands.</summary>
public enum ServiceState
{
    /// <summary>It does not run, and nothing is wrong with that.</summary>
    Stopped,

    /// <summary>It is on its way.</summary>
    Starting,

    /// <summary>It runs.</summary>
    Running,

    /// <summary>It is being stopped.</summary>
    Stopping,

    /// <summary>It ended with an error and is started again in a moment.</summary>
    Restarting,

    /// <summary>It ended with an error and stays down.</summary>
    Failed,
}

/// <summary>What the system says of a service.</summary>
/// <param name="Definition">Which one.</param>
/// <param name="State">Where it stands.</param>
/// <param name="Enabled">Whether it is started with the system.</param>
/// <param name="ProcessId">Its process, 0 for none.</param>
/// <param name="HostVersion">The version that runs; null when none does.</param>
/// <param name="LastError">What is wrong, in its own last words; null for nothing.</param>
public sealed record ServiceStatus(
    ServiceDefinition Definition, ServiceState State, bool Enabled, int ProcessId, Version? HostVersion, string? LastError);
