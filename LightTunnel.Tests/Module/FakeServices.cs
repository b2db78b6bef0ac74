using System.Runtime.Versioning;
using LightTunnel.Diagnostics;
using LightTunnel.Services;
using Xunit;

namespace LightTunnel.Tests.PowerShellModule;

/// <summary>
/// Services for the commands' own tests, in the process that hosts PowerShell: files are real, in a folder of the test's, and who would run
/// them notes what it is told. A service whose name begins with "broken" ends with an error.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed class FakeServices(string folder, int process) : IServiceManager
{
    private static readonly string[] Made = ["etc", "lib"];

    private readonly SortedDictionary<string, (ServiceDefinition Service, ServiceState State)> _services = [];

    /// <summary>What was asked for, one line each.</summary>
    public static List<string> Calls { get; } = [];

    public string ConfigurationFolder => Path.Combine(folder, "etc");

    /// <summary>Puts them into a shell in which nothing runs, instead of the system's.</summary>
    public static async Task<ModuleShell> InstallAsync(FakeEngineShell shared)
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "Only root registers services.");
        ModuleShell shell = await shared.ResetAsync();
        File.Delete(Path.Combine(shell.Folder, "no systemd"));
        await shell.RunAsync(
            """
            param($Folder, $Process)
            $services = $fake.Assembly.GetType('LightTunnel.Tests.PowerShellModule.FakeServices')
            $services.GetMethod('Install').Invoke($null, @($Folder, [int]$Process))
            """,
            new { shell.Folder, Process = Environment.ProcessId });
        return shell;
    }

    /// <summary><see cref="Calls"/> of a shell.</summary>
    public static async Task<string[]> CallsAsync(ModuleShell shell) =>
        [.. (await shell.RunAsync("$services.GetProperty('Calls').GetValue($null)")).Output.Select(call => call.ToString()!)];

    /// <summary>Called from scripts, by reflection.</summary>
    public static void Install(string folder, int process)
    {
        Calls.Clear();
        string module = Path.Combine(folder, "Modules", "0.1.0");
        string host = Path.Combine(module, "Host", "any");
        Directory.CreateDirectory(host);
        File.WriteAllText(Path.Combine(host, HostPayload.ProgramName), "program");
        foreach (string rest in Made.Select(name => Path.Combine(folder, name)).Where(Directory.Exists))
            Directory.Delete(rest, recursive: true);
        ServiceCatalog.Manager = new FakeServices(folder, process);
        ServiceCatalog.Installation = new HostInstallation(Path.Combine(folder, "lib"));
        ServiceCatalog.Module = module;
    }

    public void CheckUsable()
    {
        if (File.Exists(Path.Combine(folder, "no systemd")))
            throw new LightTunnelException(LightTunnelError.ServiceManagerUnavailable, "Nobody runs services.", "Use another system.");
    }

    public IReadOnlyList<ServiceDefinition> List() => [.. _services.Values.Select(entry => entry.Service)];

    public IReadOnlyList<ServiceStatus> Ask(IReadOnlyList<ServiceDefinition> services) => [.. services.Select(service =>
    {
        ServiceState state = _services[service.Name].State;
        bool isRunning = state == ServiceState.Running;
        return new ServiceStatus(
            service, state, Enabled: true, isRunning ? process : 0, isRunning ? new Version(0, 1, 0) : null,
            state == ServiceState.Failed ? "The port is taken." : null);
    })];

    public void Register(ServiceDefinition service, string program)
    {
        Calls.Add($"register {service.Name}");
        _services[service.Name] = (service, ServiceState.Stopped);
    }

    public void Unregister(ServiceDefinition service)
    {
        Calls.Add($"unregister {service.Name}");
        _services.Remove(service.Name);
    }

    public void Start(ServiceDefinition service) =>
        Set("start", service, service.Name.StartsWith("broken", StringComparison.Ordinal) ? ServiceState.Failed : ServiceState.Running);

    public void Stop(ServiceDefinition service) => Set("stop", service, ServiceState.Stopped);

    public void Restart(ServiceDefinition service) => Set("restart", service, ServiceState.Running);

    private void Set(string call, ServiceDefinition service, ServiceState state)
    {
        Calls.Add($"{call} {service.Name}");
        _services[service.Name] = (service, state);
    }
}
