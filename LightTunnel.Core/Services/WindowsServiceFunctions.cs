using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace LightTunnel.Services;

/// <content>The functions and layouts of winsvc.h.</content>
internal sealed unsafe partial class WindowsServiceControl
{
    [LibraryImport(Library, EntryPoint = "OpenSCManagerW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial Handle OpenSCManager(string? machine, string? database, uint rights);

    [LibraryImport(Library, EntryPoint = "OpenServiceW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial Handle OpenService(Handle manager, string name, uint rights);

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial Handle CreateServiceW(
        Handle manager, string name, string displayName, uint rights, uint kind, uint startKind, uint errorControl, string commandLine,
        string? group, nint tag, string? dependencies, string? account, string? password);

    [LibraryImport(Library, EntryPoint = "ChangeServiceConfigW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool ChangeServiceConfig(
        Handle service, uint kind, uint startKind, uint errorControl, string? commandLine, string? group, nint tag, string? dependencies,
        string? account, string? password, string? displayName);

    [LibraryImport(Library, EntryPoint = "ChangeServiceConfig2W", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool ChangeServiceConfig2(Handle service, uint level, void* value);

    [LibraryImport(Library, SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool DeleteService(Handle service);

    [LibraryImport(Library, EntryPoint = "StartServiceW", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool StartService(Handle service, uint count, char** arguments);

    [LibraryImport(Library, SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool ControlService(Handle service, uint control, void* status);

    [LibraryImport(Library, SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool QueryServiceStatusEx(Handle service, uint level, void* status, uint size, uint* needed);

    [LibraryImport(Library, EntryPoint = "QueryServiceConfigW", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool QueryServiceConfig(Handle service, void* config, uint size, uint* needed);

    [LibraryImport(Library, EntryPoint = "EnumServicesStatusExW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool EnumServicesStatusEx(
        Handle manager, int level, uint kinds, uint states, void* services, uint size, ref uint needed, ref uint count, ref uint resume,
        string? group);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool CloseServiceHandle(nint handle);

    [LibraryImport("kernel32.dll")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial SafeProcessHandle OpenProcess(uint rights, [MarshalAs(UnmanagedType.Bool)] bool inherit, uint processId);

    [LibraryImport("kernel32.dll", EntryPoint = "QueryFullProcessImageNameW")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool QueryFullProcessImageName(SafeProcessHandle process, uint flags, char* path, uint* length);

    /// <summary>SERVICE_STATUS_PROCESS.</summary>
    internal struct ServiceStatusProcess
    {
        public uint Kind, State, Accepted, ExitCode, SpecificExitCode, CheckPoint, WaitHint, ProcessId, Flags;
    }

    /// <summary>ENUM_SERVICE_STATUS_PROCESSW.</summary>
    internal struct EnumeratedService
    {
        public char* Name, DisplayName;
        public ServiceStatusProcess Status;
    }

    /// <summary>QUERY_SERVICE_CONFIGW.</summary>
    internal struct ServiceConfig
    {
        public uint Kind, StartKind, ErrorControl;
        public char* CommandLine, Group;
        public uint Tag;
        public char* Dependencies, Account, DisplayName;
    }

    /// <summary>SC_ACTION; kind 1 is to start it again.</summary>
    internal struct FailureAction
    {
        public uint Kind, Delay;
    }

    /// <summary>SERVICE_FAILURE_ACTIONSW.</summary>
    internal struct FailureActions
    {
        public uint ResetPeriod;
        public char* RebootMessage, Command;
        public uint Count;
        public FailureAction* Actions;
    }

    /// <summary>SC_HANDLE.</summary>
    private sealed class Handle() : SafeHandleZeroOrMinusOneIsInvalid(ownsHandle: true)
    {
        protected override bool ReleaseHandle() => CloseServiceHandle(handle);
    }
}
