using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using LightTunnel.Diagnostics;
using LightTunnel.Membership;
using LightTunnel.Timing;

namespace LightTunnel.Configuration;

/// <summary>
/// The folder in which one node keeps its identity and leases, held for as long as the tunnel runs. A lock file, which the system releases
/// when the process ends however it ends, keeps a second tunnel out. Owned by the control loop.
/// </summary>
/// <remarks>
/// The folder is for its owner only (0700, files 0600; on Windows for SYSTEM and Administrators, to whom both belong when an administrator
/// makes them). <c>process</c> has the id of the process that last took the lock, for the error message, and as its date the time until
/// which the identity was in use. Others take no handshakes and probes that are not later than those they had, so a node whose clock is
/// behind that date goes on from there, and says so in its log. When the process was killed, the date is the time at which it began or last
/// saved: then the server may be silent until the clock has come so far, and the error names the clock.
/// </remarks>
internal sealed class StateStore : IDisposable
{
    /// <summary>The file with the state.</summary>
    public const string FileName = "state.json";

    /// <summary>The file that is locked.</summary>
    public const string LockName = "lock";

    /// <summary>Tells a person which process holds the lock; beside the lock file, as nobody can read that while it is locked.</summary>
    private const string HolderName = "process";

    private readonly FileStream _lock;
    private readonly Timestamp _taken = SystemClock.Instance.Now();
    private readonly Action<AtomicFileStep>? _beforeStep;

    private StateStore(string folder, FileStream lockFile, DateTimeOffset? lastUsed, Action<AtomicFileStep>? beforeStep)
    {
        Folder = folder;
        LastUsed = lastUsed;
        _lock = lockFile;
        _beforeStep = beforeStep;
    }

    /// <summary>The folder, as a full path.</summary>
    public string Folder { get; }

    /// <summary>The file with the state, as a full path.</summary>
    public string FilePath => Path.Combine(Folder, FileName);

    /// <summary>
    /// When somebody held the folder before, by the clock of that time: until it was let go, or when it was taken or its state last saved
    /// by a process that was ended in between. Null for never.
    /// </summary>
    public DateTimeOffset? LastUsed { get; }

    /// <summary>Takes hold of a folder, which is made if need be.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="beforeStep">For tests that cut a save short.</param>
    /// <exception cref="LightTunnelException">StateInUse, or FileAccess.</exception>
    public static StateStore Open(string folder, Action<AtomicFileStep>? beforeStep = null)
    {
        string path = Path.GetFullPath(folder);
        try
        {
            AtomicFile.CreateOwnedFolder(path, FileName);
        }
        catch (Exception exception) when (IsFileError(exception))
        {
            throw NoAccess(path, "could not be made or opened", exception);
        }

        string lockPath = Path.Combine(path, LockName);
        try
        {
            FileStream lockFile = AtomicFile.OpenOwned(lockPath, FileMode.OpenOrCreate, FileShare.None);
            DateTimeOffset? lastUsed;
            try
            {
                lastUsed = Later(TimeOf(Path.Combine(path, HolderName)), TimeOf(Path.Combine(path, FileName)));
                // What lies there under its name goes, whatever it is, and nothing is written through it.
                string holderPath = Path.Combine(path, HolderName);
                File.Delete(holderPath);
                using FileStream holder = AtomicFile.OpenOwned(holderPath, FileMode.CreateNew, FileShare.Read);
                holder.Write(Encoding.ASCII.GetBytes(Environment.ProcessId.ToString(CultureInfo.InvariantCulture)));
            }
            catch
            {
                lockFile.Dispose();
                throw;
            }

            var store = new StateStore(path, lockFile, lastUsed, beforeStep);
            store.NoteUse();
            return store;
        }
        catch (IOException exception) when (IsLocked(exception))
        {
            throw new LightTunnelException(
                LightTunnelError.StateInUse,
                $"The state in {path} is in use by another running tunnel{Holder(path)}.",
                "Stop that tunnel first, or give this one its own name or state path.",
                exception) { Target = path };
        }
        catch (Exception exception) when (IsFileError(exception))
        {
            throw NoAccess(lockPath, "could not be made or opened", exception);
        }
    }

