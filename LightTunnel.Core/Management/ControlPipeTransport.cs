using System.Globalization;
using System.IO.Pipes;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using System.Security.AccessControl;
using System.Security.Principal;
using LightTunnel.Diagnostics;

namespace LightTunnel.Management;

/// <summary>Named pipes "LightTunnel.(process id)", open to administrators and to the user who runs the tunnel.</summary>
/// <param name="folder">Where the system lists its pipes.</param>
[SupportedOSPlatform("windows")]
internal sealed partial class ControlPipeTransport(string folder = ControlPipeTransport.SystemFolder) : ControlTransport
{
    private const string SystemFolder = @"\\.\pipe\", Prefix = "LightTunnel.";

    /// <inheritdoc/>
    public override IReadOnlyList<int> FindProcesses(ICollection<string> warnings)
    {
        var found = new List<int>();
        try
        {
            foreach (string pipe in Directory.EnumerateFiles(folder, Prefix + "*"))
            {
                if (int.TryParse(
                    Path.GetFileName(pipe).AsSpan(Prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int processId)
                    && processId != Environment.ProcessId)
                {
                    found.Add(processId);
                }
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            warnings.Add($"Tunnels of other processes are not shown: {exception.Message}");
        }

        found.Sort();
        return found;
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

            if (pipe.GetAccessControl().GetOwner(typeof(SecurityIdentifier)) is SecurityIdentifier owner && IsTrusted(owner))
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
                isFirst => Create(name, isFirst ? PipeOptions.FirstPipeInstance : PipeOptions.None),
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
        const int ErrorFileNotFound = 2;
        const uint Shortest = 1; // ms; 0 stands for what the pipe's maker chose.
        return WaitNamedPipe(SystemFolder + NameOf(processId), Shortest) || Marshal.GetLastPInvokeError() != ErrorFileNotFound;
    }

    private static string NameOf(int processId) => Prefix + processId.ToString(CultureInfo.InvariantCulture);

    private static SecurityIdentifier Administrators() => new(WellKnownSidType.BuiltinAdministratorsSid, null);

    private static SecurityIdentifier CurrentUser()
    {
        using WindowsIdentity identity = WindowsIdentity.GetCurrent();
        return identity.User ?? Administrators();
    }

    private static bool IsTrusted(SecurityIdentifier owner) =>
        owner == Administrators() || owner == CurrentUser() || owner.IsWellKnown(WellKnownSidType.LocalSystemSid);

    private static NamedPipeServerStream Create(string name, PipeOptions option)
    {
        var security = new PipeSecurity();
        security.AddAccessRule(new PipeAccessRule(Administrators(), PipeAccessRights.FullControl, AccessControlType.Allow));
        security.AddAccessRule(new PipeAccessRule(CurrentUser(), PipeAccessRights.FullControl, AccessControlType.Allow));
        return NamedPipeServerStreamAcl.Create(
            name, PipeDirection.InOut, NamedPipeServerStream.MaxAllowedServerInstances, PipeTransmissionMode.Byte,
            PipeOptions.Asynchronous | option, inBufferSize: 0, outBufferSize: 0, security);
    }

    [LibraryImport("kernel32.dll", EntryPoint = "WaitNamedPipeW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool WaitNamedPipe(string name, uint timeout);
}
