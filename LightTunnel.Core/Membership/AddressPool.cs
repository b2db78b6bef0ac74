using LightTunnel.Addressing;

namespace LightTunnel.Membership;

/// <summary>
/// The host addresses of one prefix: which are taken, and the next free one. Nothing is enumerated, so that an IPv6 /64 costs what it
/// leases: of addresses above a rising mark none was given out automatically, and those that came back rest: they are kept in order.
/// </summary>
internal sealed class AddressPool
{
    /// <summary>Addresses above the mark that rest, at most: people chose them, or they were given out before this process began.</summary>
    private const int MostResting = 65_536;

    private readonly HashSet<TunnelAddress> _taken = [];
    private readonly SortedSet<UInt128> _returned = [];
    private readonly TunnelAddress _own;
    private readonly int _shift;
    private readonly UInt128 _first;
    private readonly UInt128 _last;
    private UInt128 _mark;
    private bool _markAtEnd;

    /// <param name="own">The server's own address with the network's prefix length.</param>
    public AddressPool(InterfaceAddress own)
    {
        Prefix = own.Prefix;
        _own = own.Address;
        _shift = 128 - own.Address.BitLength;
        int hostBits = own.Address.BitLength - own.PrefixLength;
        UInt128 highest = hostBits == 128 ? UInt128.MaxValue : (UInt128.One << hostBits) - 1;

        // The lowest address names the network, or all routers of an IPv6 subnet (RFC 4291 section 2.6.1); the highest of an IPv4 network
        // is its broadcast address. Two-address prefixes have neither (RFC 3021, RFC 6164).
        _first = hostBits <= 1 ? UInt128.Zero : UInt128.One;
        _last = hostBits > 1 && own.Address.IsIPv4 ? highest - 1 : highest;
        _mark = _first;
    }

    /// <summary>The prefix that the addresses are of.</summary>
    public IpPrefix Prefix { get; }

    /// <summary>Addresses that members can have, as far as an integer counts.</summary>
    public int Capacity =>
        (int)UInt128.Min(int.MaxValue, _last - _first + (HostOf(_own) >= _first && HostOf(_own) <= _last ? UInt128.Zero : UInt128.One));

    /// <summary>
    /// True when the address could be a member's: in the prefix, and neither the server's, the network's nor the broadcast address.
    /// </summary>
    public bool IsUsable(TunnelAddress address) =>
        Prefix.Contains(address) && address != _own && HostOf(address) >= _first && HostOf(address) <= _last;

    /// <summary>True when the address is usable and not taken.</summary>
    public bool IsFree(TunnelAddress address) => IsUsable(address) && !_taken.Contains(address);

    /// <summary>Takes a certain address; false when it is not free.</summary>
    public bool TryTake(TunnelAddress address)
    {
        if (!IsFree(address))
            return false;
        _returned.Remove(HostOf(address));
        return _taken.Add(address);
    }

    /// <summary>Takes the next free address: those never given out first, so that a returned one rests; false when none is left.</summary>
    /// <param name="address">The address when true.</param>
    /// <param name="isKept">True for an address that is kept for somebody; null when none is.</param>
    public bool TryTakeAny(out TunnelAddress address, Func<TunnelAddress, bool>? isKept = null)
    {
        while (!_markAtEnd)
        {
            UInt128 host = _mark;
            address = AddressOf(host);
            if (_mark == _last)
                _markAtEnd = true;
            else
                _mark++;
            if (!IsFree(address) || _returned.Contains(host))
                continue;
            if (isKept?.Invoke(address) != true)
                return TryTake(address);
            _returned.Add(host);
        }

        foreach (UInt128 host in _returned)
        {
            address = AddressOf(host);
            if (isKept?.Invoke(address) != true)
                return TryTake(address);
        }

        address = default;
        return false;
    }

    /// <summary>
    /// Goes on where another process ended: that gave out so many addresses at most, of which those that are free rest. Nothing once this
    /// one has given out any itself.
    /// </summary>
    public void Resume(uint given)
    {
        if (_mark != _first)
            return;
        for (uint seen = 0; seen < Math.Min(given, MostResting) && !_markAtEnd;)
        {
            TunnelAddress address = AddressOf(_mark);
            if (IsFree(address))
                _returned.Add(_mark);
            if (address != _own)
                seen++;
            if (_mark == _last)
                _markAtEnd = true;
            else
                _mark++;
        }
    }

    /// <summary>Gives an address back.</summary>
    public void Return(TunnelAddress address)
    {
        if (!_taken.Remove(address))
            return;
        UInt128 host = HostOf(address);
        if (_markAtEnd || host < _mark || _returned.Count < MostResting)
            _returned.Add(host);
    }

    private UInt128 HostOf(TunnelAddress address) => (address.Bits & ~IpPrefix.MaskOf(Prefix.Length)) >> _shift;

    private TunnelAddress AddressOf(UInt128 host) => TunnelAddress.FromBits(Prefix.Network.Bits | (host << _shift), Prefix.Network.IsIPv4);
}
