using System.Diagnostics;

namespace LightTunnel.Lab.Bench;

/// <summary>What the kernel tells about processes.</summary>
internal static class ProcessFigures
{
    /// <summary>Resident memory, megabytes.</summary>
    public static double ResidentMegabytes(int processId)
    {
        using var process = Process.GetProcessById(processId);
        return process.WorkingSet64 / 1e6;
    }

    /// <summary>Processor time so far in user and kernel mode, seconds.</summary>
    public static double ProcessorSeconds(int processId)
    {
        using var process = Process.GetProcessById(processId);
        return process.TotalProcessorTime.TotalSeconds;
    }
}
