using System.Globalization;
using Serilog;
using Serilog.Core;
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

    /// <summary>Adds a file that only grows too large, never too old, to a logger.</summary>
    /// <exception cref="LightTunnelException">FileAccess.</exception>
    public static void ConfigureSecurity(LoggerConfiguration configuration, string path) =>
        configuration.WriteTo.Sink(Open(new RollingPlan(path, false, MaximumSecurityLength, RetainedFiles), new Formatter()));

    /// <summary>Adds the file to a logger, after proof that it can be written.</summary>
    /// <exception cref="LightTunnelException">FileAccess.</exception>
    public static void Configure(LoggerConfiguration configuration, string path) =>
        configuration.WriteTo.Sink(Open(new RollingPlan(path, true, MaximumLength, RetainedFiles), new Formatter()));

    /// <summary>A file that only grows too large, never too old, and takes each message as a line; and the files that there are.</summary>
    /// <exception cref="LightTunnelException">FileAccess.</exception>
    public static (Logger Logger, IReadOnlyList<string> Files) OpenAudit(string path)
    {
        var plan = new RollingPlan(path, false, MaximumSecurityLength, RetainedFiles);
        RollingFile file = Open(plan, new LineFormatter());
        return (
            new LoggerConfiguration().WriteTo.Sink(file).CreateLogger(), RollingFile.FilesOf(plan with { Path = Path.GetFullPath(path) }));
    }

    /// <summary>Opens a file of this user's own to read, not what a link leads to.</summary>
    /// <exception cref="IOException">It cannot be opened, or is not this user's own file.</exception>
    public static FileStream OpenToRead(string path) => OperatingSystem.IsLinux()
        ? OwnedFile.OpenToRead(path)
        : OperatingSystem.IsWindows() ? WindowsAccess.OpenToRead(path)
        : new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);

    private static RollingFile Open(RollingPlan plan, ITextFormatter formatter)
    {
        try
        {
            string fullPath = Path.GetFullPath(plan.Path);
            if (Directory.Exists(fullPath) || Path.GetFileName(fullPath).Length == 0)
                throw new IOException("it is a folder, not a file.");
            string folder = Path.GetDirectoryName(fullPath)!;
            CreateFolder(folder);
            TrustedFolder.Check(folder, "log folder");
            plan = plan with { Path = fullPath };
            ThrowIfLinked(plan);
            Probe(fullPath);
            return new RollingFile(plan, formatter);
        }
        catch (Exception exception)
            when (exception is IOException or UnauthorizedAccessException or NotSupportedException or ArgumentException)
        {
            throw new LightTunnelException(
                LightTunnelError.FileAccess,
                $"The log file {plan.Path} cannot be written: {exception.Message}",
                "Check the path and its permissions, or choose another log path.",
                exception) { Target = plan.Path };
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

    /// <summary>A file that cannot be written is told of now, as nobody hears of it later.</summary>
    private static void Probe(string fullPath)
    {
        string probe = $"{fullPath}.{Guid.NewGuid():N}";
        new FileStream(probe, FileMode.CreateNew, FileAccess.Write, FileShare.None).Dispose();
        File.Delete(probe);
    }

    /// <summary>Nor of a link, which is not followed, and which nobody but an owner of the folder can have made.</summary>
    private static void ThrowIfLinked(RollingPlan plan)
    {
        if (RollingFile.FilesOf(plan).FirstOrDefault(file => new FileInfo(file).LinkTarget is not null) is { } link)
            throw new IOException($"{link} is a symbolic link.");
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

    /// <summary>The message as it is.</summary>
    private sealed class LineFormatter : ITextFormatter
    {
        public void Format(LogEvent logEvent, TextWriter output) => output.WriteLine(LogText.Render(logEvent));
    }
}
