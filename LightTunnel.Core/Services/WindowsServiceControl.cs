using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using System.Security;
using LightTunnel.Diagnostics;
using Microsoft.Win32;
using Microsoft.Win32.SafeHandles;

namespace LightTunnel.Services;

/// <summary>The service control manager of this Windows, by its documented functions (winsvc.h).</summary>
/// <remarks>
/// All services run as LocalSystem, because only that may make Wintun's adapters: the driver's library takes a namespace for which it asks
/// for that very account. Of its privileges a service has those that setting up a driver and a named pipe need, and not those by which
/// LocalSystem acts as anybody else, looks into other processes or takes what it does not own.
/// </remarks>
[SupportedOSPlatform("windows")]
internal sealed unsafe partial class WindowsServiceControl : IServiceControl
{
    /// <summary>After how long Windows starts a service again whose process ended without having said that it stops.</summary>
    public static readonly TimeSpan RestartDelay = TimeSpan.FromSeconds(5);

    private const string Library = "advapi32.dll";
    private const string ServicesKey = @"SYSTEM\CurrentControlSet\Services";
    private const string EventSourceKey = ServicesKey + @"\EventLog\Application\LightTunnel";

    /// <summary>
    /// The messages of eventcreate.exe, which each Windows has: the texts 1 to 1000 are "%1", whatever the program wrote. So entries stay
    /// readable whichever versions of LightTunnel come and go.
    /// </summary>
    private const string EventMessages = @"%SystemRoot%\System32\EventCreate.exe";

    /// <summary>Before the network's own parts run there are no interfaces to be made. A network needs not be there.</summary>
    private const string Dependencies = "Tcpip\0nsi\0";

    private const string Privileges =
        "SeChangeNotifyPrivilege\0SeCreateGlobalPrivilege\0SeImpersonatePrivilege\0SeLoadDriverPrivilege\0SeBackupPrivilege\0"
        + "SeRestorePrivilege\0";

    // Rights, kinds and levels of winsvc.h.
    private const uint Connect = 0x1, CreateService = 0x2, Enumerate = 0x4;
    private const uint QueryConfig = 0x1, ChangeConfig = 0x2, QueryStatus = 0x4, StartRight = 0x10, StopRight = 0x20,
        DeleteRight = 0x1_0000;
    private const uint OwnProcess = 0x10, Win32Services = 0x30, AllStates = 3, AutomaticStart = 2, NormalError = 1, StopControl = 1;
    private const uint DescriptionLevel = 1, FailureActionsLevel = 2, PrivilegesLevel = 6;

    // winerror.h.
    private const int AccessDenied = 5, InsufficientBuffer = 122, InvalidLevel = 124, MoreData = 234, AlreadyRunning = 1056,
        NoSuchService = 1060, NotAccepted = 1061, NotActive = 1062, MarkedForDelete = 1072;

    /// <inheritdoc/>
    public IReadOnlyList<string> Find(string prefix)
    {
        using Handle manager = OpenManager(Connect | Enumerate);
        uint needed = 0, count = 0, resume = 0;
        byte[] buffer = [];
        while (true)
        {
            fixed (byte* services = buffer)
            {
                resume = 0;
                if (EnumServicesStatusEx(
                    manager, 0, Win32Services, AllStates, services, (uint)buffer.Length, ref needed, ref count, ref resume, null))
                {
                    var found = new List<string>();
                    for (int index = 0; index < count; index++)
                    {
                        string name = new(((EnumeratedService*)services)[index].Name);
                        if (name.StartsWith(prefix, StringComparison.OrdinalIgnoreCase))
                            found.Add(name);
                    }

                    return found;
                }
            }

            int error = Marshal.GetLastPInvokeError();
            if (error != MoreData)
                throw Failed("The services could not be listed", error);
            buffer = new byte[buffer.Length + (int)needed];
        }
    }

    /// <inheritdoc/>
    public ServiceEntry? Read(string name)
    {
        using Handle manager = OpenManager(Connect);
        using Handle? service = TryOpen(manager, name, QueryConfig);
        if (service is null)
            return null;
        byte[] buffer = [];
        while (true)
        {
            uint needed;
            fixed (byte* config = buffer)
            {
                if (QueryServiceConfig(service, config, (uint)buffer.Length, &needed))
                {
                    var facts = (ServiceConfig*)config;
                    return new ServiceEntry(new string(facts->CommandLine), facts->StartKind == AutomaticStart);
                }
            }

            int error = Marshal.GetLastPInvokeError();
            if (error != InsufficientBuffer)
                throw Failed($"The service {name} could not be read", error);
            buffer = new byte[needed];
        }
    }

