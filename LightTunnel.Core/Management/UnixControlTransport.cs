using System.Buffers.Binary;
using System.Globalization;
using System.Net.Sockets;
using System.Runtime.Versioning;
using LightTunnel.Diagnostics;

namespace LightTunnel.Management;

/// <summary>
/// Unix sockets "net-(namespace)/(process id).sock" below a folder that only its owner may enter. Network namespaces are separate
/// machines to LightTunnel, so each has its own folder, named by the inode of the namespace.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed class UnixControlTransport : ControlTransport
{
    /// <summary>Environment variable that names another base folder: for containers without /run, and for tests.</summary>
    public const string FolderVariable = "LIGHTTUNNEL_RUNTIME_DIRECTORY";

    private const string SystemFolder = "/run/lighttunnel";
    private const string Extension = ".sock";
    private const UnixFileMode OwnerOnlyFolder = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private const int ListenAttempts = 5;

    private static readonly TimeSpan QueueRetryDelay = TimeSpan.FromMilliseconds(50);

    private readonly string? _baseFolder;
    private readonly string _namespaceFolder;

    /// <param name="baseFolder">Folder of all namespaces; null when this user has none.</param>
    /// <param name="networkNamespace">What tells this network namespace from others.</param>
    internal UnixControlTransport(string? baseFolder, string networkNamespace)
    {
        _baseFolder = baseFolder;
        _namespaceFolder = Path.Combine(baseFolder ?? SystemFolder, "net-" + networkNamespace);
    }

    /// <summary>The transport of this process: root's in /run, another user's in that user's runtime folder.</summary>
    public static UnixControlTransport ForThisNamespace()
    {
        string? folder = Environment.GetEnvironmentVariable(FolderVariable);
        if (string.IsNullOrEmpty(folder))
        {
            string? userFolder = Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR");
            folder = Environment.IsPrivilegedProcess ? SystemFolder
                : string.IsNullOrEmpty(userFolder) ? null : Path.Combine(userFolder, "lighttunnel");
        }

        return new UnixControlTransport(folder, CurrentNamespace());
    }

    /// <inheritdoc/>
    public override IReadOnlyList<int> FindProcesses(ICollection<string> warnings)
    {
        if (_baseFolder != SystemFolder && !Environment.IsPrivilegedProcess && Directory.Exists(SystemFolder))
            warnings.Add("Tunnels that root has started are not shown. Run as root to see them.");
        try
        {
            var found = new List<int>();
            if (!Directory.Exists(_namespaceFolder))
                return [];
            TrustedFolder.Check(_namespaceFolder, "folder for control sockets");
            foreach (string file in Directory.EnumerateFiles(_namespaceFolder, "*" + Extension))
            {
                if (int.TryParse(Path.GetFileNameWithoutExtension(file), NumberStyles.None, CultureInfo.InvariantCulture, out int processId)
                    && processId != Environment.ProcessId)
                {
                    found.Add(processId);
                }
            }

            found.Sort();
            return found;
        }
        catch (DirectoryNotFoundException)
        {
            return [];
        }
        catch (LightTunnelException exception)
        {
            warnings.Add($"Tunnels of other processes are not shown: {exception.Message}");
            return [];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Of a folder that is the system's, the warning above has said it.
            if (warnings.Count == 0)
                warnings.Add($"Tunnels of other processes are not shown: {exception.Message}");
            return [];
        }
    }

    /// <inheritdoc/>
    public override async Task<Stream?> ConnectAsync(int processId, CancellationToken cancellationToken)
    {
        string path = PathOf(processId);
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await ConnectAsync(socket, path, cancellationToken).ConfigureAwait(false);
            if (!IsTrusted(socket))
            {
                throw new LightTunnelException(
                    LightTunnelError.PrivilegeRequired,
                    $"The control socket {path} belongs to another user.",
                    "Remove the file, and see who made it.");
            }

            return new NetworkStream(socket, ownsSocket: true);
        }
        catch (SocketException exception) when (exception.SocketErrorCode == SocketError.ConnectionRefused)
        {
            // A socket appears under its name only once it listens, so nobody behind it means a process that died.
            socket.Dispose();
            TryDelete(path);
            return null;
        }
        catch (SocketException exception) when (exception.SocketErrorCode is SocketError.AddressNotAvailable or SocketError.HostNotFound
            || !File.Exists(path))
        {
            socket.Dispose();
            return null;
        }
        catch (SocketException exception)
        {
            socket.Dispose();
            throw new LightTunnelException(
                exception.SocketErrorCode == SocketError.AccessDenied ? LightTunnelError.PrivilegeRequired : LightTunnelError.Internal,
                $"Process {processId} cannot be asked: {exception.Message}.",
                "Run as the user who started the tunnel, or as root.",
                exception);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public override ControlListener Listen()
    {
        if (_baseFolder is null)
        {
            throw new LightTunnelException(
                LightTunnelError.FileAccess,
                "There is no folder for the control socket: this user is not root, and XDG_RUNTIME_DIR is not set.",
                $"Run as root, or set {FolderVariable} to a folder that only this user may enter.");
        }

        for (int attempt = 1; ; attempt++)
        {
            try
            {
                return Listen(_baseFolder);
            }
            catch (LightTunnelException exception) when (exception.Error == LightTunnelError.FileAccess && attempt < ListenAttempts
                && exception.InnerException is not null && !Directory.Exists(_namespaceFolder))
            {
                // The last tunnel of another process took the folder with it just now.
            }
        }
    }

    private Listener Listen(string baseFolder)
    {
        string path = PathOf(Environment.ProcessId);
        string unpublished = Path.ChangeExtension(path, ".new");
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            Directory.CreateDirectory(baseFolder, OwnerOnlyFolder);
            TrustedFolder.Check(baseFolder, "folder for control sockets");
            Directory.CreateDirectory(_namespaceFolder, OwnerOnlyFolder);
            TrustedFolder.Check(_namespaceFolder, "folder for control sockets");
            File.Delete(unpublished);
            socket.Bind(new UnixDomainSocketEndPoint(unpublished));
            File.SetUnixFileMode(unpublished, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            socket.Listen(MaximumConnections);
            File.Move(unpublished, path, overwrite: true);
            return new Listener(socket, path, baseFolder == SystemFolder);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or SocketException or ArgumentException)
        {
            socket.Dispose();
            throw new LightTunnelException(
                LightTunnelError.FileAccess,
                $"The control socket {path} cannot be made: {exception.Message}",
                $"Make its folder writable, or set {FolderVariable} to another one.",
                exception)
            { Target = path };
        }
    }

    /// <summary>The inode of this process's network namespace, from "net:[4026531840]".</summary>
    internal static string CurrentNamespace()
    {
        string? link = new FileInfo("/proc/self/ns/net").LinkTarget;
        return link is null ? "unknown" : string.Concat(link.Where(char.IsAsciiDigit));
    }

    /// <summary>
    /// Connects; who listens but has not accepted for so long that its queue is full (EAGAIN, unix(7)) is waited for, like one that
    /// does not answer.
    /// </summary>
    private static async Task ConnectAsync(Socket socket, string path, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken).ConfigureAwait(false);
                return;
            }
            catch (SocketException exception) when (exception.SocketErrorCode is SocketError.WouldBlock or SocketError.TryAgain)
            {
                await Task.Delay(QueueRetryDelay, TimeProvider.System, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <summary>True when the process at the other end runs as root or as this user (unix(7), SO_PEERCRED).</summary>
    private static bool IsTrusted(Socket socket)
    {
        const int SolSocket = 1;
        const int SoPeerCredentials = 17;
        Span<byte> credentials = stackalloc byte[12]; // struct ucred: process id, user id, group id
        if (socket.GetRawSocketOption(SolSocket, SoPeerCredentials, credentials) != credentials.Length)
            return false;
        uint user = BitConverter.IsLittleEndian
            ? BinaryPrimitives.ReadUInt32LittleEndian(credentials[4..])
            : BinaryPrimitives.ReadUInt32BigEndian(credentials[4..]);
        return user == 0 || user == Tmds.Linux.LibC.geteuid();
    }

    private static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Left for its owner to remove; it only costs the next search a refused connection.
        }
    }

    private string PathOf(int processId) => Path.Combine(_namespaceFolder, processId.ToString(CultureInfo.InvariantCulture) + Extension);

    /// <param name="socket">The socket.</param>
    /// <param name="path">Its file.</param>
    /// <param name="ownsFolders">Whether the folders go with the last socket in them: that they are there tells other users that root's
    /// tunnels run.</param>
    private sealed class Listener(Socket socket, string path, bool ownsFolders) : ControlListener
    {
        public override async Task<Stream?> AcceptAsync(CancellationToken cancellationToken)
        {
            Socket connection = await socket.AcceptAsync(cancellationToken).ConfigureAwait(false);
            if (IsTrusted(connection))
                return new NetworkStream(connection, ownsSocket: true);
            connection.Dispose();
            return null;
        }

        public override void Dispose()
        {
            TryDelete(path);
            socket.Dispose();
            if (ownsFolders)
                TryDeleteEmpty(Path.GetDirectoryName(path)!);
        }

        private static void TryDeleteEmpty(string namespaceFolder)
        {
            try
            {
                Directory.Delete(namespaceFolder);
                Directory.Delete(Path.GetDirectoryName(namespaceFolder)!);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // Others are in it.
            }
        }
    }
}
