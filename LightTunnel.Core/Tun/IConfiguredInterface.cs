namespace LightTunnel.Tun;

/// <summary>A device that notices when others change what <see cref="ITunDevice.Configure"/> set, and can set it again.</summary>
internal interface IConfiguredInterface
{
    /// <summary>
    /// Calls back, on any thread, whenever others may have changed the interface, until the device is closed. To be called once.
    /// </summary>
    void Watch(Action changed);

    /// <summary>Compares the interface with what was set; any thread, may wait for the system.</summary>
    /// <param name="restore">True to set again what is not there any more. What others added stays.</param>
    InterfaceCheck Check(bool restore);
}

/// <summary>An adapter of Windows, which knows it by a GUID wherever no index or LUID is taken.</summary>
internal interface IWindowsAdapter
{
    /// <summary>The GUID.</summary>
    Guid Id { get; }
}

/// <summary>How an interface differs from what was set.</summary>
/// <param name="Differences">What is not as it was set, "address 10.0.0.1/24 is gone"; empty when all of it is.</param>
/// <param name="Failure">Why that could not be put right; null when it was, or was not to be.</param>
/// <param name="Suspect">Who made the last change, as far as the system tells, "NetworkManager (process 812)", or null.</param>
internal sealed record InterfaceCheck(IReadOnlyList<string> Differences, string? Failure = null, string? Suspect = null)
{
    /// <summary>Everything is as it was set, or there is nothing to compare.</summary>
    public static InterfaceCheck Right { get; } = new([]);
}
