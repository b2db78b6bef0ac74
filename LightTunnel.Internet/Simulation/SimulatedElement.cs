using System.Net;

namespace LightTunnel.Internet.Simulation;

/// <summary>Something with an uplink: a host or a NAT.</summary>
internal abstract class SimulatedElement(string name, SimulatedWire uplink)
{
    public string Name { get; } = name;

    /// <summary>The wire to <see cref="Parent"/>, or to the internet.</summary>
    public SimulatedWire Uplink { get; } = uplink;

    /// <summary>The NAT that it is behind; null on the internet itself.</summary>
    public SimulatedNat? Parent { get; internal set; }

    /// <summary>Its IPv4 address at its uplink; <see cref="IPAddress.None"/> while it is unplugged.</summary>
    public IPAddress Address { get; internal set; } = IPAddress.None;

    public override string ToString() => $"{Name} ({Address})";
}
