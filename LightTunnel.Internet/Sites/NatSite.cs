using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Wires;

namespace LightTunnel.Internet.Sites;

/// <summary>A NAT with a local network behind it: hosts, and other NATs with theirs.</summary>
/// <param name="name">A name for people.</param>
/// <param name="uplink">The wire towards the internet.</param>
/// <param name="nat">How it translates.</param>
/// <param name="lan">The local network.</param>
internal abstract class NatSite(string name, Wire uplink, Nat nat, IpPrefix lan) : Site(name, uplink)
{
    private uint _given;

    /// <summary>How it translates, and what it counted.</summary>
    public Nat Nat { get; } = nat;

    /// <summary>The local network.</summary>
    public IpPrefix Lan { get; } = lan;

    /// <summary>What is in the local network, by the 32 bits of its addresses.</summary>
    internal Dictionary<uint, Site> Inside { get; } = [];

    /// <summary>True for an IPv4 address of the local network, whether somebody has it or not.</summary>
    internal bool IsInside(uint address) => Lan.Contains(TunnelAddress.FromIPv4(address));

    /// <summary>An address that it gave to nobody before: .10, .11, and so on.</summary>
    internal IPAddress NextInside() => TunnelAddress.FromIPv4((uint)(Lan.Network.Bits >> 96) + 10 + _given++).ToIPAddress();
}
