using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Wires;

namespace LightTunnel.Internet.Sites;

/// <summary>One step of a way: over a site's uplink, from it or to it.</summary>
/// <param name="Over">Whose uplink.</param>
/// <param name="IsUpward">True from the site towards the internet, false down to it.</param>
internal readonly record struct Hop(Site Over, bool IsUpward)
{
    /// <summary>Where it leads at this moment: to a host, a NAT, or, null, the middle of the internet.</summary>
    public Site? Destination => IsUpward ? Over.Parent : Over;

    /// <summary>What of the wire is passed.</summary>
    public WireDirection Direction => IsUpward ? Over.Uplink.Up : Over.Uplink.Down;

    /// <summary>The same wire in the other direction.</summary>
    public Hop Back => this with { IsUpward = !IsUpward };
}

/// <summary>Where something goes from where it is, or why it goes nowhere.</summary>
/// <param name="Next">Its next step; null when it is dropped.</param>
/// <param name="Refusal">What the NAT says to what it drops; null when nobody has the address.</param>
internal readonly record struct RouteDecision(Hop? Next, NatVerdict? Refusal = null);
