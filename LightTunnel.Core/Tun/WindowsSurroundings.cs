using LightTunnel.Addressing;

namespace LightTunnel.Tun;

/// <summary>An interface of Windows, or a driver that stands on one and sees what passes (an NDIS filter).</summary>
/// <param name="Luid">Its NET_LUID.</param>
/// <param name="Id">Its GUID.</param>
/// <param name="Name">Its name, "Ethernet"; a filter's begins with that of the interface.</param>
/// <param name="Description">What its driver calls it.</param>
/// <param name="Kind">What it leads to.</param>
/// <param name="IsUp">Whether packets pass.</param>
/// <param name="IsFilter">Whether it is a filter, which has neither addresses nor routes.</param>
/// <param name="MetricIPv4">Its metric of IPv4, which comes on top of its routes'; null where IPv4 is off.</param>
/// <param name="MetricIPv6">The same of IPv6.</param>
internal sealed record WindowsInterface(
    ulong Luid, Guid Id, string Name, string Description, InterfaceKind Kind, bool IsUp = true, bool IsFilter = false,
    uint? MetricIPv4 = null, uint? MetricIPv6 = null)
{
    /// <summary>The metric of one family; null where that is off.</summary>
    public uint? Metric(bool isIPv4) => isIPv4 ? MetricIPv4 : MetricIPv6;

    /// <summary>As a sentence names it: by its name, and by what its driver says, as nobody knows "Ethernet 7".</summary>
    public override string ToString() => Description.Length == 0 || Description == Name ? $"'{Name}'" : $"'{Name}' ({Description})";
}

/// <summary>A route of Windows.</summary>
/// <param name="Luid">The interface that it leads into.</param>
/// <param name="Prefix">Where to.</param>
/// <param name="Metric">Its own metric, without the interface's.</param>
internal readonly record struct WindowsRoute(ulong Luid, IpPrefix Prefix, uint Metric = 0);

/// <summary>What Windows has beside a tunnel, read at one moment.</summary>
/// <param name="Interfaces">All interfaces and filters, the tunnel's among them.</param>
/// <param name="Routes">All routes of both families.</param>
/// <param name="DisabledComponents">What the registry switches off of IPv6, in bits; 0 for nothing.</param>
internal sealed record WindowsSurroundings(
    IReadOnlyList<WindowsInterface> Interfaces, IReadOnlyList<WindowsRoute> Routes, uint DisabledComponents = 0)
{
    /// <summary>
    /// Of <see cref="DisabledComponents"/>: no IPv6 on any interface but those of 6to4, ISATAP and Teredo, of which a tunnel of this
    /// module is none ("Guidance for configuring IPv6 in Windows for advanced users", Microsoft's documentation).
    /// </summary>
    public const uint NativeInterfaces = 0x10;

    /// <summary>True when the registry has IPv6 off on every interface that counts.</summary>
    public bool IsIPv6Off => (DisabledComponents & NativeInterfaces) != 0;
}
