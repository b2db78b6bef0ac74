using System.Diagnostics;
using System.Runtime.Versioning;
using LightTunnel.Diagnostics;
using Microsoft.Extensions.Hosting.WindowsServices;

namespace LightTunnel.Host;

/// <summary>Where a service's words go: the journal, Windows's event log, or whoever reads standard output. Any thread.</summary>
internal abstract class ServiceLog
{
    /// <summary>The one that fits how this process was started.</summary>
    public static ServiceLog OfThisProcess()
    {
        if (WindowsServiceHelpers.IsWindowsService())
            return new EventLogWriter();
        // systemd sets it when standard output is the journal.
        return new TextLog(Console.Out, isJournal: Environment.GetEnvironmentVariable("JOURNAL_STREAM") is not null);
    }

    /// <summary>Writes one entry.</summary>
    public abstract void Write(LogLevel level, string message);

    /// <summary>Writes what went wrong, and what to do about it.</summary>
    public void Write(LightTunnelException exception) => Write(LogLevel.Error, $"{exception.Message} {exception.RecommendedAction}");
}

/// <summary>Lines; for the journal with the levels of syslog before them (sd-daemon(3)).</summary>
/// <param name="output">Where to.</param>
/// <param name="isJournal">Whether the journal reads it.</param>
internal sealed class TextLog(TextWriter output, bool isJournal) : ServiceLog
{
    /// <inheritdoc/>
    public override void Write(LogLevel level, string message)
    {
        string prefix = (isJournal, level) switch
        {
            (true, LogLevel.Error) => "<3>",
            (true, LogLevel.Warning) => "<4>",
            (true, LogLevel.Information) => "<6>",
            (true, _) => "<7>",
            (false, LogLevel.Information) => string.Empty,
            (false, _) => $"{level}: ",
        };
        lock (output)
        {
            foreach (string line in message.Split('\n'))
                output.WriteLine($"{prefix}{line.TrimEnd('\r')}");
            output.Flush();
        }
    }
}

/// <summary>The log "Application" of Windows, with "LightTunnel" as its source.</summary>
[SupportedOSPlatform("windows")]
internal sealed class EventLogWriter : ServiceLog
{
    private const string Source = "LightTunnel";

    /// <summary>What one entry can hold.</summary>
    private const int MostCharacters = 31_839;

    /// <inheritdoc/>
    public override void Write(LogLevel level, string message)
    {
        EventLogEntryType type = level switch
        {
            LogLevel.Error => EventLogEntryType.Error,
            LogLevel.Warning => EventLogEntryType.Warning,
            _ => EventLogEntryType.Information,
        };
        try
        {
            EventLog.WriteEntry(Source, message.Length <= MostCharacters ? message : message[..MostCharacters], type);
        }
        catch (Exception exception)
            when (exception is InvalidOperationException or System.ComponentModel.Win32Exception or System.Security.SecurityException)
        {
            // A log that is full or closed must not end the tunnel, whose own log has the entry.
        }
    }
}
