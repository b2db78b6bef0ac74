using System.Text.RegularExpressions;
using LightTunnel.Diagnostics;
using LightTunnel.Membership;

namespace LightTunnel.Services;

/// <summary>Services of Windows: one for each tunnel, <c>lighttunnel-office</c>.</summary>
/// <remarks>
/// Its own are those whose name begins so, and which run the installed program with the file of their name; no other is touched, whatever
/// it is called. What Windows has no words for is noted with the service: the role, whether the tunnel is up, and its last words.
/// </remarks>
/// <param name="control">Windows.</param>
/// <param name="installation">Where the program is.</param>
/// <param name="folder">Where settings lie.</param>
internal sealed partial class WindowsServices(IServiceControl control, HostInstallation installation, string folder) : IServiceManager
{
    private const string Prefix = "lighttunnel-", RoleKey = "Role", UpKey = "Up", ErrorKey = "LastError";

    /// <summary>How long a service may take to stop, and Windows to start one again that failed.</summary>
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(30), RestartPatience = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    /// <inheritdoc/>
    public string ConfigurationFolder => folder;

    /// <inheritdoc/>
    public void CheckUsable()
    {
        if (!Environment.IsPrivilegedProcess)
        {
            throw new LightTunnelException(
                LightTunnelError.PrivilegeRequired, "Services of this machine can be changed by administrators only.",
                "Run it in an elevated PowerShell.");
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<ServiceDefinition> List() =>
    [
        .. control.Find(Prefix)
            .Select(ReadOwn)
            .OfType<ServiceDefinition>()
            .OrderBy(service => service.Name, StringComparer.OrdinalIgnoreCase),
    ];

    /// <inheritdoc/>
    public IReadOnlyList<ServiceStatus> Ask(IReadOnlyList<ServiceDefinition> services) => [.. services.Select(StatusOf)];

    /// <inheritdoc/>
    public void Register(ServiceDefinition service, string program)
    {
        string name = service.SystemName;
        if (control.Read(name) is not null && OwnSettings(name) is null)
        {
            throw new LightTunnelException(
                LightTunnelError.NameInUse, $"There is a service {name} already, which is not LightTunnel's.", "Give another -Name.")
            {
                Target = service.Name,
            };
        }

        string role = service.Role.ToString().ToLowerInvariant();
        control.Write(
            name,
            new ServiceSettings(
                CommandLine(program, service.ConfigurationPath), $"LightTunnel {role} {service.Name}",
                $"Runs the tunnel '{service.Name}' as its network's {role}. Made by Register-LtService, settings in "
                    + $"{service.ConfigurationPath}."));
        control.Note(name, RoleKey, service.Role.ToString());
        control.SetEventSource(isThere: true);
        NameProgram(program);
    }

    /// <inheritdoc/>
    public void Unregister(ServiceDefinition service)
    {
        // A failed registration is taken back by this, too: it may be another's of that name, or half made.
        if (OwnSettings(service.SystemName) is null)
            return;
        control.Delete(service.SystemName);
        if (List().Count == 0)
            control.SetEventSource(isThere: false);
    }

    /// <inheritdoc/>
    public void Start(ServiceDefinition service)
    {
        // A host that finds at its start that it is an older version than there is ends and is started again. That is spared here.
        installation.Update();
        NameProgram(installation.Program);
        Forget(service.SystemName);
        control.Start(service.SystemName);
    }

    /// <inheritdoc/>
    public void Stop(ServiceDefinition service)
    {
        string name = service.SystemName;
        // Windows takes back no restart that it is about to make: what was to be stopped would run some seconds later.
        if (IsAwaited(control.Query(name)))
            Wait(RestartPatience, () => control.Query(name).State != ControlState.Stopped);
        int process = control.Query(name).ProcessId;
        bool isStopped = Wait(StopPatience, () =>
        {
            ControlState state = control.Query(name).State;
            if (state == ControlState.Running)
                control.Stop(name);
            return state == ControlState.Stopped;
        });
        if (!isStopped)
        {
            throw new LightTunnelException(
                LightTunnelError.ServiceFailed, $"The service {name} did not stop within {StopPatience.TotalSeconds:0} s.",
                $"End its process: Stop-Process -Id {process}.");
        }

        if (process != 0)
            control.WaitForEnd(process, StopPatience);
        Forget(name);
    }

    /// <inheritdoc/>
    public void Restart(ServiceDefinition service)
    {
        Stop(service);
        Start(service);
    }

    /// <summary>The service that runs with a configuration file; null for none.</summary>
    internal ServiceDefinition? Find(string configurationPath) =>
        List().FirstOrDefault(service => IsSame(service.ConfigurationPath, configurationPath));

    /// <summary>
    /// Has all services run that program from their next start on: the folder of an older version goes some time, also for who sleeps.
    /// </summary>
    /// <returns>The services that had another one.</returns>
    internal IReadOnlyList<ServiceDefinition> NameProgram(string program)
    {
        ServiceDefinition[] others =
        [
            .. List().Where(service => control.Read(service.SystemName) is { } entry
                && Parse(entry.CommandLine) is { } found && !IsSame(found.Program, program)),
        ];
        foreach (ServiceDefinition service in others)
            control.SetCommand(service.SystemName, CommandLine(program, service.ConfigurationPath));
        return others;
    }

    /// <summary>Notes that the service's tunnel is up, or goes on trying.</summary>
    internal void NoteUp(ServiceDefinition service, int process)
    {
        control.Note(service.SystemName, ErrorKey, null);
        control.Note(service.SystemName, UpKey, $"{process}");
    }

    /// <summary>Notes why the service is about to end.</summary>
    internal void NoteError(ServiceDefinition service, string words) => control.Note(service.SystemName, ErrorKey, words);

    /// <summary>The one form of command line that is a service of LightTunnel's.</summary>
    internal static string CommandLine(string program, string configuration) => $"\"{program}\" --configuration \"{configuration}\"";

    private static (string Program, string Configuration)? Parse(string commandLine) =>
        OwnCommandLine().Match(commandLine) is { Success: true } match ? (match.Groups[1].Value, match.Groups[2].Value) : null;

    private static bool IsSame(string path, string other) => string.Equals(path, other, StringComparison.OrdinalIgnoreCase);

    /// <summary>True between the end of a process that failed and the start of the next one.</summary>
    private static bool IsAwaited(ServiceCondition now) => now is { State: ControlState.Stopped, ExitCode: ServiceExit.Aborted };

    private static bool Wait(TimeSpan limit, Func<bool> isSo)
    {
        long begun = TimeProvider.System.GetTimestamp();
        while (!isSo())
        {
            if (TimeProvider.System.GetElapsedTime(begun) > limit)
                return false;
            Thread.Sleep(Pause);
        }

        return true;
    }

    /// <summary>The service of that name if it is LightTunnel's; null for any other.</summary>
    private ServiceDefinition? ReadOwn(string name) =>
        OwnSettings(name) is { } configuration && Enum.TryParse(control.Recall(name, RoleKey), out TunnelRole role)
            ? new ServiceDefinition(name[Prefix.Length..], role, configuration)
            : null;

    /// <summary>The file of settings of the service of that name, if it is LightTunnel's; null for any other.</summary>
    private string? OwnSettings(string name)
    {
        if (!name.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase) || control.Read(name) is not { } entry
            || Parse(entry.CommandLine) is not var (program, configuration)
            || Path.GetFileName(program) != HostPayload.ProgramName
            || Path.GetDirectoryName(Path.GetDirectoryName(program)) is not { } place || !IsSame(place, installation.Folder))
        {
            return null;
        }

        return IsSame(configuration, Path.Combine(folder, name[Prefix.Length..] + ".yaml")) ? configuration : null;
    }

    private ServiceStatus StatusOf(ServiceDefinition service)
    {
        string name = service.SystemName;
        ServiceCondition now = control.Query(name);
        ServiceState state = now switch
        {
            { State: ControlState.StartPending } => ServiceState.Starting,
            { State: ControlState.StopPending } => ServiceState.Stopping,
            { State: ControlState.Stopped, ExitCode: ServiceExit.None or ServiceExit.NeverStarted } => ServiceState.Stopped,
            { State: ControlState.Stopped, ExitCode: ServiceExit.Aborted } => ServiceState.Restarting,
            { State: ControlState.Stopped } => ServiceState.Failed,
            // Windows counts as running what has a process; a tunnel that is not up yet is on its way.
            _ => control.Recall(name, UpKey) == $"{now.ProcessId}" ? ServiceState.Running : ServiceState.Starting,
        };
        string? error = state is ServiceState.Failed or ServiceState.Restarting ? control.Recall(name, ErrorKey) ?? Meaning(now) : null;
        Version? version = now.ProcessId != 0 && control.ProgramOf(now.ProcessId) is { } program
            ? HostPayload.VersionOf(Path.GetFileName(Path.GetDirectoryName(program)) ?? string.Empty)
            : null;
        return new ServiceStatus(service, state, control.Read(name)?.IsAutomatic == true, now.ProcessId, version, error);
    }

    /// <summary>What is known of one that left no words.</summary>
    private static string Meaning(ServiceCondition now) => now.ExitCode == ServiceExit.Aborted
        ? "Its process was ended, or broke off."
        : $"It ended with {SystemError.Describe(now.ExitCode)}.";

    private void Forget(string name)
    {
        control.Note(name, ErrorKey, null);
        control.Note(name, UpKey, null);
    }

    [GeneratedRegex("^\"([^\"]+)\" --configuration \"([^\"]+)\"$", RegexOptions.CultureInvariant)]
    private static partial Regex OwnCommandLine();
}
