using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Internet.Nats;

namespace LightTunnel.Internet.Sites;

/// <summary>
/// Who is where on an internet, and the way from one to the other. Its middle knows every public address; hosts and NATs hang there by
/// their uplinks, and behind a NAT there is a local network with more of both. What is sent climbs from its host over one uplink after
/// another, is translated by each NAT that it leaves or enters, and comes down where somebody has its address.
/// <para>
/// The way is decided step by step, when it has come so far, as NATs forget and hosts move meanwhile. What travels, how long a wire takes
/// and what it loses (<see cref="Wires.WireDirection"/>) is not its business: IP packets of the laboratory and datagrams of the simulation
/// both ask it. Not thread-safe.
/// </para>
/// </summary>
internal sealed class InternetTopology
{
    private readonly Dictionary<uint, Site> _public = [];
    private readonly Dictionary<UInt128, Site> _byAddressV6 = [];
    private readonly HashSet<(Site From, Site To)> _cut = [];

    // From the block for benchmarks (RFC 2544): 198.18.0.1 and on, large enough for every network of a test.
    private uint _nextPublic = 0xC612_0001;

    /// <summary>Puts a site that is nowhere into a network, with the next IPv4 address there that is free, or a given one.</summary>
    /// <param name="site">A host or a NAT.</param>
    /// <param name="behind">The NAT whose local network it is; null for the internet itself.</param>
    /// <param name="address">The address; null for the next that is free.</param>
    public void Attach(Site site, NatSite? behind, IPAddress? address = null) =>
        Attach(site, behind, [address ?? behind?.NextInside() ?? TunnelAddress.FromIPv4(_nextPublic++).ToIPAddress()]);

    /// <summary>The same with all its addresses. A NAT forgets its mappings, as the address that they are of is another one.</summary>
    public void Attach(Site site, NatSite? behind, IEnumerable<IPAddress> addresses)
    {
        site.Parent = behind;
        site.IsAttached = true;
        foreach (IPAddress address in addresses)
            AddAddress(site, address);
        (site as NatSite)?.Nat.ChangeOutsideAddress(site.Address);
    }

    /// <summary>Lets a site have one more address: of IPv4 in the network that it is in, of IPv6 one that everybody reaches.</summary>
    public void AddAddress(Site site, IPAddress address)
    {
        var endpoint = new UdpEndpoint(address, 0);
        if (!endpoint.IsIPv4)
        {
            _byAddressV6.Add(endpoint.MappedAddress, site);
            site.AddressV6 ??= address;
            return;
        }

        InsideOf(site.Parent).Add((uint)endpoint.MappedAddress, site);
        site.AddressesV4.Add((uint)endpoint.MappedAddress);
        if (site.AddressesV4.Count == 1)
            site.Address = address;
    }

    /// <summary>Takes a site out of its network, with whatever is behind it. It keeps its IPv6 address for where it comes next.</summary>
    public void Detach(Site site)
    {
        foreach (uint address in site.AddressesV4)
            InsideOf(site.Parent).Remove(address);
        site.AddressesV4.Clear();
        site.Parent = null;
        site.Address = IPAddress.None;
        site.IsAttached = false;
    }

    /// <summary>Gives a site another IPv4 address where it is.</summary>
    /// <param name="site">A host or a NAT.</param>
    /// <param name="address">The address; null for the next that is free.</param>
    public void ChangeAddress(Site site, IPAddress? address = null)
    {
        NatSite? parent = site.Parent;
        Detach(site);
        Attach(site, parent, address);
    }

    /// <summary>Loses everything that goes from one host to another by whatever way but a relay, one way or both.</summary>
    public void CutBetween(Site from, Site to, bool oneWay = false)
    {
        _cut.Add((from, to));
        if (!oneWay)
            _cut.Add((to, from));
    }

    /// <summary>Undoes <see cref="CutBetween"/> in both directions.</summary>
    public void HealBetween(Site first, Site second)
    {
        _cut.Remove((first, second));
        _cut.Remove((second, first));
    }

    /// <summary>True when what one host sends is lost before it gets to the other.</summary>
    public bool IsCut(Site from, Site to) => _cut.Contains((from, to));

    /// <summary>
    /// The next step of what has come over an uplink to a NAT or to the middle of the internet, which translates it when it is to be:
    /// IPv4 from the inside for other than the local network, and from outside. IPv6 passes NATs as it is.
    /// </summary>
    /// <param name="at">The NAT; null for the middle of the internet.</param>
    /// <param name="isUpward">How it came: from the inside, or from outside.</param>
    /// <param name="now">The time.</param>
    /// <param name="protocol">Its protocol.</param>
    /// <param name="source">Its source, before and after.</param>
    /// <param name="destination">Its destination, before and after.</param>
    public RouteDecision Decide(
        NatSite? at, bool isUpward, TimeSpan now, NatProtocol protocol, ref UdpEndpoint source, ref UdpEndpoint destination)
    {
        if (at is null || !destination.IsIPv4 || (isUpward && at.IsInside((uint)destination.MappedAddress)))
            return new RouteDecision(Route(at, destination));
        NatVerdict verdict = isUpward
            ? at.Nat.Outbound(now, protocol, ref source, ref destination)
            : at.Nat.Inbound(now, protocol, source, ref destination);
        return verdict switch
        {
            NatVerdict.Translated when isUpward => new RouteDecision(new Hop(at, IsUpward: true)),
            NatVerdict.Translated or NatVerdict.Hairpinned => new RouteDecision(Down(at, destination)),
            _ => new RouteDecision(null, verdict),
        };
    }

    /// <summary>The next step to an address as it is, of what needs no translation or has it already.</summary>
    /// <param name="at">The NAT where it is; null for the middle of the internet.</param>
    /// <param name="destination">The endpoint that it goes to; only its address counts.</param>
    /// <returns>Null when nobody has the address.</returns>
    public Hop? Route(NatSite? at, in UdpEndpoint destination)
    {
        bool endsHere = at is null || (destination.IsIPv4 && at.IsInside((uint)destination.MappedAddress));
        return Down(at, destination) ?? (endsHere ? null : new Hop(at!, IsUpward: true));
    }

    /// <summary>Down to whoever has the address, or to the NAT that a host with that IPv6 address is behind.</summary>
    private Hop? Down(NatSite? at, in UdpEndpoint destination)
    {
        Site? below;
        if (destination.IsIPv4)
        {
            below = InsideOf(at).GetValueOrDefault((uint)destination.MappedAddress);
        }
        else
        {
            below = _byAddressV6.GetValueOrDefault(destination.MappedAddress);
            while (below is not null && (below.Parent != at || !below.IsAttached))
                below = below.IsAttached ? below.Parent : null;
        }

        return below is null ? null : new Hop(below, IsUpward: false);
    }

    private Dictionary<uint, Site> InsideOf(NatSite? nat) => nat?.Inside ?? _public;
}
