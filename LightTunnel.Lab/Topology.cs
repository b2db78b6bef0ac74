using System.Globalization;
using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Wires;

namespace LightTunnel.Lab;

/// <summary>A host of a laboratory.</summary>
/// <param name="Name">Its name: letters and digits.</param>
/// <param name="Addresses">Its addresses; public ones unless it is behind a NAT.</param>
/// <param name="Conditions">What its uplink does to packets.</param>
/// <param name="Behind">The name of the NAT whose local network it is in; null for a host on the internet itself.</param>
internal sealed record HostSpec(string Name, IReadOnlyList<string> Addresses, WireConditions Conditions, string? Behind = null);

/// <summary>A NAT of a laboratory.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Settings">How it behaves.</param>
/// <param name="Outside">Its address on the outside.</param>
/// <param name="Inside">Its own address in its local network, with that network's prefix length: "192.168.1.1/24".</param>
/// <param name="Conditions">What its uplink does to packets.</param>
/// <param name="Behind">The name of the NAT that it is behind itself; null when it is on the internet.</param>
internal sealed record NatSpec(
    string Name, NatSettings Settings, string Outside, string Inside, WireConditions Conditions, string? Behind = null);

/// <summary>Which hosts there are and how they are connected.</summary>
/// <param name="Hosts">The hosts, in the order that they are set up.</param>
internal sealed record Topology(IReadOnlyList<HostSpec> Hosts)
{
    /// <summary>The NATs, each after the one that it is behind.</summary>
    public IReadOnlyList<NatSpec> Nats { get; init; } = [];

    /// <summary>Decides loss, jitter and the ports that NATs choose.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>
    /// Hosts that everybody can reach, the first as 203.0.113.1 and 2001:db8::1, the next as .2 and ::2, and so on.
    /// </summary>
    /// <param name="delay">Time from one host to another, one way.</param>
    /// <param name="names">The hosts' names.</param>
    public static Topology OpenHosts(TimeSpan delay, params string[] names) => OpenHosts(WireConditions.WithDelay(delay / 2), names);

    /// <summary>The same, with any conditions for each host's uplink.</summary>
    public static Topology OpenHosts(WireConditions uplinks, params string[] names) => new(
        [.. names.Select((name, index) => new HostSpec(
            name,
            [string.Create(CultureInfo.InvariantCulture, $"203.0.113.{index + 1}"),
                string.Create(CultureInfo.InvariantCulture, $"2001:db8::{index + 1:x}")],
            uplinks))]);

    /// <summary>
    /// The same and one more local network with hosts in it, behind the NATs of a kind. The n-th such network has the outside address
    /// 198.51.100.n and its hosts are 192.168.n.10, .11, and so on. A provider's NAT in between is 100.64.n.1 inside. Hosts of the kind
    /// <see cref="NatKind.Open"/> get public addresses in 192.0.2.0/24. IPv4 only.
    /// </summary>
    /// <param name="name">The home router's name; a provider's NAT is that with "-carrier" behind it.</param>
    /// <param name="kind">What is between the hosts and the internet.</param>
    /// <param name="delay">Time from these hosts to others with as much delay, one way; none within the local network.</param>
    /// <param name="hosts">The hosts' names.</param>
    public Topology WithLan(string name, NatKind kind, TimeSpan delay, params string[] hosts) =>
        WithLan(name, NatKinds.Layers(kind), WireConditions.WithDelay(delay / 2), hosts);

    /// <summary>The same with any NATs, the hosts' own first, and any conditions for the wire to the internet.</summary>
    public Topology WithLan(string name, IReadOnlyList<NatSettings> layers, WireConditions uplink, params string[] hosts)
    {
        int number = Networks + 1;
        string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
        if (layers.Count == 0)
        {
            return this with
            {
                Networks = number,
                Hosts = [.. Hosts,
                    .. hosts.Select((host, index) => new HostSpec(host, [Text($"192.0.2.{Hosts.Count + index + 1}")], uplink))],
            };
        }

        string outside = Text($"198.51.100.{number}"), inside = Text($"192.168.{number}.1/24");
        var home = new NatSpec(name, layers[0], outside, inside, uplink);
        IEnumerable<NatSpec> added = [home];
        if (layers.Count > 1)
        {
            var carrier = new NatSpec(name + "-carrier", layers[1], outside, Text($"100.64.{number}.1/24"), uplink);
            added = [carrier,
                home with { Outside = Text($"100.64.{number}.2"), Conditions = WireConditions.Perfect, Behind = carrier.Name }];
        }

        return this with
        {
            Networks = number,
            Nats = [.. Nats, .. added],
            Hosts = [.. Hosts,
                .. hosts.Select((host, index) =>
                    new HostSpec(host, [Text($"192.168.{number}.{index + 10}")], WireConditions.Perfect, name))],
        };
    }

    /// <summary>How many times <see cref="WithLan(string, NatKind, TimeSpan, string[])"/> has added to it.</summary>
    private int Networks { get; init; }
}
