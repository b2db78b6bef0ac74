using System.Runtime.InteropServices;
using LightTunnel.Management;

namespace LightTunnel;

/// <summary>The library of the driver that tunnel interfaces of Windows have.</summary>
public sealed class LtDriver
{
    internal LtDriver(InstalledDriver driver)
    {
        Version = driver.Version;
        Architecture = driver.Architecture;
        IsNew = driver.IsNew;
        Path = driver.Path;
    }

    /// <summary>Wintun's version, "0.14.1".</summary>
    public string Version { get; }

    /// <summary>The kind of processor that it is for.</summary>
    public Architecture Architecture { get; }

    /// <summary>True when it was put there just now, False when it was there already.</summary>
    public bool IsNew { get; }

    /// <summary>The library's file.</summary>
    public string Path { get; }

    /// <summary>The file.</summary>
    public override string ToString() => Path;
}
