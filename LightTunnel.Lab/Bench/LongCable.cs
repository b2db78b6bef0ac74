using LightTunnel.Addressing;
using LightTunnel.Internet.Routers;
using LightTunnel.Internet.Wires;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Packets;
using LightTunnel.Tun;

namespace LightTunnel.Lab.Bench;

/// <summary>
/// Another cable between two hosts, of any length, that is laid beside the one they have and takes its place until it is disposed.
/// Who talks there notices nothing but the time that it takes. This process carries each packet, so it does for some hundred
/// megabits per second.
/// </summary>
internal sealed class LongCable : IDisposable
{
    private const string Interface = "long0";

    private static readonly DataPathOptions OneByOne = new() { Queues = 1, Offloads = Offloads.None };

    private readonly VirtualInternet _internet = new(TimeProvider.System, seed: 1);
    private readonly InternetPump _pump;
    private readonly TunUplink[] _ends = new TunUplink[2];

    private LongCable() => _pump = new InternetPump(_internet);

    /// <summary>Lays it.</summary>
    /// <param name="first">One host, and its address.</param>
    /// <param name="second">The other.</param>
    /// <param name="roundTrip">From one end to the other and back.</param>
    public static LongCable Lay((LabHost Host, string Address) first, (LabHost Host, string Address) second, TimeSpan roundTrip)
    {
        var cable = new LongCable();
        try
        {
            cable._ends[0] = cable.Connect(first.Host, first.Address, roundTrip / 4);
            cable._ends[1] = cable.Connect(second.Host, second.Address, roundTrip / 4);
            Lead(first.Host, first.Address, second.Address);
            Lead(second.Host, second.Address, first.Address);
            return cable;
        }
        catch
        {
            cable.Dispose();
            throw;
        }
    }

    /// <summary>Lets one end send no more than so much, and what is beyond wait.</summary>
    /// <param name="host">The end's host.</param>
    /// <param name="rate">As tc writes it, "20mbit".</param>
    public static void Limit(LabHost host, string rate) => BenchNetwork.Limit(host, Interface, rate);

    /// <summary>Takes it away: the routes go with the interfaces.</summary>
    public void Dispose()
    {
        foreach (TunUplink? end in _ends)
            end?.Dispose();
        _pump.Dispose();
    }

    private static void Lead(LabHost host, string from, string to) =>
        NetworkNamespace.Ip("-n", host.Namespace, "route", "add", to + "/32", "dev", Interface, "src", from);

    private TunUplink Connect(LabHost host, string address, TimeSpan delay)
    {
        if (!TunnelAddress.TryParse(address, out TunnelAddress parsed))
            throw new ArgumentException($"{address} is no address.", nameof(address));
        ITunDevice device = NetworkNamespace.Run(host.Namespace, () => new TunDeviceFactory().Create(Interface, OneByOne));
        NetworkNamespace.Ip(
            "-n", host.Namespace, "link", "set", Interface, "addrgenmode", "none", "mtu", "1500", "txqueuelen", "10000", "up");
        var end = new TunUplink(_internet, device);
        end.Start(_internet.AddHost(host.Name, [parsed], WireConditions.WithDelay(delay), end.Receive));
        return end;
    }
}
