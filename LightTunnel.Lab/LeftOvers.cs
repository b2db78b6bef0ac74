using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using LightTunnel.Lab.Namespaces;

namespace LightTunnel.Lab;

/// <summary>
/// Everything that a laboratory makes is named "lt(process id).(number)-(name)", so that what a crashed one left behind can be told from
/// what a running one needs.
/// </summary>
internal static partial class LeftOvers
{
    /// <summary>Where wireguard-go has a control socket for each of its interfaces, those in other namespaces included.</summary>
    public const string WireGuardFolder = "/var/run/wireguard";

    private const string NamespaceFolder = "/run/netns";

    private static int s_lastNumber;

    /// <summary>What the names of one more laboratory of this process begin with.</summary>
    public static string NextPrefix() =>
        string.Create(CultureInfo.InvariantCulture, $"lt{Environment.ProcessId}.{Interlocked.Increment(ref s_lastNumber)}-");

    /// <summary>Namespaces whose names begin so.</summary>
    public static IReadOnlyList<string> Namespaces(string prefix) => FilesIn(NamespaceFolder, prefix);

    /// <summary>Control sockets of wireguard-go whose names begin so.</summary>
    public static IReadOnlyList<string> WireGuardSockets(string prefix) => FilesIn(WireGuardFolder, prefix);

    /// <summary>
    /// Removes the namespaces, their processes, the folders and the control sockets of laboratories whose process is gone. Needs root.
    /// </summary>
    public static void Remove()
    {
        foreach (string name in Namespaces("lt").Where(IsOrphan))
            RemoveNamespace(name);
        foreach (string folder in Directory.EnumerateDirectories(Path.GetTempPath(), "lt*").Where(path => IsOrphan(Path.GetFileName(path))))
            RemoveFolder(folder);
        foreach (string name in WireGuardSockets("lt").Where(IsOrphan))
            File.Delete(Path.Combine(WireGuardFolder, name));
    }

    /// <summary>Removes a namespace of a laboratory and every process in it.</summary>
    public static void RemoveNamespace(string name)
    {
        try
        {
            foreach (string line in NetworkNamespace.Ip("netns", "pids", name).Split('\n', StringSplitOptions.RemoveEmptyEntries))
                Kill(int.Parse(line, CultureInfo.InvariantCulture));
            NetworkNamespace.Delete(name);
        }
        catch (InvalidOperationException) when (!File.Exists(Path.Combine(NamespaceFolder, name)))
        {
            // Another laboratory that starts at the same moment was faster.
        }
    }

    private static IReadOnlyList<string> FilesIn(string folder, string prefix) => !Directory.Exists(folder) ? [] :
        [.. Directory.EnumerateFiles(folder)
            .Select(path => Path.GetFileName(path))
            .Where(name => name.StartsWith(prefix, StringComparison.Ordinal))];

    private static void RemoveFolder(string folder)
    {
        try
        {
            Directory.Delete(folder, recursive: true);
        }
        catch (DirectoryNotFoundException)
        {
            // Another laboratory that starts at the same moment removes it too.
        }
    }

    private static void Kill(int processId)
    {
        try
        {
            using var process = Process.GetProcessById(processId);
            process.Kill();
            process.WaitForExit(TimeSpan.FromSeconds(5));
        }
        catch (Exception exception) when (exception is ArgumentException or InvalidOperationException)
        {
            // It has gone already.
        }
    }

    private static bool IsOrphan(string name) =>
        NamePattern().Match(name) is { Success: true } match && !Directory.Exists($"/proc/{match.Groups[1].Value}");

    [GeneratedRegex(@"^lt(\d+)\.\d+-")]
    private static partial Regex NamePattern();
}
