using System.Runtime.InteropServices;

namespace LightTunnel.Engine.Control;

/// <summary>The version of LightTunnel that runs.</summary>
internal static class SoftwareVersion
{
    /// <summary>"0.1.0".</summary>
    public static string Text { get; } = typeof(SoftwareVersion).Assembly.GetName().Version?.ToString(3) ?? "0.0.0";

    /// <summary>"Linux X64": what it runs on, for people.</summary>
    public static string System { get; } =
        $"{(OperatingSystem.IsWindows() ? "Windows" : OperatingSystem.IsLinux() ? "Linux" : "other")} {RuntimeInformation.OSArchitecture}";
}
