using System.Diagnostics;
using System.Runtime.Versioning;
using LightTunnel.Diagnostics;
using Microsoft.Extensions.Hosting.WindowsServices;

namespace LightTunnel.Host;

/// <summary>Where a service's words go: the journal, Windows's event log, or whoever reads standard output. Any thread.</summary>
internal abstract class ServiceLog
{
    /// <summary>The one that fits how this process was started.</summary>
    /// <param name="service">What stands before the entries of a log that several services have in common.</param>
    public static ServiceLog OfThisProcess(string service)
    {
        if (WindowsServiceHelpers.IsWindowsService())
            return new EventLogWriter(service);
        // systemd sets it when standard output is the journal.
        return new TextLog(Console.Out, isJournal: Environment.GetEnvironmentVariable("JOURNAL_STREAM") is not null);
    }

    /// <summary>The last entry of an error; null for none.</summary>
    public string? LastError { get; private set; }

    /// <summary>Writes one entry.</summary>
    public void Write(LogLevel level, string message)
    {
        if (level == LogLevel.Error)
            LastError = message;
        Put(level, message);
    }

    /// <summary>Writes what went wrong, and what to do about it.</summary>
    public void Write(LightTunnelException exception) => Write(LogLevel.Error, $"{exception.Message} {exception.RecommendedAction}");

    /// <summary>Puts one entry where it belongs.</summary>
    protected abstract void Put(LogLevel level, string message);
}

/// <summary>Lines; for the journal with the levels of syslog before them (sd-daemon(3)).</summary>
/// <param name="output">Where to.</param>
/// <param name="isJournal">Whether the journal reads it.</param>
internal sealed class TextLog(TextWriter output, bool isJournal) : ServiceLog
{
    /// <inheritdoc/>
    protected override void Put(LogLevel level, string message)
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

/// <summary>The log "Application" of Windows, with "LightTunnel" as its source, which Register-LtService makes.</summary>
/// <param name="service">Stands before each entry: all services have one source.</param>
[SupportedOSPlatform("windows")]
internal sealed class EventLogWriter(string service) : ServiceLog
{
    /// <summary>The name of the source.</summary>
    public const string Source = "LightTunnel";

    /// <summary>Of the messages that the source names, those from 1 to 1000 are what the program wrote.</summary>
    private const int EventId = 1;

    /// <summary>What one entry can hold.</summary>
    private const int MostCharacters = 31_839;

    /// <inheritdoc/>
    protected override void Put(LogLevel level, string message)
    {
        EventLogEntryType type = level switch
        {
            LogLevel.Error => EventLogEntryType.Error,
            LogLevel.Warning => EventLogEntryType.Warning,
            _ => EventLogEntryType.Information,
        };
        try
        {
            string entry = $"{service}: {message}";
            EventLog.WriteEntry(Source, entry.Length <= MostCharacters ? entry : entry[..MostCharacters], type, EventId);
        }
        catch (Exception exception)
            when (exception is InvalidOperationException or System.ComponentModel.Win32Exception or System.Security.SecurityException)
        {
            // A log that is full or closed must not end the tunnel, whose own log has the entry.
        }
    }
}
