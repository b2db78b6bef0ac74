using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Internet.Nats;

namespace LightTunnel.Internet.Simulation;

/// <summary>A NAT with hosts or other NATs behind it.</summary>
internal sealed class SimulatedNat : SimulatedElement
{
    private readonly SimulatedInternet _internet;
    private readonly IpPrefix _lan;

    public SimulatedNat(SimulatedInternet internet, string name, SimulatedWire uplink, Nat nat, IpPrefix lan)
        : base(name, uplink)
    {
        _internet = internet;
        Nat = nat;
        _lan = lan;
    }

    /// <summary>How it translates, and what it counted.</summary>
    public Nat Nat { get; }

    /// <summary>What is behind it, by the 32 bits of its address.</summary>
    internal Dictionary<uint, SimulatedElement> Children { get; } = [];

    /// <summary>The external address that it claims to forward ports at, if it lies; null when it does as it says.</summary>
    public IPAddress? Claims { get; set; }

    /// <summary>Power off and on.</summary>
    public void Reboot() => Nat.Reboot();

    /// <summary>Another device takes its place.</summary>
    public void Replace(NatKind kind) => Nat.Replace(NatKinds.Layers(kind)[0]);

    /// <summary>The provider gives it another address.</summary>
    public void ChangeAddress() => _internet.ChangeAddress(this);

    internal bool IsInside(uint address) => _lan.Contains(TunnelAddress.FromIPv4(address));

    /// <summary>An address that nobody behind it had before: .10, .11, and so on.</summary>
    internal IPAddress NextInside() => TunnelAddress.FromIPv4((uint)(_lan.Network.Bits >> 96) + 10 + _given++).ToIPAddress();

    private uint _given;
}