    /// <inheritdoc/>
    public void Write(string name, ServiceSettings settings)
    {
        using Handle manager = OpenManager(Connect | CreateService);
        const uint Rights = QueryConfig | ChangeConfig | StartRight;
        using Handle service = TryOpen(manager, name, Rights) is { } there
            ? Changed(there)
            : CreateServiceW(
                manager, name, settings.DisplayName, Rights, OwnProcess, AutomaticStart, NormalError, settings.CommandLine, null, 0,
                Dependencies, null, null);
        if (service.IsInvalid)
            throw Failed($"The service {name} could not be made", Marshal.GetLastPInvokeError());
        fixed (char* description = settings.Description, privileges = Privileges)
        {
            Set(DescriptionLevel, &description);
            // Again and again, for ever.
            var restart = new FailureAction { Kind = 1, Delay = (uint)RestartDelay.TotalMilliseconds };
            var actions = new FailureActions { ResetPeriod = (uint)TimeSpan.FromDays(1).TotalSeconds, Count = 1, Actions = &restart };
            Set(FailureActionsLevel, &actions);
            Set(PrivilegesLevel, &privileges);
        }

        void Set(uint level, void* value)
        {
            // Wine's manager knows not all of them, each Windows does.
            if (!ChangeServiceConfig2(service, level, value) && Marshal.GetLastPInvokeError() is not InvalidLevel)
                throw Failed($"The service {name} could not be made as it is to be", Marshal.GetLastPInvokeError());
        }

        Handle Changed(Handle there)
        {
            if (ChangeServiceConfig(
                there, OwnProcess, AutomaticStart, NormalError, settings.CommandLine, null, 0, Dependencies, "LocalSystem", string.Empty,
                settings.DisplayName))
            {
                return there;
            }

            int error = Marshal.GetLastPInvokeError();
            there.Dispose();
            throw Failed($"The service {name} could not be changed", error);
        }
    }

    /// <inheritdoc/>
    public void SetCommand(string name, string commandLine)
    {
        const uint Same = 0xFFFF_FFFF;
        using Handle manager = OpenManager(Connect);
        using Handle service = Open(manager, name, ChangeConfig);
        if (!ChangeServiceConfig(service, Same, Same, Same, commandLine, null, 0, null, null, null, null))
            throw Failed($"The service {name} could not be changed", Marshal.GetLastPInvokeError());
    }

    /// <inheritdoc/>
    public void Delete(string name)
    {
        using Handle manager = OpenManager(Connect);
        using Handle? service = TryOpen(manager, name, DeleteRight);
        if (service is not null && !DeleteService(service) && Marshal.GetLastPInvokeError() is not MarkedForDelete and var error)
            throw Failed($"The service {name} could not be removed", error);
    }

    /// <inheritdoc/>
    public void Start(string name)
    {
        using Handle manager = OpenManager(Connect);
        using Handle service = Open(manager, name, StartRight);
        if (!StartService(service, 0, null) && Marshal.GetLastPInvokeError() is not AlreadyRunning and var error)
            throw Failed($"The service {name} could not be started", error);
    }

    /// <inheritdoc/>
    public void Stop(string name)
    {
        using Handle manager = OpenManager(Connect);
        using Handle service = Open(manager, name, StopRight);
        byte* status = stackalloc byte[sizeof(ServiceStatusProcess)];
        // What it does not take now, because it is about to start or to stop, is asked for again by who waits.
        if (!ControlService(service, StopControl, status) && Marshal.GetLastPInvokeError() is not (NotActive or NotAccepted) and var error)
            throw Failed($"The service {name} could not be stopped", error);
    }

    /// <inheritdoc/>
    public ServiceCondition Query(string name)
    {
        using Handle manager = OpenManager(Connect);
        using Handle service = Open(manager, name, QueryStatus);
        ServiceStatusProcess status;
        uint needed;
        return QueryServiceStatusEx(service, 0, &status, (uint)sizeof(ServiceStatusProcess), &needed)
            ? new ServiceCondition((ControlState)status.State, (int)status.ExitCode, (int)status.ProcessId)
            : throw Failed($"The service {name} could not be asked", Marshal.GetLastPInvokeError());
    }

