using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Sites;
using LightTunnel.Internet.Wires;
using Xunit;

namespace LightTunnel.Tests.Internet;

/// <summary>
/// The way from one host to another, step by step and without anything that travels: a server on the internet, a home with two hosts, and a
/// flat whose NAT is behind its provider's.
/// </summary>
public sealed class InternetTopologyTests
{
    private const string Server = "203.0.113.1:9000";

    private static readonly TimeSpan Now = TimeSpan.FromSeconds(1);

    private readonly InternetTopology _topology = new();
    private readonly Random _random = new(1);
    private readonly Host _server, _alice, _bob, _carol;
    private readonly Router _home, _carrier, _flat;

    public InternetTopologyTests()
    {
        _server = Add("server", null, "203.0.113.1");
        _home = Add("home", NatKinds.Layers(NatKind.FullCone)[0], "192.168.1.0/24", null);
        _alice = Add("alice", _home);
        _bob = Add("bob", _home);
        _carrier = Add("carrier", NatKinds.Layers(NatKind.PortRestrictedCone)[0], "100.64.0.0/24", null);
        _flat = Add("flat", NatKinds.Layers(NatKind.PortRestrictedCone)[0], "192.168.1.0/24", _carrier);
        _carol = Add("carol", _flat);
    }

    [Fact]
    public void Attach_WithoutAnAddress_GivesTheNextOneOfThatNetwork()
    {
        Assert.Equal(["198.18.0.1", "198.18.0.2"], Addresses(_home, _carrier));
        Assert.Equal(["192.168.1.10", "192.168.1.11"], Addresses(_alice, _bob));
        Assert.Equal(["100.64.0.10", "192.168.1.10"], Addresses(_flat, _carol));
        Assert.Equal(_flat.Address, _flat.Nat.OutsideAddress);
    }

    [Fact]
    public void Way_ThroughTwoNats_IsTranslatedByEachThereAndBack()
    {
        Assert.Equal("^carol ^flat ^carrier server: 198.18.0.2:5000 > 203.0.113.1:9000", Way(_carol, 5000, Server));
        Assert.Equal("^server carrier flat carol: 203.0.113.1:9000 > 192.168.1.10:5000", Way(_server, 9000, "198.18.0.2:5000"));
    }

    [Fact]
    public void Way_FromOneNatToAnother_GoesThroughTheMiddle()
    {
        Way(_alice, 5000, Server);
        Assert.Equal("^carol ^flat ^carrier home alice: 198.18.0.2:5000 > 192.168.1.10:5000", Way(_carol, 5000, "198.18.0.1:5000"));
    }

    [Fact]
    public void Way_WithinALocalNetwork_TurnsAtItsNatUntranslated()
    {
        Assert.Equal("^alice bob: 192.168.1.10:5000 > 192.168.1.11:6000", Way(_alice, 5000, "192.168.1.11:6000"));
        Assert.Equal("^alice nobody", Way(_alice, 5000, "192.168.1.99:6000"));
        Assert.Equal(0, _home.Nat.SessionCount);
        Assert.Equal("^carol nobody", Way(_carol, 5000, "192.168.1.11:6000"));
    }

    [Fact]
    public void Way_ToTheOwnNatsOutside_IsHairpinnedIfItDoesThat()
    {
        Way(_bob, 6000, Server);
        Assert.Equal("^alice bob: 198.18.0.1:5000 > 192.168.1.11:6000", Way(_alice, 5000, "198.18.0.1:6000"));

        _home.Nat.Replace(NatKinds.Layers(NatKind.SameLanNoHairpin)[0]);
        Way(_bob, 6000, Server);
        Assert.Equal("^alice NoHairpinning", Way(_alice, 5000, "198.18.0.1:6000"));
    }

    [Fact]
    public void Way_OfStrangers_EndsAtTheNatForItsReason()
    {
        Assert.Equal("^server home NoMapping", Way(_server, 9000, "198.18.0.1:5000"));
        Way(_carol, 5000, Server);
        Assert.Equal("^server carrier Filtered", Way(_server, 9001, "198.18.0.2:5000"));
        Assert.Equal("^server nobody", Way(_server, 9000, "192.168.1.10:5000"));
        Assert.Equal("^server nobody", Way(_server, 9000, "198.51.100.9:5000"));
    }

    [Fact]
    public void Way_OfAProtocolThatIsBlocked_EndsAndThatOfAnotherDoesNot()
    {
        _home.Nat.Replace(NatKinds.Layers(NatKind.UdpBlocked)[0]);
        Assert.Equal("^alice Blocked", Way(_alice, 5000, Server));
        Assert.Equal("^alice ^home server: 198.18.0.1:5000 > 203.0.113.1:9000", Way(_alice, 5000, Server, NatProtocol.Tcp));
    }

    [Fact]
    public void Way_OfAMappingWhoseHostIsGone_LeadsToNobodyAndNotOutAgain()
    {
        Way(_alice, 5000, Server);
        _topology.Detach(_alice);
        Assert.Equal("^server home nobody", Way(_server, 9000, "198.18.0.1:5000"));
        Assert.Equal("^bob nobody", Way(_bob, 6000, "198.18.0.1:5000"));
    }

