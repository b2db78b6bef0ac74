using LightTunnel.Diagnostics;

namespace LightTunnel;

/// <summary>One line of a tunnel's log. Its text is the line as a log file has it.</summary>
public sealed class LtLogEntry
{
    internal LtLogEntry(LogEntry entry)
    {
        Time = entry.Time;
        Level = (LtLogLevel)entry.Level;
        Network = entry.Tunnel;
        Message = entry.Message;
        Exception = entry.Exception;
        Sequence = entry.Sequence;
    }

    /// <summary>When it was written.</summary>
    public DateTimeOffset Time { get; }

    /// <summary>How important it is.</summary>
    public LtLogLevel Level { get; }

    /// <summary>Name of the tunnel that wrote it.</summary>
    public string Network { get; }

    /// <summary>The line itself.</summary>
    public string Message { get; }

    /// <summary>Type and message of the exception that caused it, or null.</summary>
    public string? Exception { get; }

    /// <summary>Number of the entry in its tunnel, rising by one.</summary>
    public long Sequence { get; }

    /// <summary>Time, level and message.</summary>
    public override string ToString() => FormattableString.Invariant($"{Time.LocalDateTime:yyyy-MM-dd HH:mm:ss.fff} [{Level}] {Message}");
}
