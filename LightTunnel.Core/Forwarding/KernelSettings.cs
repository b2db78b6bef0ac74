using System.Runtime.Versioning;

namespace LightTunnel.Forwarding;

/// <summary>The kernel's settings of networking, of the calling thread's network namespace; replaced in tests.</summary>
internal interface IKernelSettings
{
    /// <summary>A setting's value; null when there is no such setting.</summary>
    /// <param name="key">Its path below /proc/sys.</param>
    string? Read(string key);

    /// <summary>Changes a setting.</summary>
    /// <exception cref="IOException">The system refuses.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be changed from here.</exception>
    void Write(string key, string value);

    /// <summary>The interfaces that have settings, "all" and "default" included; none where the family is missing.</summary>
    IReadOnlyList<string> Interfaces(bool isIPv4);

    /// <summary>What the settings live and end with: the run of the system and the network namespace.</summary>
    string Lifetime();
}

/// <inheritdoc/>
[SupportedOSPlatform("linux")]
internal sealed class KernelSettings : IKernelSettings
{
    private const string Root = "/proc/sys/";

    /// <inheritdoc/>
    public string? Read(string key)
    {
        try
        {
            return File.ReadAllText(Root + key).Trim();
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }

    /// <inheritdoc/>
    public void Write(string key, string value)
    {
        // Opened, never made: a path that is gone says so.
        using var stream = new FileStream(Root + key, FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
        stream.Write(System.Text.Encoding.ASCII.GetBytes(value));
    }

    /// <inheritdoc/>
    public IReadOnlyList<string> Interfaces(bool isIPv4)
    {
        string folder = $"{Root}net/{(isIPv4 ? "ipv4" : "ipv6")}/conf";
        return Directory.Exists(folder) ? [.. Directory.EnumerateDirectories(folder).Select(path => Path.GetFileName(path)!)] : [];
    }

    /// <inheritdoc/>
    public string Lifetime() =>
        $"{File.ReadAllText(Root + "kernel/random/boot_id").Trim()} {File.ResolveLinkTarget("/proc/thread-self/ns/net", false)?.Name}";
}