    [Fact]
    public void Way_OfIPv6_PassesTheSameSitesUntranslated_AndTurnsWhereBothAreBelow()
    {
        _topology.AddAddress(_server, IPAddress.Parse("2001:db8::1"));
        _topology.AddAddress(_alice, IPAddress.Parse("2001:db8::a"));
        _topology.AddAddress(_bob, IPAddress.Parse("2001:db8::b"));
        _topology.AddAddress(_carol, IPAddress.Parse("2001:db8::c"));

        Assert.Equal("^carol ^flat ^carrier server: [2001:db8::c]:5000 > [2001:db8::1]:9000", Way(_carol, 5000, "[2001:db8::1]:9000"));
        Assert.Equal("^alice ^home carrier flat carol: [2001:db8::a]:1 > [2001:db8::c]:2", Way(_alice, 1, "[2001:db8::c]:2"));
        Assert.Equal("^alice bob: [2001:db8::a]:1 > [2001:db8::b]:2", Way(_alice, 1, "[2001:db8::b]:2"));
        Assert.Equal("^alice ^home nobody", Way(_alice, 1, "[2001:db8::99]:2"));
        Assert.Equal(0, _home.Nat.SessionCount + _carrier.Nat.SessionCount);

        _topology.Detach(_flat);
        Assert.Equal("^server nobody", Way(_server, 1, "[2001:db8::c]:2"));
        _topology.Attach(_flat, null);
        Assert.Equal("^server flat carol: [2001:db8::1]:1 > [2001:db8::c]:2", Way(_server, 1, "[2001:db8::c]:2"));
    }

    [Fact]
    public void ChangeAddress_OfANat_EndsTheOldOneAndItsMappings_AndKeepsWhatIsBehind()
    {
        Way(_alice, 5000, Server);
        _topology.ChangeAddress(_home, IPAddress.Parse("198.51.100.77"));
        Assert.Equal("^server nobody", Way(_server, 9000, "198.18.0.1:5000"));
        Assert.Equal("^server home NoMapping", Way(_server, 9000, "198.51.100.77:5000"));
        Assert.Equal("^alice ^home server: 198.51.100.77:5000 > 203.0.113.1:9000", Way(_alice, 5000, Server));
    }

    [Fact]
    public void Attach_ElsewhereAfterDetach_MovesAHostWithAllItsAddresses()
    {
        _topology.AddAddress(_server, IPAddress.Parse("203.0.113.77"));
        Assert.Equal("203.0.113.1", _server.Address.ToString());
        Assert.Equal("^alice ^home server: 198.18.0.1:5000 > 203.0.113.77:9000", Way(_alice, 5000, "203.0.113.77:9000"));

        _topology.Detach(_server);
        Assert.Equal(IPAddress.None, _server.Address);
        _topology.Attach(_server, _home);
        Assert.Equal("^carol ^flat ^carrier nobody", Way(_carol, 5000, Server));
        Assert.Equal("^carol ^flat ^carrier nobody", Way(_carol, 5000, "203.0.113.77:9000"));
        Assert.Equal("^alice server: 192.168.1.10:1 > 192.168.1.12:2", Way(_alice, 1, "192.168.1.12:2"));
    }

    [Fact]
    public void CutBetween_OneWayAndBoth_UntilItIsHealed()
    {
        _topology.CutBetween(_alice, _bob, oneWay: true);
        Assert.True(_topology.IsCut(_alice, _bob));
        Assert.False(_topology.IsCut(_bob, _alice));
        _topology.CutBetween(_alice, _bob);
        Assert.True(_topology.IsCut(_bob, _alice));
        _topology.HealBetween(_bob, _alice);
        Assert.False(_topology.IsCut(_alice, _bob) || _topology.IsCut(_bob, _alice));
    }

    private static IEnumerable<string> Addresses(params Site[] sites) => sites.Select(site => site.Address.ToString());

    private Host Add(string name, NatSite? behind, string? address = null)
    {
        var host = new Host(name, NewWire());
        _topology.Attach(host, behind, address is null ? null : IPAddress.Parse(address));
        return host;
    }

    private Router Add(string name, NatSettings settings, string lan, NatSite? behind)
    {
        Assert.True(IpPrefix.TryParse(lan, out IpPrefix prefix));
        var nat = new Router(name, NewWire(), new Nat(settings, IPAddress.None, seed: 1), prefix);
        _topology.Attach(nat, behind);
        return nat;
    }

    private Wire NewWire() => new(_random, WireConditions.Perfect);

    /// <summary>
    /// The sites over whose uplinks it goes, "^" upwards, and then as from where to where it arrives; or why it does not.
    /// </summary>
    private string Way(Host from, int port, string to, NatProtocol protocol = NatProtocol.Udp)
    {
        var destination = new UdpEndpoint(IPEndPoint.Parse(to).Address, IPEndPoint.Parse(to).Port);
        var source = new UdpEndpoint(destination.IsIPv4 ? from.Address : from.AddressV6!, port);
        var hop = new Hop(from, IsUpward: true);
        string way = "";
        while (true)
        {
            way += (hop.IsUpward ? "^" : "") + hop.Over.Name;
            if (hop.Destination is Host)
                return $"{way}: {source} > {destination}";
            RouteDecision decision =
                _topology.Decide((NatSite?)hop.Destination, hop.IsUpward, Now, protocol, ref source, ref destination);
            way += " ";
            if (decision.Next is not { } next)
                return way + (decision.Refusal?.ToString() ?? "nobody");
            hop = next;
        }
    }

    private sealed class Host(string name, Wire uplink) : Site(name, uplink);

    private sealed class Router(string name, Wire uplink, Nat nat, IpPrefix lan) : NatSite(name, uplink, nat, lan);
}
