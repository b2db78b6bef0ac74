using LightTunnel.Internet.Routers;
using LightTunnel.Internet.Wires;

namespace LightTunnel.Lab;

/// <summary>A host of a <see cref="Laboratory"/>, with its uplink to the internet.</summary>
internal sealed class LabNode : LabHost
{
    private readonly VirtualInternet _internet;

    public LabNode(HostSpec spec, string namespaceName, string folder, VirtualInternet internet, HostNode host)
        : base(spec.Name, namespaceName, folder)
    {
        Addresses = spec.Addresses;
        _internet = internet;
        Host = host;
    }

    /// <summary>Its addresses: public ones, or those in its local network.</summary>
    public IReadOnlyList<string> Addresses { get; }

    /// <summary>Where it is on the internet.</summary>
    public HostNode Host { get; }

    /// <summary>The wire to the internet, or to the router of its local network.</summary>
    public Wire Uplink => Host.Uplink;

    /// <summary>Changes what the uplink does to packets.</summary>
    public void Change(Func<WireConditions, WireConditions> change) => _internet.Change(Uplink, change);

    /// <summary>Cuts the uplink.</summary>
    public void Cut() => _internet.Cut(Uplink);

    /// <summary>Heals the uplink.</summary>
    public void Heal() => _internet.Heal(Uplink);
}
