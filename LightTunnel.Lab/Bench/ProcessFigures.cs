using System.Diagnostics;
using System.Globalization;

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

    /// <summary>Resident memory that is no file's: the process's own, megabytes.</summary>
    public static double AnonymousMegabytes(int processId)
    {
        const string Key = "RssAnon:";
        string line = File.ReadLines($"/proc/{processId}/status").First(line => line.StartsWith(Key, StringComparison.Ordinal));
        return long.Parse(line[Key.Length..].Trim().Split(' ')[0], CultureInfo.InvariantCulture) * 1024 / 1e6;
    }

    /// <summary>Processor time so far in user and kernel mode, seconds.</summary>
    public static double ProcessorSeconds(int processId)
    {
        using var process = Process.GetProcessById(processId);
        return process.TotalProcessorTime.TotalSeconds;
    }
}
