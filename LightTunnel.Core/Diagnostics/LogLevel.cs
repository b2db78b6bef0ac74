namespace LightTunnel.Diagnostics;

/// <summary>Importance of a log entry, least first.</summary>
public enum LogLevel
{
    /// <summary>For developers: sampled packet decisions.</summary>
    Debug,

    /// <summary>What an admin wants to read: members coming and going, paths, statistics.</summary>
    Information,

    /// <summary>Something is wrong, and LightTunnel copes.</summary>
    Warning,

    /// <summary>Something is wrong, and somebody must act.</summary>
    Error,
}

/// <summary>One line of a tunnel's log.</summary>
/// <param name="Sequence">Number of the entry in its tunnel, rising by one.</param>
/// <param name="Time">When it was written.</param>
/// <param name="Level">How important it is.</param>
/// <param name="Tunnel">Name of the tunnel that wrote it.</param>
/// <param name="Message">The line itself.</param>
/// <param name="Exception">Type and message of the exception that caused it, or null.</param>
public sealed record LogEntry(long Sequence, DateTimeOffset Time, LogLevel Level, string Tunnel, string Message, string? Exception);
