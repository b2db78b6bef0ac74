using System.Net;
using LightTunnel.Internet.Wires;

namespace LightTunnel.Internet.Sites;

/// <summary>A host or a NAT: a place in the tree of an <see cref="InternetTopology"/>, with one wire towards the internet.</summary>
/// <param name="name">A name for people.</param>
/// <param name="uplink">That wire.</param>
internal abstract class Site(string name, Wire uplink)
{
    public string Name { get; } = name;

    /// <summary>The wire to <see cref="Parent"/>, or to the internet.</summary>
    public Wire Uplink { get; } = uplink;

    /// <summary>The NAT that it is behind; null on the internet itself.</summary>
    public NatSite? Parent { get; internal set; }

    /// <summary>Its IPv4 address at its uplink, the first when it has several; <see cref="IPAddress.None"/> while it has none.</summary>
    public IPAddress Address { get; internal set; } = IPAddress.None;

    /// <summary>Its IPv6 address, wherever it is; null when it has none.</summary>
    public IPAddress? AddressV6 { get; internal set; }

    /// <summary>False while it is in no network.</summary>
    internal bool IsAttached { get; set; }

    /// <summary>All its IPv4 addresses at its uplink, by their 32 bits.</summary>
    internal List<uint> AddressesV4 { get; } = [];

    public override string ToString() => $"{Name} ({Address})";
}
