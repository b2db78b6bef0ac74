using LightTunnel.Packets;
using LightTunnel.Tun;

namespace LightTunnel.Tests.Tun;

/// <summary>What Windows says of interfaces, in memory.</summary>
internal sealed class FakeIpHelper : IIpHelper
{
    public Dictionary<string, ulong> Names { get; } = [];

    public List<InterfaceAddress> Addresses { get; } = [];

    public List<LocalAddress> Others { get; } = [];

    public List<string> Calls { get; } = [];

    public int MtuErrorIPv6 { get; set; }

    public int NotReadyTimes { get; set; }

    public ulong? FindByName(string name) => Names.TryGetValue(name, out ulong luid) ? luid : null;

    public int IndexOf(ulong luid) => 77;

    public IReadOnlyList<InterfaceAddress> GetAddresses(ulong luid) => [.. Addresses];

    public int AddAddress(ulong luid, InterfaceAddress address)
    {
        Addresses.Add(address);
        Calls.Add("+" + address);
        return 0;
    }

    public int RemoveAddress(ulong luid, InterfaceAddress address)
    {
        Calls.Add("-" + address);
        return Addresses.Remove(address) ? 0 : WintunDevice.ErrorNotFound;
    }

    public int SetMtu(ulong luid, bool isIPv4, int mtu)
    {
        if (NotReadyTimes-- > 0)
            return WintunDevice.ErrorNotFound;
        if (!isIPv4 && MtuErrorIPv6 != 0)
            return MtuErrorIPv6;
        Calls.Add((isIPv4 ? "mtu4 " : "mtu6 ") + mtu);
        return 0;
    }

    public IReadOnlyList<LocalAddress> GetOtherAddresses(int exceptInterface) => Others;
}
