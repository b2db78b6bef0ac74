using LightTunnel.Diagnostics;

namespace LightTunnel.Services;

/// <summary>The part of the system that starts services and keeps them running: systemd, or Windows' service control manager.</summary>
internal interface IServiceManager
{
    /// <summary>Where the settings of services lie.</summary>
    string ConfigurationFolder { get; }

    /// <summary>Throws unless services can be changed by this process.</summary>
    /// <exception cref="LightTunnelException">PrivilegeRequired, or ServiceManagerUnavailable.</exception>
    void CheckUsable();

    /// <summary>All services of LightTunnel, by name.</summary>
    IReadOnlyList<ServiceDefinition> List();

    /// <summary>How services stand, in the order of the question.</summary>
    IReadOnlyList<ServiceStatus> Ask(IReadOnlyList<ServiceDefinition> services);

    /// <summary>Makes a service, in place of one of the same name if there is one: to be started with the system, not yet now.</summary>
    /// <param name="service">What it is.</param>
    /// <param name="program">The program that it runs.</param>
    void Register(ServiceDefinition service, string program);

    /// <summary>Removes a service that is stopped.</summary>
    void Unregister(ServiceDefinition service);

    /// <summary>Has it started; does not wait until it is up.</summary>
    void Start(ServiceDefinition service);

    /// <summary>Stops it; returns when it is stopped.</summary>
    void Stop(ServiceDefinition service);

    /// <summary>Stops and starts it; does not wait until it is up.</summary>
    void Restart(ServiceDefinition service);
}
