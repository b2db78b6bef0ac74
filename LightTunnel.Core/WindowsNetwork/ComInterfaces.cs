using System.Runtime.InteropServices;
using System.Runtime.InteropServices.Marshalling;

namespace LightTunnel.WindowsNetwork;

// The interfaces of netfw.h and netlistmgr.h, method for method in the order of their tables. What is not called stands here for its
// place alone, without parameters. All are derived from IDispatch, whose four places come first. Each object that is returned is the
// caller's to give back (Owned).

/// <summary>IDispatch (oaidl.h).</summary>
[GeneratedComInterface(Options = ComInterfaceOptions.ComObjectWrapper)]
[Guid("00020400-0000-0000-C000-000000000046")]
internal partial interface IDispatch
{
    void GetTypeInfoCount();

    void GetTypeInfo();

    void GetIDsOfNames();

    void Invoke();
}

/// <summary>The firewall's policy.</summary>
[GeneratedComInterface(Options = ComInterfaceOptions.ComObjectWrapper)]
[Guid("98325047-C671-4174-8D81-DEFCD3F03186")]
internal partial interface INetFwPolicy2 : IDispatch
{
    int GetCurrentProfileTypes();

    [return: MarshalAs(UnmanagedType.VariantBool)]
    bool GetFirewallEnabled(int profile);

    void PutFirewallEnabled();

    void GetExcludedInterfaces();

    void PutExcludedInterfaces();

    [return: MarshalAs(UnmanagedType.VariantBool)]
    bool GetBlockAllInboundTraffic(int profile);

    void PutBlockAllInboundTraffic();

    void GetNotificationsDisabled();

    void PutNotificationsDisabled();

    void GetUnicastResponsesToMulticastBroadcastDisabled();

    void PutUnicastResponsesToMulticastBroadcastDisabled();

    [return: MarshalUsing(typeof(UniqueComInterfaceMarshaller<INetFwRules>))]
    INetFwRules GetRules();

    void GetServiceRestriction();

    void EnableRuleGroup();

    void IsRuleGroupEnabled();

    void RestoreLocalFirewallDefaults();

    int GetDefaultInboundAction(int profile);

    void PutDefaultInboundAction();

    void GetDefaultOutboundAction();

    void PutDefaultOutboundAction();

    void GetIsRuleGroupCurrentlyEnabled();

    int GetLocalPolicyModifyState();
}

/// <summary>The firewall's rules.</summary>
[GeneratedComInterface(
    Options = ComInterfaceOptions.ComObjectWrapper, StringMarshalling = StringMarshalling.Custom,
    StringMarshallingCustomType = typeof(BStrStringMarshaller))]
[Guid("9C4C6277-5027-441E-AFAE-CA1F542DA009")]
internal partial interface INetFwRules : IDispatch
{
    int GetCount();

    void Add(INetFwRule rule);

    void Remove(string name);

    /// <summary>0x80070002 when there is no rule of that name.</summary>
    [PreserveSig]
    int Item(string name, [MarshalUsing(typeof(UniqueComInterfaceMarshaller<INetFwRule>))] out INetFwRule? rule);

    void GetNewEnum();
}

/// <summary>One rule of the firewall.</summary>
[GeneratedComInterface(
    Options = ComInterfaceOptions.ComObjectWrapper, StringMarshalling = StringMarshalling.Custom,
    StringMarshallingCustomType = typeof(BStrStringMarshaller))]
[Guid("AF230D27-BABA-4E42-ACED-F524F22CFCE2")]
internal partial interface INetFwRule : IDispatch
{
    string? GetName();

    void PutName(string name);

    void GetDescription();

    void PutDescription(string description);

    void GetApplicationName();

    void PutApplicationName(string path);

    void GetServiceName();

    void PutServiceName();

    void GetProtocol();

    void PutProtocol(int protocol);

    void GetLocalPorts();

    void PutLocalPorts(string ports);

    void GetRemotePorts();

    void PutRemotePorts();

    void GetLocalAddresses();

    void PutLocalAddresses();

    void GetRemoteAddresses();

    void PutRemoteAddresses();

    void GetIcmpTypesAndCodes();

    void PutIcmpTypesAndCodes();

    void GetDirection();

    void PutDirection(int direction);

    void GetInterfaces();

    void PutInterfaces(VariantArray interfaces);

    void GetInterfaceTypes();

    void PutInterfaceTypes();

    void GetEnabled();

    void PutEnabled([MarshalAs(UnmanagedType.VariantBool)] bool enabled);

    string? GetGrouping();

    void PutGrouping(string group);

    void GetProfiles();

    void PutProfiles(int profiles);

    void GetEdgeTraversal();

    void PutEdgeTraversal();

    void GetAction();

    void PutAction(int action);
}

/// <summary>The list of networks.</summary>
[GeneratedComInterface(Options = ComInterfaceOptions.ComObjectWrapper)]
[Guid("DCB00000-570F-4A9B-8D69-199FDBA5723B")]
internal partial interface INetworkListManager : IDispatch
{
    void GetNetworks();

    void GetNetwork();

    [return: MarshalUsing(typeof(UniqueComInterfaceMarshaller<IEnumNetworkConnections>))]
    IEnumNetworkConnections GetNetworkConnections();

    void GetNetworkConnection();

    void IsConnectedToInternet();

    void IsConnected();

    void GetConnectivity();
}

/// <summary>Connections, one after the other.</summary>
[GeneratedComInterface(Options = ComInterfaceOptions.ComObjectWrapper)]
[Guid("DCB00006-570F-4A9B-8D69-199FDBA5723B")]
internal partial interface IEnumNetworkConnections : IDispatch
{
    void GetNewEnum();

    /// <summary>1 (S_FALSE) behind the last one.</summary>
    [PreserveSig]
    int Next(
        uint count, [MarshalUsing(typeof(UniqueComInterfaceMarshaller<INetworkConnection>))] out INetworkConnection? connection,
        out uint fetched);

    void Skip();

    void Reset();

    void Clone();
}

/// <summary>An adapter's connection to a network.</summary>
[GeneratedComInterface(Options = ComInterfaceOptions.ComObjectWrapper)]
[Guid("DCB00005-570F-4A9B-8D69-199FDBA5723B")]
internal partial interface INetworkConnection : IDispatch
{
    [return: MarshalUsing(typeof(UniqueComInterfaceMarshaller<INetwork>))]
    INetwork GetNetwork();

    void GetIsConnectedToInternet();

    void GetIsConnected();

    void GetConnectivity();

    void GetConnectionId();

    Guid GetAdapterId();

    void GetDomainType();
}

/// <summary>A network.</summary>
[GeneratedComInterface(Options = ComInterfaceOptions.ComObjectWrapper)]
[Guid("DCB00002-570F-4A9B-8D69-199FDBA5723B")]
internal partial interface INetwork : IDispatch
{
    void GetName();

    void SetName();

    void GetDescription();

    void SetDescription();

    Guid GetNetworkId();

    void GetDomainType();

    void GetNetworkConnections();

    void GetTimeCreatedAndConnected();

    void GetIsConnectedToInternet();

    void GetIsConnected();

    void GetConnectivity();

    int GetCategory();

    void SetCategory(int category);
}

/// <summary>VARIANT (oaidl.h) with a SAFEARRAY in it: a type, three reserved words, and a union as large as two pointers.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct VariantArray
{
    public const ushort BStr = 8, Variant = 12, Array = 0x2000;

    public ushort Type;
    public ushort Reserved1;
    public ushort Reserved2;
    public ushort Reserved3;
    public nint Value;
    public nint Unused;
}
