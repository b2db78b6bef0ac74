using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace LightTunnel.Timing;

/// <summary>This machine's clock, with timestamps that stand still while it sleeps, on every system.</summary>
internal static partial class SystemClock
{
    /// <summary>
    /// The framework's on Linux (CLOCK_MONOTONIC). On Windows that is the performance counter, which goes on during sleep; the unbiased
    /// interrupt time, as precise (Windows 10), does not.
    /// </summary>
    public static TimeProvider Instance { get; } =
        OperatingSystem.IsWindows() && HasUnbiasedTime() ? new UnbiasedClock(ReadUnbiasedTime) : TimeProvider.System;

    [SupportedOSPlatform("windows")]
    private static bool HasUnbiasedTime()
    {
        try
        {
            return ReadUnbiasedTime() > 0;
        }
        catch (Exception exception) when (exception is EntryPointNotFoundException or DllNotFoundException)
        {
            return false;
        }
    }

    [SupportedOSPlatform("windows")]
    private static long ReadUnbiasedTime()
    {
        QueryUnbiasedInterruptTimePrecise(out ulong time);
        return (long)time;
    }

    [LibraryImport("kernelbase.dll")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    [SuppressGCTransition]
    private static partial void QueryUnbiasedInterruptTimePrecise(out ulong time);
}

/// <summary>The system's clock, with timestamps from elsewhere.</summary>
/// <param name="read">Time since the machine was started, without that in which it slept; in units of 100 ns.</param>
internal sealed class UnbiasedClock(Func<long> read) : TimeProvider
{
    /// <inheritdoc/>
    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    /// <inheritdoc/>
    public override long GetTimestamp() => read();
}
