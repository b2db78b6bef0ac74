using System.Globalization;
using System.Text;
using Serilog;
using Serilog.Events;
using Serilog.Formatting;

namespace LightTunnel.Diagnostics;

/// <summary>
/// The file half of a tunnel's log: "tunnel.log" becomes tunnel20260131.log, a new one each day and after 10 MB, the latest 7 kept.
/// </summary>
internal static class LogFile
{
    private const long MaximumLength = 10_000_000;
    private const long MaximumSecurityLength = 1_000_000;
    private const int RetainedFiles = 7;
    private const UnixFileMode OwnerFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>Adds a file that only grows too large, never too old, to a logger.</summary>
    /// <exception cref="LightTunnelException">FileAccess.</exception>
    public static void ConfigureSecurity(LoggerConfiguration configuration, string path) =>
        Configure(configuration, path, MaximumSecurityLength, RollingInterval.Infinite);

    /// <summary>Adds the file to a logger, after proof that it can be written.</summary>
    /// <exception cref="LightTunnelException">FileAccess.</exception>
    public static void Configure(LoggerConfiguration configuration, string path) =>
        Configure(configuration, path, MaximumLength, RollingInterval.Day);

    private static void Configure(LoggerConfiguration configuration, string path, long maximumLength, RollingInterval interval)
    {
        try
        {
            string fullPath = Path.GetFullPath(path);
            if (Directory.Exists(fullPath) || Path.GetFileName(fullPath).Length == 0)
                throw new IOException("it is a folder, not a file.");
            string folder = Path.GetDirectoryName(fullPath)!;
            CreateFolder(folder);
            TrustedFolder.Check(folder, "log folder");
            ThrowIfLinked(folder, fullPath);
            Probe(fullPath);
            configuration.WriteTo.File(
                new Formatter(),
                fullPath,
                fileSizeLimitBytes: maximumLength,
                rollingInterval: interval,
                rollOnFileSizeLimit: true,
                retainedFileCountLimit: RetainedFiles,
                hooks: new OwnerOnly());
        }
        catch (Exception exception)
            when (exception is IOException or UnauthorizedAccessException or NotSupportedException or ArgumentException)
        {
            throw new LightTunnelException(
                LightTunnelError.FileAccess,
                $"The log file {path} cannot be written: {exception.Message}",
                "Check the path and its permissions, or choose another log path.",
                exception) { Target = path };
        }
    }

    /// <summary>On Windows for its owner only: what it would inherit lets others write in many places.</summary>
    private static void CreateFolder(string folder)
    {
        if (OperatingSystem.IsWindows() && !Directory.Exists(folder))
            WindowsAccess.CreateFolder(folder);
        else
            Directory.CreateDirectory(folder);
    }

    /// <summary>The sink would keep quiet about a file that it cannot write; so one is made and removed beside it first.</summary>
    private static void Probe(string fullPath)
    {
        string probe = $"{fullPath}.{Guid.NewGuid():N}";
        new FileStream(probe, FileMode.CreateNew, FileAccess.Write, FileShare.None).Dispose();
        File.Delete(probe);
    }

    /// <summary>
    /// The sink opens by name and would follow a link, which nobody but an owner of the folder can have made; it is not what a log is.
    /// </summary>
    private static void ThrowIfLinked(string folder, string fullPath)
    {
        string pattern = $"{Path.GetFileNameWithoutExtension(fullPath)}*{Path.GetExtension(fullPath)}";
        if (new DirectoryInfo(folder).EnumerateFiles(pattern).FirstOrDefault(file => file.LinkTarget is not null) is { } link)
            throw new IOException($"{link.FullName} is a symbolic link.");
    }

    private sealed class OwnerOnly : Serilog.Sinks.File.FileLifecycleHooks
    {
        public override Stream OnFileOpened(string path, Stream underlyingStream, Encoding encoding)
        {
            if (OperatingSystem.IsWindows() && underlyingStream is FileStream file)
                WindowsAccess.CheckFile(path, file);
            if (!OperatingSystem.IsLinux())
                return underlyingStream;

            // By the file itself, not by its name again: links are not followed, and another user's file is not written.
            underlyingStream.Dispose();
            FileStream stream = OwnedFile.OpenToAppend(path);
            File.SetUnixFileMode(stream.SafeFileHandle, OwnerFile);
            return stream;
        }
    }

    /// <summary>"2026-01-31 12:34:56.789 +01:00 [Information] message".</summary>
    private sealed class Formatter : ITextFormatter
    {
        public void Format(LogEvent logEvent, TextWriter output)
        {
            string time = logEvent.Timestamp.ToString("yyyy-MM-dd HH:mm:ss.fff zzz", CultureInfo.InvariantCulture);
            output.WriteLine($"{time} [{TunnelLog.FromSerilog(logEvent.Level)}] {LogText.Render(logEvent)}");
            if (logEvent.Exception is { } exception)
                output.WriteLine(exception);
        }
    }
}