    /// <inheritdoc/>
    public string? Recall(string name, string key)
    {
        try
        {
            using RegistryKey? parameters = Registry.LocalMachine.OpenSubKey($@"{ServicesKey}\{name}\Parameters");
            return parameters?.GetValue(key) as string;
        }
        catch (Exception exception) when (exception is SecurityException or UnauthorizedAccessException or IOException)
        {
            return null;
        }
    }

    /// <inheritdoc/>
    public void Note(string name, string key, string? value) => InRegistry(() =>
    {
        using RegistryKey? service = Registry.LocalMachine.OpenSubKey($@"{ServicesKey}\{name}", writable: true);
        using RegistryKey? parameters = service?.CreateSubKey("Parameters");
        if (value is null)
            parameters?.DeleteValue(key, throwOnMissingValue: false);
        else
            parameters?.SetValue(key, value, RegistryValueKind.String);
    });

    /// <inheritdoc/>
    public void SetEventSource(bool isThere) => InRegistry(() =>
    {
        if (!isThere)
        {
            Registry.LocalMachine.DeleteSubKeyTree(EventSourceKey, throwOnMissingSubKey: false);
            return;
        }

        using RegistryKey source = Registry.LocalMachine.CreateSubKey(EventSourceKey);
        source.SetValue("EventMessageFile", EventMessages, RegistryValueKind.ExpandString);
        source.SetValue("TypesSupported", 7, RegistryValueKind.DWord);
    });

    /// <inheritdoc/>
    public string? ProgramOf(int processId)
    {
        const uint QueryLimited = 0x1000;
        using SafeProcessHandle process = OpenProcess(QueryLimited, inherit: false, (uint)processId);
        if (process.IsInvalid)
            return null;
        char[] path = new char[short.MaxValue];
        uint length = (uint)path.Length;
        fixed (char* buffer = path)
            return QueryFullProcessImageName(process, 0, buffer, &length) ? new string(buffer, 0, (int)length) : null;
    }

    /// <inheritdoc/>
    public void WaitForEnd(int processId, TimeSpan limit)
    {
        try
        {
            using Process process = Process.GetProcessById(processId);
            process.WaitForExit(limit);
        }
        catch (Exception exception) when (exception is ArgumentException or InvalidOperationException or Win32Exception)
        {
            // It has ended.
        }
    }

    private static void InRegistry(Action change)
    {
        try
        {
            change();
        }
        catch (Exception exception) when (exception is SecurityException or UnauthorizedAccessException)
        {
            throw PrivilegeRequired(exception);
        }
        catch (IOException exception)
        {
            throw new LightTunnelException(
                LightTunnelError.ServiceFailed, $"The registry could not be changed: {exception.Message}", "Try it again.", exception);
        }
    }

    private static Handle OpenManager(uint rights)
    {
        Handle manager = OpenSCManager(null, null, rights);
        if (!manager.IsInvalid)
            return manager;
        int error = Marshal.GetLastPInvokeError();
        throw error == AccessDenied ? PrivilegeRequired(null) : new LightTunnelException(
            LightTunnelError.ServiceManagerUnavailable,
            $"Windows' service control manager does not answer: {SystemError.Describe(error)}.",
            "Start the machine anew, or run the tunnel with -Wait: docs/services.md.");
    }

    private static Handle Open(Handle manager, string name, uint rights) =>
        TryOpen(manager, name, rights) ?? throw Failed($"The service {name} could not be opened", NoSuchService);

    private static Handle? TryOpen(Handle manager, string name, uint rights)
    {
        Handle service = OpenService(manager, name, rights);
        if (!service.IsInvalid)
            return service;
        int error = Marshal.GetLastPInvokeError();
        return error == NoSuchService ? null : throw Failed($"The service {name} could not be opened", error);
    }

    private static LightTunnelException Failed(string what, int error) => error == AccessDenied
        ? PrivilegeRequired(null)
        : new LightTunnelException(
            LightTunnelError.ServiceFailed, $"{what}: {SystemError.Describe(error)}.",
            error == MarkedForDelete
                ? "Close services.msc and whatever else shows services, and try it again: it is removed when nobody looks at it any more."
                : "Look into the system's log (Event Viewer, Windows Logs, System).");

    private static LightTunnelException PrivilegeRequired(Exception? inner) => new(
        LightTunnelError.PrivilegeRequired, "Services of this machine can be changed by administrators only.",
        "Run it in an elevated PowerShell.", inner);
}
