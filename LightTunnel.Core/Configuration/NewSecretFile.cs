using LightTunnel.Diagnostics;

namespace LightTunnel.Configuration;

/// <summary>
/// A file for a secret that is about to be made: created first, readable by its owner only, so that nothing is made that cannot be written
/// down. Gone again if it is disposed without a content.
/// </summary>
public sealed class NewSecretFile : IDisposable
{
    private readonly string _path;
    private readonly string _writtenPath;
    private FileStream? _stream;

    private NewSecretFile(string path, string writtenPath, FileStream stream)
    {
        _path = path;
        _writtenPath = writtenPath;
        _stream = stream;
    }

    /// <summary>Creates the file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="overwrite">Whether one that exists is replaced, once the new one is written.</param>
    /// <exception cref="LightTunnelException">FileAccess: it exists, or cannot be written.</exception>
    public static NewSecretFile Create(string path, bool overwrite)
    {
        if (!overwrite && (File.Exists(path) || Directory.Exists(path)))
        {
            throw new LightTunnelException(
                LightTunnelError.FileAccess, $"{path} exists already.", "Choose another file, or replace it with -Force.")
                {
                    Target = path,
                };
        }

        string written = overwrite ? AtomicFile.TemporaryPath(path) : path;
        try
        {
            if (overwrite)
                File.Delete(written);
            return new NewSecretFile(path, written, AtomicFile.OpenOwned(written, FileMode.CreateNew, FileShare.None));
        }
        catch (Exception exception) when (IsOfFiles(exception))
        {
            throw NotWritten(path, exception);
        }
    }

    /// <summary>Writes the secret, and so keeps the file.</summary>
    /// <exception cref="LightTunnelException">FileAccess.</exception>
    public void Write(ReadOnlySpan<byte> content)
    {
        try
        {
            FileStream stream = _stream ?? throw new ObjectDisposedException(nameof(NewSecretFile));
            stream.Write(content);
            stream.Flush(flushToDisk: true);
            stream.Dispose();
            if (_writtenPath != _path)
                File.Move(_writtenPath, _path, overwrite: true);
            _stream = null;
        }
        catch (Exception exception) when (IsOfFiles(exception))
        {
            throw NotWritten(_path, exception);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_stream is null)
            return;
        _stream.Dispose();
        _stream = null;
        File.Delete(_writtenPath);
    }

    private static bool IsOfFiles(Exception exception) =>
        exception is IOException or UnauthorizedAccessException or NotSupportedException or ArgumentException;

    private static LightTunnelException NotWritten(string path, Exception cause) => new(
        LightTunnelError.FileAccess, $"{path} could not be written: {cause.Message}", "Check the path and its permissions.", cause)
        {
            Target = path,
        };
}
