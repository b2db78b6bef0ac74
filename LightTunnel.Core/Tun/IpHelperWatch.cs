using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using LightTunnel.Addressing;

namespace LightTunnel.Tun;

/// <summary>
/// Hears from Windows what is done to an interface, its addresses and routes (NotifyIpInterfaceChange, NotifyUnicastIpAddressChange,
/// NotifyRouteChange2), on threads of the system's.
/// </summary>
[SupportedOSPlatform("windows")]
internal sealed unsafe partial class IpHelperWatch : IDisposable
{
    private const string Library = "iphlpapi.dll";
    private const ushort AnyFamily = 0;

    private readonly ulong _luid;
    private readonly Func<IReadOnlyList<InterfaceAddress>> _networks;
    private readonly Action _changed;
    private readonly Lock _ending = new();
    private readonly List<nint> _notifications = [];
    private GCHandle<IpHelperWatch> _self;

    private IpHelperWatch(ulong luid, Func<IReadOnlyList<InterfaceAddress>> networks, Action changed)
    {
        _luid = luid;
        _networks = networks;
        _changed = changed;
        _self = new GCHandle<IpHelperWatch>(this);
    }

    /// <summary>Begins to listen; null when the system refuses any of it.</summary>
    /// <param name="luid">The interface.</param>
    /// <param name="networks">The networks that should be routed into the interface, asked at each route that changes.</param>
    /// <param name="changed">Called after each change that may concern the interface; must return at once.</param>
    public static IpHelperWatch? TryStart(ulong luid, Func<IReadOnlyList<InterfaceAddress>> networks, Action changed)
    {
        var watch = new IpHelperWatch(luid, networks, changed);
        void* self = (void*)GCHandle<IpHelperWatch>.ToIntPtr(watch._self);
        nint handle;
        bool isComplete = watch.Keep(NotifyIpInterfaceChange(AnyFamily, &OnInterface, self, initial: 0, &handle), handle)
            && watch.Keep(NotifyUnicastIpAddressChange(AnyFamily, &OnAddress, self, initial: 0, &handle), handle)
            && watch.Keep(NotifyRouteChange2(AnyFamily, &OnRoute, self, initial: 0, &handle), handle);
        if (isComplete)
            return watch;
        watch.Dispose();
        return null;
    }

    /// <summary>Ends it; waits until no call is under way. Not to be called by one.</summary>
    public void Dispose()
    {
        lock (_ending)
        {
            foreach (nint notification in _notifications)
                _ = CancelMibChangeNotify2(notification);
            _notifications.Clear();
            if (_self.IsAllocated)
                _self.Dispose();
        }
    }

    private bool Keep(int error, nint notification)
    {
        if (error == 0)
            _notifications.Add(notification);
        return error == 0;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvStdcall)])]
    private static void OnInterface(void* context, IpInterfaceRow* row, int type)
    {
        if (Of(context) is { } watch && (row is null || row->InterfaceLuid == watch._luid))
            watch._changed();
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvStdcall)])]
    private static void OnAddress(void* context, UnicastAddressRow* row, int type)
    {
        if (Of(context) is { } watch && (row is null || row->InterfaceLuid == watch._luid))
            watch._changed();
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvStdcall)])]
    private static void OnRoute(void* context, ForwardRow* row, int type)
    {
        if (Of(context) is { } watch && (row is null || row->IsAbout(watch._luid, watch._networks())))
            watch._changed();
    }

    private static IpHelperWatch? Of(void* context) => GCHandle<IpHelperWatch>.FromIntPtr((nint)context).Target;

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial int NotifyIpInterfaceChange(
        ushort family, delegate* unmanaged[Stdcall]<void*, IpInterfaceRow*, int, void> callback, void* context, byte initial,
        nint* notification);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial int NotifyUnicastIpAddressChange(
        ushort family, delegate* unmanaged[Stdcall]<void*, UnicastAddressRow*, int, void> callback, void* context, byte initial,
        nint* notification);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial int NotifyRouteChange2(
        ushort family, delegate* unmanaged[Stdcall]<void*, ForwardRow*, int, void> callback, void* context, byte initial,
        nint* notification);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static partial int CancelMibChangeNotify2(nint notification);
}
