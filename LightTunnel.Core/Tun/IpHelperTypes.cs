using System.Buffers.Binary;
using System.Runtime.InteropServices;
using LightTunnel.Addressing;

namespace LightTunnel.Tun;

/// <summary>SOCKADDR_INET (ws2ipdef.h): 28 bytes, family first; the family's numbers are Windows's.</summary>
[StructLayout(LayoutKind.Explicit, Size = 28)]
internal unsafe struct SocketAddressInet
{
    public const ushort FamilyIPv4 = 2, FamilyIPv6 = 23;

    [FieldOffset(0)]
    public ushort Family;

    [FieldOffset(4)]
    public fixed byte AddressV4[4];

    [FieldOffset(8)]
    public fixed byte AddressV6[16];

    [FieldOffset(24)]
    public uint ScopeId;

    /// <summary>The address with port 0.</summary>
    public static SocketAddressInet From(TunnelAddress address)
    {
        var result = new SocketAddressInet { Family = address.IsIPv4 ? FamilyIPv4 : FamilyIPv6 };
        byte* bytes = address.IsIPv4 ? result.AddressV4 : result.AddressV6;
        address.WriteTo(new Span<byte>(bytes, address.BitLength / 8));
        return result;
    }

    /// <summary>The address; false for another family.</summary>
    public readonly bool TryGetAddress(out TunnelAddress address)
    {
        fixed (byte* v4 = AddressV4, v6 = AddressV6)
        {
            address = Family == FamilyIPv4
                ? TunnelAddress.FromIPv4(BinaryPrimitives.ReadUInt32BigEndian(new ReadOnlySpan<byte>(v4, 4)))
                : TunnelAddress.FromIPv6(BinaryPrimitives.ReadUInt128BigEndian(new ReadOnlySpan<byte>(v6, 16)));
        }

        return Family is FamilyIPv4 or FamilyIPv6;
    }
}

/// <summary>MIB_UNICASTIPADDRESS_ROW (netioapi.h): 80 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct UnicastAddressRow
{
    public SocketAddressInet Address;
    public ulong InterfaceLuid;
    public uint InterfaceIndex;
    public int PrefixOrigin;
    public int SuffixOrigin;
    public uint ValidLifetime;
    public uint PreferredLifetime;
    public byte OnLinkPrefixLength;
    public byte SkipAsSource;
    public int DadState;
    public uint ScopeId;
    public long CreationTimeStamp;
}

/// <summary>MIB_IPINTERFACE_ROW (netioapi.h): 168 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct IpInterfaceRow
{
    public ushort Family;
    public ulong InterfaceLuid;
    public uint InterfaceIndex;
    public uint MaxReassemblySize;
    public ulong InterfaceIdentifier;
    public uint MinRouterAdvertisementInterval;
    public uint MaxRouterAdvertisementInterval;
    public byte AdvertisingEnabled;
    public byte ForwardingEnabled;
    public byte WeakHostSend;
    public byte WeakHostReceive;
    public byte UseAutomaticMetric;
    public byte UseNeighborUnreachabilityDetection;
    public byte ManagedAddressConfigurationSupported;
    public byte OtherStatefulConfigurationSupported;
    public byte AdvertiseDefaultRoute;
    public int RouterDiscoveryBehavior;
    public uint DadTransmits;
    public uint BaseReachableTime;
    public uint RetransmitTime;
    public uint PathMtuDiscoveryTimeout;
    public int LinkLocalAddressBehavior;
    public uint LinkLocalAddressTimeout;
    public fixed uint ZoneIndices[16];
    public uint SitePrefixLength;
    public uint Metric;
    public uint NlMtu;
    public byte Connected;
    public byte SupportsWakeUpPatterns;
    public byte SupportsNeighborDiscovery;
    public byte SupportsRouterDiscovery;
    public uint ReachableTime;
    public byte TransmitOffload;
    public byte ReceiveOffload;
    public byte DisableDefaultRoutes;
}

/// <summary>MIB_IPFORWARD_ROW2 (netioapi.h): 104 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ForwardRow
{
    public ulong InterfaceLuid;
    public uint InterfaceIndex;
    public SocketAddressInet Destination;
    public byte DestinationLength;
    public SocketAddressInet NextHop;
    public byte SitePrefixLength;
    public uint ValidLifetime;
    public uint PreferredLifetime;
    public uint Metric;
    public int Protocol;
    public byte Loopback;
    public byte AutoconfigureAddress;
    public byte Publish;
    public byte Immortal;
    public uint Age;
    public int Origin;

    /// <summary>True when this is an interface's own route, or leads what belongs to its networks elsewhere.</summary>
    public readonly bool IsAbout(ulong luid, IReadOnlyList<InterfaceAddress> networks)
    {
        if (InterfaceLuid == luid)
            return true;
        int length = DestinationLength;
        return Destination.TryGetAddress(out TunnelAddress destination)
            && networks.Any(network => length >= network.PrefixLength && network.Prefix.Contains(destination));
    }
}

/// <summary>MIB_IF_ROW2 (netioapi.h): 1352 bytes, of which this names what is looked at.</summary>
[StructLayout(LayoutKind.Explicit, Size = 1352)]
internal unsafe struct InterfaceRow
{
    /// <summary>IF_MAX_STRING_SIZE, and the zero after it.</summary>
    public const int TextLength = 257;

    private const byte FilterInterface = 2; // The second bit of InterfaceAndOperStatusFlags.

    [FieldOffset(0)]
    public ulong InterfaceLuid;

    [FieldOffset(12)]
    public Guid InterfaceGuid;

    [FieldOffset(28)]
    public fixed char Alias[TextLength];

    [FieldOffset(542)]
    public fixed char Description[TextLength];

    [FieldOffset(1128)]
    public uint Type;

    [FieldOffset(1152)]
    public byte Flags;

    [FieldOffset(1156)]
    public int OperationalStatus;

    /// <summary>True for an NDIS filter.</summary>
    public readonly bool IsFilter => (Flags & FilterInterface) != 0;

    /// <summary>The interface's name.</summary>
    public readonly string ReadAlias()
    {
        fixed (char* text = Alias)
            return Read(text);
    }

    /// <summary>What its driver calls it.</summary>
    public readonly string ReadDescription()
    {
        fixed (char* text = Description)
            return Read(text);
    }

    private static string Read(char* text)
    {
        var all = new ReadOnlySpan<char>(text, TextLength);
        int end = all.IndexOf('\0');
        return new string(end < 0 ? all : all[..end]);
    }
}
