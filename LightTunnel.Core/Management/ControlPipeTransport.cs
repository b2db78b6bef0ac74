using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.IO.Pipes;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using System.Security.Principal;
using LightTunnel.Diagnostics;
using Microsoft.Win32.SafeHandles;

namespace LightTunnel.Management;

/// <summary>Named pipes "LightTunnel.(process id)", open to administrators and to the user who runs the tunnel.</summary>
/// <param name="folder">Where the system lists its pipes.</param>
/// <param name="processes">The ids of all processes; the system's when left out.</param>
/// <param name="isThere">Whether a process has such a pipe, which is not connected to; asks the system when left out.</param>
[SupportedOSPlatform("windows")]
internal sealed partial class ControlPipeTransport(
    string folder = ControlPipeTransport.SystemFolder, Func<IEnumerable<int>>? processes = null, Func<int, bool>? isThere = null)
    : ControlTransport
{
    private const string SystemFolder = @"\\.\pipe\", Prefix = "LightTunnel.";

    // winbase.h: PIPE_ACCESS_DUPLEX, FILE_FLAG_OVERLAPPED, FILE_FLAG_FIRST_PIPE_INSTANCE; PIPE_REJECT_REMOTE_CLIENTS.
    private const uint AccessDuplex = 3, Overlapped = 0x4000_0000, FirstInstance = 0x8_0000, RejectRemoteClients = 8,
        UnlimitedInstances = 255;

    private const int ErrorFileNotFound = 2, ErrorAccessDenied = 5;

    /// <inheritdoc/>
    public override IReadOnlyList<int> FindProcesses(ICollection<string> warnings)
    {
        try
        {
            return [.. Listed().Where(processId => processId != Environment.ProcessId).Order()];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or Win32Exception)
        {
            warnings.Add($"Tunnels of other processes are not shown: {exception.Message}");
            return [];
        }
    }

    /// <summary>By the system's list of pipes; where it gives none, each process is asked for its own.</summary>
    private List<int> Listed()
    {
        try
        {
            return [.. Directory.EnumerateFiles(folder).Select(pipe => ProcessOf(Path.GetFileName(pipe))).OfType<int>()];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [.. (processes ?? AllProcesses)().Where(isThere ?? IsThere)];
        }
    }

    private static int? ProcessOf(string pipe) =>
        pipe.StartsWith(Prefix, StringComparison.Ordinal)
            && int.TryParse(pipe.AsSpan(Prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int processId)
            ? processId
            : null;

    private static IEnumerable<int> AllProcesses()
    {
        foreach (Process process in Process.GetProcesses())
        {
            using (process)
                yield return process.Id;
        }
    }

    /// <inheritdoc/>
    public override async Task<Stream?> ConnectAsync(int processId, CancellationToken cancellationToken)
    {
        // Identification lets the listener see who asks, never act as the asker.
        var pipe = new NamedPipeClientStream(
            ".", NameOf(processId), PipeDirection.InOut, PipeOptions.Asynchronous, TokenImpersonationLevel.Identification);
        try
        {
            if (!await PipeConnection.TryConnectAsync(pipe, () => IsThere(processId), cancellationToken).ConfigureAwait(false))
            {
                await pipe.DisposeAsync().ConfigureAwait(false);
                return null;
            }

            (string user, bool isAdministrator) = ThisProcess();
            if (PipeAccess.IsTrusted(pipe.GetAccessControl().GetOwner(typeof(SecurityIdentifier))?.Value, user, isAdministrator))
                return pipe;
            throw new LightTunnelException(
                LightTunnelError.PrivilegeRequired,
                $"The control pipe {NameOf(processId)} belongs to another user.",
                "End the process that made it.");
        }
        catch (UnauthorizedAccessException exception)
        {
            await pipe.DisposeAsync().ConfigureAwait(false);
            throw new LightTunnelException(
                LightTunnelError.PrivilegeRequired,
                $"Process {processId} cannot be asked: access is denied.",
                "Run PowerShell as administrator.",
                exception);
        }
        catch
        {
            await pipe.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <inheritdoc/>
    public override ControlListener Listen()
    {
        try
        {
            // The first instance must be ours: a pipe of that name that exists already was made by somebody else.
            string name = NameOf(Environment.ProcessId);
            return new PipeListener<NamedPipeServerStream>(
                isFirst => Create(name, isFirst),
                (pipe, cancellationToken) => pipe.WaitForConnectionAsync(cancellationToken));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new LightTunnelException(
                LightTunnelError.FileAccess,
                $"The control pipe {NameOf(Environment.ProcessId)} cannot be made: {exception.Message}",
                "End the process that holds a pipe of that name.",
                exception);
        }
    }

    /// <summary>False when no process has the pipe at all; asking connects nothing.</summary>
    private static bool IsThere(int processId)
    {
        const uint Shortest = 1; // ms; 0 stands for what the pipe's maker chose.
        return WaitNamedPipe(SystemFolder + NameOf(processId), Shortest) || Marshal.GetLastPInvokeError() != ErrorFileNotFound;
    }

    private static string NameOf(int processId) => Prefix + processId.ToString(CultureInfo.InvariantCulture);

    /// <summary>The user that this process acts as, and whether it is elevated.</summary>
    private static (string User, bool IsAdministrator) ThisProcess()
    {
        using WindowsIdentity identity = WindowsIdentity.GetCurrent();
        var administrators = new SecurityIdentifier(WellKnownSidType.BuiltinAdministratorsSid, null);
        return (identity.User!.Value, new WindowsPrincipal(identity).IsInRole(administrators));
    }

    /// <summary>
    /// Makes an instance for clients of this machine only: pipes are reached over SMB as well, and the framework has no option against
    /// that. To deny them the group NETWORK would shut out who administers this machine by WinRM or SSH.
    /// </summary>
    private static unsafe NamedPipeServerStream Create(string name, bool isFirst)
    {
        (string user, bool isAdministrator) = ThisProcess();
        var security = new PipeSecurity();
        security.SetSecurityDescriptorSddlForm(PipeAccess.Describe(user, isAdministrator));
        fixed (byte* descriptor = security.GetSecurityDescriptorBinaryForm())
        {
            var attributes = new SecurityAttributes { Length = (uint)sizeof(SecurityAttributes), Descriptor = descriptor };
            SafePipeHandle handle = CreateNamedPipe(
                SystemFolder + name, AccessDuplex | Overlapped | (isFirst ? FirstInstance : 0), RejectRemoteClients, UnlimitedInstances,
                outBuffer: 0, inBuffer: 0, defaultTimeout: 0, &attributes);
            int error = Marshal.GetLastPInvokeError();
            if (!handle.IsInvalid)
                return new NamedPipeServerStream(PipeDirection.InOut, isAsync: true, isConnected: false, handle);
            handle.Dispose();
            string message = SystemError.Describe(error);
            throw error == ErrorAccessDenied ? new UnauthorizedAccessException(message) : new IOException(message);
        }
    }

    [LibraryImport("kernel32.dll", EntryPoint = "CreateNamedPipeW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static unsafe partial SafePipeHandle CreateNamedPipe(
        string name, uint openMode, uint pipeMode, uint maximumInstances, uint outBuffer, uint inBuffer, uint defaultTimeout,
        SecurityAttributes* security);

    [LibraryImport("kernel32.dll", EntryPoint = "WaitNamedPipeW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool WaitNamedPipe(string name, uint timeout);

    /// <summary>SECURITY_ATTRIBUTES (wtypesbase.h).</summary>
    [StructLayout(LayoutKind.Sequential)]
    private unsafe struct SecurityAttributes
    {
        public uint Length;
        public byte* Descriptor;
        public int IsInherited;
    }
}
