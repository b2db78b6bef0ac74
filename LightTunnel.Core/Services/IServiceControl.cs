namespace LightTunnel.Services;

/// <summary>
/// What Windows' service control manager, its registry and its processes are asked for services; replaced in tests by one in memory.
/// Everything throws a LightTunnelException (ServiceFailed, PrivilegeRequired, ServiceManagerUnavailable) when Windows refuses.
/// </summary>
internal interface IServiceControl
{
    /// <summary>The names of all services that begin so, whoever made them.</summary>
    IReadOnlyList<string> Find(string prefix);

    /// <summary>What a service is; null when there is none of that name.</summary>
    ServiceEntry? Read(string name);

    /// <summary>Makes a service, or makes the one of that name anew.</summary>
    void Write(string name, ServiceSettings settings);

    /// <summary>Has a service run another command line from its next start on.</summary>
    void SetCommand(string name, string commandLine);

    /// <summary>Removes a service.</summary>
    void Delete(string name);

    /// <summary>Starts a service that does not run; returns when its process has answered.</summary>
    void Start(string name);

    /// <summary>Asks a service to stop; does not wait.</summary>
    void Stop(string name);

    /// <summary>How a service stands.</summary>
    ServiceCondition Query(string name);

    /// <summary>What was noted of a service (its registry key "Parameters"); null for nothing.</summary>
    string? Recall(string name, string key);

    /// <summary>Notes something of a service, which goes with it; null for nothing.</summary>
    void Note(string name, string key, string? value);

    /// <summary>Makes or removes what has the event log's viewer show what services write.</summary>
    void SetEventSource(bool isThere);

    /// <summary>The program that a process runs; null when that is not told.</summary>
    string? ProgramOf(int processId);

    /// <summary>Waits for a process to have ended, so that its files can be removed.</summary>
    void WaitForEnd(int processId, TimeSpan limit);
}

/// <summary>A service as it is registered.</summary>
/// <param name="CommandLine">What it runs.</param>
/// <param name="IsAutomatic">Whether it is started with the system.</param>
internal sealed record ServiceEntry(string CommandLine, bool IsAutomatic);

/// <summary>What a service is to be, beside what all of LightTunnel's are (<see cref="WindowsServiceControl"/>).</summary>
/// <param name="CommandLine">What it runs.</param>
/// <param name="DisplayName">"LightTunnel server office".</param>
/// <param name="Description">A sentence.</param>
internal sealed record ServiceSettings(string CommandLine, string DisplayName, string Description);

/// <summary>The states of services (SERVICE_STATUS_PROCESS).</summary>
internal enum ControlState
{
    /// <summary>SERVICE_STOPPED.</summary>
    Stopped = 1,

    /// <summary>SERVICE_START_PENDING.</summary>
    StartPending = 2,

    /// <summary>SERVICE_STOP_PENDING.</summary>
    StopPending = 3,

    /// <summary>SERVICE_RUNNING.</summary>
    Running = 4,
}

/// <summary>How a service stands.</summary>
/// <param name="State">Where.</param>
/// <param name="ExitCode">How it ended, one of Windows' error codes or <see cref="ServiceExit"/>'s.</param>
/// <param name="ProcessId">Its process, 0 for none.</param>
internal sealed record ServiceCondition(ControlState State, int ExitCode, int ProcessId);

/// <summary>Exit codes of services as Windows has them (winerror.h).</summary>
internal static class ServiceExit
{
    /// <summary>Stopped in order.</summary>
    public const int None = 0;

    /// <summary>ERROR_PROCESS_ABORTED: the process ended without having said that it stops, for which Windows starts it again.</summary>
    public const int Aborted = 1067;

    /// <summary>ERROR_SERVICE_NEVER_STARTED since the machine's start.</summary>
    public const int NeverStarted = 1077;
}
