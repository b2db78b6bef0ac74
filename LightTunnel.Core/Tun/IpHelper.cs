using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using LightTunnel.Addressing;

namespace LightTunnel.Tun;

/// <summary>
/// What <see cref="WintunDevice"/> asks of Windows about interfaces, which go by their NET_LUID; replaced in tests. Calls answer the
/// Win32 error, 0 for success.
/// </summary>
internal interface IIpHelper
{
    /// <summary>
    /// The interface's metric. Windows makes it of the link's speed, 5 for a Wintun adapter and 25 or more for cards: it would take the
    /// tunnel for the best way to whatever has several, broadcasts, multicast and names first of all, and the tunnel carries none of
    /// these. 85 is the worst that it makes of any speed ("Automatic metric for IPv4 routes", Microsoft's documentation). The network
    /// itself is reached all the same, as its prefix is longer than the default route's.
    /// </summary>
    const uint Metric = 100;

    /// <summary>The interface's LUID by its name; null when there is none of that name.</summary>
    ulong? FindByName(string name);

    /// <summary>The interface's index, 0 when it is gone.</summary>
    int IndexOf(ulong luid);

    /// <summary>The interface's GUID, empty when it is gone.</summary>
    Guid IdOf(ulong luid);

    /// <summary>The addresses of an interface.</summary>
    IReadOnlyList<InterfaceAddress> GetAddresses(ulong luid);

    /// <summary>
    /// Gives an interface an address; the system adds the route of its network. <see cref="WintunDevice.ErrorObjectAlreadyExists"/> where
    /// this or another interface has the address.
    /// </summary>
    int AddAddress(ulong luid, InterfaceAddress address);

    /// <summary>Takes an address from an interface.</summary>
    int RemoveAddress(ulong luid, InterfaceAddress address);

    /// <summary>
    /// Sets the longest packet of one family, bytes, and switches off duplicate detection and router discovery, for which nobody is there.
    /// A metric that nobody has chosen becomes <see cref="Metric"/>.
    /// </summary>
    int SetMtu(ulong luid, bool isIPv4, int mtu);

    /// <summary>
    /// The longest packet of one family, bytes; null when the family is switched off on the interface, or the interface is gone.
    /// </summary>
    int? GetMtu(ulong luid, bool isIPv4);

    /// <summary>The route that packets to the address take, by its interface and prefix; null when there is none.</summary>
    (ulong Luid, IpPrefix Prefix)? FindRoute(TunnelAddress destination);

    /// <summary>Routes a prefix into an interface, without a gateway.</summary>
    int AddRoute(ulong luid, IpPrefix prefix);

    /// <summary>Takes such a route back.</summary>
    int RemoveRoute(ulong luid, IpPrefix prefix);

    /// <summary>
    /// Calls back, on any thread, after each change of the interface, its addresses and routes, or of a route that leads something of its
    /// networks elsewhere; until what is returned is disposed of. Null when the system refuses.
    /// </summary>
    IDisposable? Watch(ulong luid, Func<IReadOnlyList<InterfaceAddress>> networks, Action changed);

    /// <summary>All addresses of all other interfaces.</summary>
    IReadOnlyList<LocalAddress> GetOtherAddresses(int exceptInterface);
}

/// <summary>The IP Helper API (iphlpapi.dll).</summary>
[SupportedOSPlatform("windows")]
internal sealed unsafe partial class IpHelper : IIpHelper
{
    private const string Library = "iphlpapi.dll";
    private const int DadStatePreferred = 4;

    /// <inheritdoc/>
    public ulong? FindByName(string name)
    {
        ulong luid;
        return ConvertInterfaceAliasToLuid(name, &luid) == 0 ? luid : null;
    }

    /// <inheritdoc/>
    public int IndexOf(ulong luid)
    {
        uint index;
        return ConvertInterfaceLuidToIndex(&luid, &index) == 0 ? (int)index : 0;
    }

    /// <inheritdoc/>
    public Guid IdOf(ulong luid)
    {
        Guid id;
        return ConvertInterfaceLuidToGuid(&luid, &id) == 0 ? id : Guid.Empty;
    }

    /// <inheritdoc/>
    public IReadOnlyList<InterfaceAddress> GetAddresses(ulong luid)
    {
        var result = new List<InterfaceAddress>();
        void* table;
        if (GetUnicastIpAddressTable(0, &table) != 0)
            return result;
        try
        {
            // MIB_UNICASTIPADDRESS_TABLE: a 32-bit count, then the rows, which are aligned to 8 bytes.
            var rows = new ReadOnlySpan<UnicastAddressRow>((byte*)table + 8, checked((int)*(uint*)table));
            foreach (ref readonly UnicastAddressRow row in rows)
            {
                if (row.InterfaceLuid == luid && row.Address.TryGetAddress(out TunnelAddress address))
                    result.Add(new InterfaceAddress(address, row.OnLinkPrefixLength));
            }
        }
        finally
        {
            FreeMibTable(table);
        }

        return result;
    }

    /// <inheritdoc/>
    public int AddAddress(ulong luid, InterfaceAddress address)
    {
        UnicastAddressRow row;
        InitializeUnicastIpAddressEntry(&row);
        Fill(ref row, luid, address);
        return CreateUnicastIpAddressEntry(&row);
    }

    /// <inheritdoc/>
    public int RemoveAddress(ulong luid, InterfaceAddress address)
    {
        UnicastAddressRow row;
        InitializeUnicastIpAddressEntry(&row);
        Fill(ref row, luid, address);
        return DeleteUnicastIpAddressEntry(&row);
    }

