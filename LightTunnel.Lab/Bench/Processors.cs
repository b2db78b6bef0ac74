using System.Diagnostics;
using System.Globalization;
using LightTunnel.Lab.Namespaces;

namespace LightTunnel.Lab.Bench;

/// <summary>The processors that this process may use, and which processes use which of them.</summary>
internal static class Processors
{
    /// <summary>Their numbers.</summary>
    public static IReadOnlyList<int> Allowed { get; } = Parse(AllowedText());

    /// <summary>What the kernel calls them.</summary>
    public static string Model { get; } =
        ValueOf("/proc/cpuinfo", "model name") ?? ValueOf("/proc/cpuinfo", "CPU implementer") ?? "unknown";

    /// <summary>Waits until all processors together were idle for half of the last two seconds, but no longer than so long.</summary>
    /// <returns>True when they were; false when the time was over first.</returns>
    public static async Task<bool> UntilCalmAsync(TimeSpan patience, CancellationToken cancellationToken)
    {
        long begun = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(begun) < patience)
        {
            (long idle, long all) before = Ticks();
            await Task.Delay(TimeSpan.FromSeconds(2), cancellationToken).ConfigureAwait(false);
            (long idle, long all) after = Ticks();
            if (2 * (after.idle - before.idle) >= after.all - before.all)
                return true;
        }

        return false;
    }

    /// <summary>Lets all threads of a host's process, and those that they start, run on one processor only.</summary>
    public static void Pin(LabHost host, int processId, int processor) =>
        SetAffinity(host, processId, processor.ToString(CultureInfo.InvariantCulture));

    /// <summary>Lets them run on all again.</summary>
    public static void Release(LabHost host, int processId) => SetAffinity(host, processId, string.Join(',', Allowed));

    /// <summary>Reads a list of the kernel's, such as "0-3,8".</summary>
    public static IReadOnlyList<int> Parse(string list) =>
    [
        .. list.Split(',').SelectMany(range =>
        {
            int[] ends = [.. range.Split('-').Select(number => int.Parse(number, CultureInfo.InvariantCulture))];
            return Enumerable.Range(ends[0], ends[^1] - ends[0] + 1);
        }),
    ];

    /// <summary>What they did since the machine started, idle and altogether (proc(5), /proc/stat).</summary>
    private static (long Idle, long All) Ticks()
    {
        long[] ticks = [.. File.ReadLines("/proc/stat").First().Split(' ', StringSplitOptions.RemoveEmptyEntries).Skip(1)
            .Select(text => long.Parse(text, CultureInfo.InvariantCulture))];
        const int Idle = 3;
        return (ticks[Idle], ticks.Sum());
    }

    private static void SetAffinity(LabHost host, int processId, string list) =>
        NetworkNamespace.Execute(host.Namespace, "taskset", "-a", "-c", "-p", list, processId.ToString(CultureInfo.InvariantCulture));

    private static string AllowedText() => ValueOf("/proc/self/status", "Cpus_allowed_list") ?? "0";

    private static string? ValueOf(string file, string key) => File.ReadLines(file)
        .FirstOrDefault(line => line.StartsWith(key, StringComparison.Ordinal))?.Split(':', 2)[1].Trim();
}
