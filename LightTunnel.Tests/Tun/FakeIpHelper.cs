using LightTunnel.Addressing;
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

    /// <summary>MTU by family, true for IPv4.</summary>
    public Dictionary<bool, int> Mtus { get; } = [];

    /// <summary>Routes by prefix; those of addresses come and go with them.</summary>
    public Dictionary<IpPrefix, ulong> Routes { get; } = [];

    /// <summary>Whether the interface is there.</summary>
    public bool IsThere { get; set; } = true;

    /// <summary>The interface's GUID.</summary>
    public Guid Id { get; } = new("11111111-2222-3333-4444-555555555555");

    /// <summary>What the system answers when an address is to be added.</summary>
    public int AddressError { get; set; }

    /// <summary>Called before an address is added.</summary>
    public Action<InterfaceAddress>? Adding { get; set; }

    /// <summary>False for a system that tells of no changes.</summary>
    public bool Tells { get; set; } = true;

    /// <summary>Tells of a change; null while nobody listens.</summary>
    public Action? Change { get; private set; }

    /// <summary>The networks of which who listens wants to know.</summary>
    public Func<IReadOnlyList<InterfaceAddress>>? Networks { get; private set; }

    public ulong? FindByName(string name) => Names.TryGetValue(name, out ulong luid) ? luid : null;

    public int IndexOf(ulong luid) => IsThere ? 77 : 0;

    public Guid IdOf(ulong luid) => IsThere ? Id : Guid.Empty;

    public IReadOnlyList<InterfaceAddress> GetAddresses(ulong luid) => [.. Addresses];

    public int AddAddress(ulong luid, InterfaceAddress address)
    {
        Adding?.Invoke(address);
        if (AddressError != 0)
            return AddressError;
        Addresses.Add(address);
        Routes[address.Prefix] = luid;
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
        Mtus[isIPv4] = mtu;
        Calls.Add((isIPv4 ? "mtu4 " : "mtu6 ") + mtu);
        return 0;
    }

    public int? GetMtu(ulong luid, bool isIPv4) => Mtus.TryGetValue(isIPv4, out int mtu) ? mtu : null;

    public (ulong Luid, IpPrefix Prefix)? FindRoute(TunnelAddress destination)
    {
        IpPrefix[] matching = [.. Routes.Keys.Where(prefix => prefix.Contains(destination))];
        return matching.Length == 0 ? null : (Routes[matching.MaxBy(prefix => prefix.Length)], matching.MaxBy(prefix => prefix.Length));
    }

    public int AddRoute(ulong luid, IpPrefix prefix)
    {
        Calls.Add("route " + prefix);
        Routes.TryAdd(prefix, luid);
        return 0;
    }

    public int RemoveRoute(ulong luid, IpPrefix prefix)
    {
        Calls.Add("unroute " + prefix);
        return Routes.TryGetValue(prefix, out ulong owner) && owner == luid && Routes.Remove(prefix) ? 0 : WintunDevice.ErrorNotFound;
    }

    public IDisposable? Watch(ulong luid, Func<IReadOnlyList<InterfaceAddress>> networks, Action changed)
    {
        if (!Tells)
            return null;
        (Change, Networks) = (changed, networks);
        return new Listening(this);
    }

    public IReadOnlyList<LocalAddress> GetOtherAddresses(int exceptInterface) => Others;

    private sealed class Listening(FakeIpHelper system) : IDisposable
    {
        public void Dispose() => system.Change = null;
    }
}