    /// <inheritdoc/>
    public int SetMtu(ulong luid, bool isIPv4, int mtu)
    {
        IpInterfaceRow row;
        InitializeIpInterfaceEntry(&row);
        row.InterfaceLuid = luid;
        row.Family = isIPv4 ? SocketAddressInet.FamilyIPv4 : SocketAddressInet.FamilyIPv6;
        int error = GetIpInterfaceEntry(&row);
        if (error != 0)
            return error;
        Fill(ref row, isIPv4, mtu);
        return SetIpInterfaceEntry(&row);
    }

    /// <inheritdoc/>
    public int? GetMtu(ulong luid, bool isIPv4)
    {
        IpInterfaceRow row;
        InitializeIpInterfaceEntry(&row);
        row.InterfaceLuid = luid;
        row.Family = isIPv4 ? SocketAddressInet.FamilyIPv4 : SocketAddressInet.FamilyIPv6;
        return GetIpInterfaceEntry(&row) == 0 ? (int)row.NlMtu : null;
    }

    /// <inheritdoc/>
    public (ulong Luid, IpPrefix Prefix)? FindRoute(TunnelAddress destination)
    {
        var address = SocketAddressInet.From(destination);
        ForwardRow row;
        SocketAddressInet source;
        if (GetBestRoute2(null, 0, null, &address, 0, &row, &source) != 0 || !row.Destination.TryGetAddress(out TunnelAddress network)
            || row.DestinationLength > network.BitLength)
        {
            return null;
        }

        return (row.InterfaceLuid, new IpPrefix(network, row.DestinationLength));
    }

    /// <inheritdoc/>
    public int AddRoute(ulong luid, IpPrefix prefix)
    {
        ForwardRow row;
        InitializeIpForwardEntry(&row);
        Fill(ref row, luid, prefix);
        int error = CreateIpForwardEntry2(&row);
        return error == WintunDevice.ErrorObjectAlreadyExists ? 0 : error;
    }

    /// <inheritdoc/>
    public int RemoveRoute(ulong luid, IpPrefix prefix)
    {
        ForwardRow row;
        InitializeIpForwardEntry(&row);
        Fill(ref row, luid, prefix);
        return DeleteIpForwardEntry2(&row);
    }

    /// <inheritdoc/>
    public IDisposable? Watch(ulong luid, Func<IReadOnlyList<InterfaceAddress>> networks, Action changed) =>
        IpHelperWatch.TryStart(luid, networks, changed);

    /// <summary>The interface that packets to the address leave by; 0 when there is no route.</summary>
    public static int FindInterface(TunnelAddress destination)
    {
        // As a sockaddr: SOCKADDR_INET begins like sockaddr_in and sockaddr_in6.
        var address = SocketAddressInet.From(destination);
        uint index;
        return GetBestInterfaceEx(&address, &index) == 0 ? (int)index : 0;
    }

    /// <inheritdoc/>
    public IReadOnlyList<LocalAddress> GetOtherAddresses(int exceptInterface) => LocalAddresses.All(exceptInterface);

    internal static void Fill(ref UnicastAddressRow row, ulong luid, InterfaceAddress address)
    {
        row.InterfaceLuid = luid;
        row.Address = SocketAddressInet.From(address.Address);
        row.OnLinkPrefixLength = (byte)address.PrefixLength;
        row.DadState = DadStatePreferred;
    }

    internal static void Fill(ref ForwardRow row, ulong luid, IpPrefix prefix)
    {
        row.InterfaceLuid = luid;
        row.Destination = SocketAddressInet.From(prefix.Network);
        row.DestinationLength = (byte)prefix.Length;
        row.NextHop = SocketAddressInet.From(TunnelAddress.FromBits(UInt128.Zero, prefix.Network.IsIPv4));
        row.Metric = 0; // On top of the interface's, as the routes have that come with an address.
    }

    internal static void Fill(ref IpInterfaceRow row, bool isIPv4, int mtu)
    {
        row.NlMtu = (uint)mtu;
        row.DadTransmits = 0;
        row.RouterDiscoveryBehavior = 0;
        // Not what a person has set: Set-NetIPInterface switches the automatic metric off.
        if (row.UseAutomaticMetric != 0)
        {
            row.UseAutomaticMetric = 0;
            row.Metric = IIpHelper.Metric;
        }

        // SetIpInterfaceEntry takes no other value for IPv4, though GetIpInterfaceEntry may have given one.
        if (isIPv4)
            row.SitePrefixLength = 0;
    }

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf16)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial int ConvertInterfaceAliasToLuid(string alias, ulong* luid);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial int ConvertInterfaceLuidToIndex(ulong* luid, uint* index);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial int ConvertInterfaceLuidToGuid(ulong* luid, Guid* id);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial int GetBestInterfaceEx(SocketAddressInet* destination, uint* index);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial int GetUnicastIpAddressTable(ushort family, void** table);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial void FreeMibTable(void* memory);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial void InitializeUnicastIpAddressEntry(UnicastAddressRow* row);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial int CreateUnicastIpAddressEntry(UnicastAddressRow* row);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial int DeleteUnicastIpAddressEntry(UnicastAddressRow* row);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial void InitializeIpInterfaceEntry(IpInterfaceRow* row);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial int GetIpInterfaceEntry(IpInterfaceRow* row);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial int SetIpInterfaceEntry(IpInterfaceRow* row);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial int GetBestRoute2(
        ulong* luid, uint index, SocketAddressInet* source, SocketAddressInet* destination, uint options, ForwardRow* route,
        SocketAddressInet* bestSource);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial void InitializeIpForwardEntry(ForwardRow* row);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial int CreateIpForwardEntry2(ForwardRow* row);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial int DeleteIpForwardEntry2(ForwardRow* row);
}