    /// <summary>Reads the state; null when the folder has none yet, which is the only case for a new identity.</summary>
    /// <exception cref="LightTunnelException">InvalidState: damaged, of a newer version, or of the other role. FileAccess.</exception>
    public NodeState? Load(TunnelRole role)
    {
        byte[] content;
        try
        {
            content = AtomicFile.Read(FilePath, StateFile.MaximumLength);
        }
        catch (InvalidDataException exception)
        {
            throw StateFile.Damaged(FilePath, "it is too long", exception);
        }
        catch (FileNotFoundException)
        {
            // Found out by reading: File.Exists also says no where it may not look, and a new identity must not come of that.
            return null;
        }
        catch (Exception exception) when (IsFileError(exception))
        {
            throw NoAccess(FilePath, "could not be read", exception);
        }

        try
        {
            NodeState state = StateFile.Decode(content, FilePath);
            if (state.Role == role)
                return state;
            state.Dispose();
            throw new LightTunnelException(
                LightTunnelError.InvalidState,
                $"The state file {FilePath} is of a {state.Role.ToString().ToLowerInvariant()}, "
                    + $"not of a {role.ToString().ToLowerInvariant()}.",
                "Choose another state path.") { Target = FilePath };
        }
        finally
        {
            CryptographicOperations.ZeroMemory(content);
        }
    }

    /// <summary>Saves the state. When it returns, the state is on the disk; when it fails, the old one still is.</summary>
    /// <exception cref="LightTunnelException">FileAccess.</exception>
    public void Save(NodeState state)
    {
        byte[] content = StateFile.Encode(state);
        try
        {
            AtomicFile.Replace(FilePath, content, _beforeStep, _beforeStep is null ? int.MaxValue : 1);
        }
        catch (Exception exception) when (IsFileError(exception))
        {
            throw NoAccess(FilePath, "could not be written", exception);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(content);
        }
    }

    /// <summary>Lets go of the folder, and notes until when it was held.</summary>
    public void Dispose()
    {
        if (_lock.SafeFileHandle.IsClosed)
            return;
        NoteUse();
        _lock.Dispose();
    }

    /// <summary>Where the clock was set back, the time goes on from the one that was known before.</summary>
    private void NoteUse()
    {
        DateTimeOffset now = DateTimeOffset.UtcNow;
        try
        {
            DateTimeOffset? rising = LastUsed + (SystemClock.Instance.Now() - _taken);
            File.SetLastWriteTimeUtc(Path.Combine(Folder, HolderName), (Later(now, rising) ?? now).UtcDateTime);
        }
        catch (Exception exception) when (IsFileError(exception))
        {
            // The next tunnel then knows only when this one began.
        }
    }

    private static DateTimeOffset? TimeOf(string path)
    {
        var file = new FileInfo(path);
        return file.Exists && file.LinkTarget is null ? file.LastWriteTimeUtc : null;
    }

    private static DateTimeOffset? Later(DateTimeOffset? one, DateTimeOffset? other) => one is null || other > one ? other : one;

    private static bool IsFileError(Exception exception) =>
        exception is IOException or InvalidDataException or UnauthorizedAccessException or NotSupportedException or ArgumentException;

    /// <summary>EWOULDBLOCK of flock (11 on Linux, 35 on macOS), or ERROR_SHARING_VIOLATION on Windows.</summary>
    internal static bool IsLocked(IOException exception) =>
        OperatingSystem.IsWindows() ? (exception.HResult & 0xFFFF) == 32 : exception.HResult is 11 or 35;

    /// <summary>Only for the message: who holds the lock is what the system says, not this file, which outlives its writer.</summary>
    private static string Holder(string folder)
    {
        try
        {
            const int LongestNumber = 20;
            string text = Encoding.ASCII.GetString(AtomicFile.Read(Path.Combine(folder, HolderName), LongestNumber));
            return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int process)
                ? $" (process {process})"
                : string.Empty;
        }
        catch (Exception exception) when (IsFileError(exception))
        {
            return string.Empty;
        }
    }

    private static LightTunnelException NoAccess(string path, string what, Exception exception) => new(
        LightTunnelError.FileAccess,
        $"{path} {what}: {exception.Message}",
        "Check the path, its permissions and the free space, or choose another state path.",
        exception) { Target = path };
}
