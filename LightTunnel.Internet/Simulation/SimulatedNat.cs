using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Sites;
using LightTunnel.Internet.Wires;

namespace LightTunnel.Internet.Simulation;

/// <summary>A NAT of a simulation.</summary>
internal sealed class SimulatedNat(SimulatedInternet internet, string name, Wire uplink, Nat nat, IpPrefix lan)
    : NatSite(name, uplink, nat, lan)
{
    /// <summary>The external address that it claims to forward ports at, if it lies; null when it does as it says.</summary>
    public IPAddress? Claims { get; set; }

    /// <summary>Power off and on.</summary>
    public void Reboot() => Nat.Reboot();

    /// <summary>Another device takes its place.</summary>
    public void Replace(NatKind kind) => Nat.Replace(NatKinds.Layers(kind)[0]);

    /// <summary>The provider gives it another address.</summary>
    public void ChangeAddress() => internet.ChangeAddress(this);
}
