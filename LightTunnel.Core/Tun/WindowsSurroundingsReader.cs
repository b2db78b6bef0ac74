using System.Net.NetworkInformation;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using Microsoft.Win32;

namespace LightTunnel.Tun;

/// <summary>Reads <see cref="WindowsSurroundings"/>, which every user may: GetIfTable2, GetIpInterfaceTable, GetIpForwardTable2.</summary>
[SupportedOSPlatform("windows")]
internal static unsafe partial class WindowsSurroundingsReader
{
    private const string Library = "iphlpapi.dll";
    private const ushort AnyFamily = 0;

    /// <summary>Tables begin with a 32-bit count; their rows are aligned to 8 bytes.</summary>
    private const int FirstRow = 8;

    /// <exception cref="IOException">Windows does not tell.</exception>
    public static WindowsSurroundings Read()
    {
        var metrics = new Dictionary<(ulong Luid, bool IsIPv4), uint>();
        void* table;
        Check(GetIpInterfaceTable(AnyFamily, &table));
        Take<IpInterfaceRow>(
            table, (in IpInterfaceRow row) => metrics[(row.InterfaceLuid, row.Family == SocketAddressInet.FamilyIPv4)] = row.Metric);

        var interfaces = new List<WindowsInterface>();
        Check(GetIfTable2(&table));
        Take<InterfaceRow>(table, (in InterfaceRow row) => interfaces.Add(ToInterface(in row, metrics)));

        var routes = new List<WindowsRoute>();
        Check(GetIpForwardTable2(AnyFamily, &table));
        Take<ForwardRow>(table, (in ForwardRow row) => Add(routes, in row));
        return new WindowsSurroundings(interfaces, routes, ReadDisabledComponents());
    }

    internal static WindowsInterface ToInterface(in InterfaceRow row, Dictionary<(ulong Luid, bool IsIPv4), uint> metrics)
    {
        string description = row.ReadDescription();
        return new WindowsInterface(
            row.InterfaceLuid, row.InterfaceGuid, row.ReadAlias(), description,
            InterfaceKinds.OfWindows((NetworkInterfaceType)row.Type, description), row.OperationalStatus == (int)OperationalStatus.Up,
            row.IsFilter, MetricOf(row.InterfaceLuid, isIPv4: true), MetricOf(row.InterfaceLuid, isIPv4: false));

        uint? MetricOf(ulong luid, bool isIPv4) => metrics.TryGetValue((luid, isIPv4), out uint metric) ? metric : null;
    }

    internal static void Add(List<WindowsRoute> routes, in ForwardRow row)
    {
        if (row.Loopback == 0 && row.Destination.TryGetAddress(out TunnelAddress network) && row.DestinationLength <= network.BitLength)
            routes.Add(new WindowsRoute(row.InterfaceLuid, new IpPrefix(network, row.DestinationLength), row.Metric));
    }

    private static uint ReadDisabledComponents()
    {
        using RegistryKey? key = Registry.LocalMachine.OpenSubKey(@"SYSTEM\CurrentControlSet\Services\Tcpip6\Parameters");
        return key?.GetValue("DisabledComponents") is int value ? (uint)value : 0;
    }

    private static void Check(int error)
    {
        if (error != 0)
            throw new IOException(SystemError.Describe(error));
    }

    private delegate void RowAction<TRow>(in TRow row);

    private static void Take<TRow>(void* table, RowAction<TRow> take)
        where TRow : unmanaged
    {
        try
        {
            foreach (ref readonly TRow row in new ReadOnlySpan<TRow>((byte*)table + FirstRow, checked((int)*(uint*)table)))
                take(in row);
        }
        finally
        {
            FreeMibTable(table);
        }
    }

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial int GetIfTable2(void** table);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial int GetIpInterfaceTable(ushort family, void** table);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial int GetIpForwardTable2(ushort family, void** table);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial void FreeMibTable(void* memory);
}
