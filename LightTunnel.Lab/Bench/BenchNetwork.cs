using System.Collections.Immutable;
using System.Globalization;
using LightTunnel.Lab.Namespaces;

namespace LightTunnel.Lab.Bench;

/// <summary>
/// A server with a veth cable to each of two clients: as fast as the kernel goes, with nothing of the laboratory's internet between.
/// server 192.0.2.1 - 192.0.2.2 first; server 198.51.100.1 - 198.51.100.2 second. The clients do not reach each other but through a tunnel.
/// </summary>
internal sealed class BenchNetwork : IAsyncDisposable
{
    /// <summary>The server's address in the network behind it, and the one of the host there.</summary>
    public const string RouterBehindServer = "192.168.7.1", HostBehindServer = "192.168.7.20";

    /// <summary>The server's address as the first client sees it.</summary>
    public const string ServerForFirst = "192.0.2.1";

    /// <summary>The server's address as the second client sees it.</summary>
    public const string ServerForSecond = "198.51.100.1";

    private const string AddressOfFirst = "192.0.2.2";

    private readonly string _prefix = LeftOvers.NextPrefix();
    private readonly string _folder;

    private BenchNetwork()
    {
        _folder = Path.Combine(Path.GetTempPath(), _prefix + "bench");
        Server = NewHost("server");
        First = NewHost("first");
        Second = NewHost("second");
    }

    public LabHost Server { get; }

    public LabHost First { get; }

    public LabHost Second { get; }

    /// <summary>The clients, then their server.</summary>
    public ImmutableArray<LabHost> Hosts => [First, Second, Server];

    /// <summary>
    /// A name for a tunnel's interface on a host that no other laboratory gives, and that is short enough for the kernel.
    /// </summary>
    public string InterfaceOn(LabHost host) => string.Create(CultureInfo.InvariantCulture, $"{_prefix}{Hosts.IndexOf(host)}");

    /// <summary>Sets the hosts and their cables up.</summary>
    /// <exception cref="LabException">Something that it needs is missing.</exception>
    public static async Task<BenchNetwork> CreateAsync()
    {
        SetupCheck.ThrowIfImpossible();
        LeftOvers.Remove();
        var network = new BenchNetwork();
        try
        {
            foreach (LabHost host in network.Hosts)
            {
                Directory.CreateDirectory(host.Folder);
                NetworkNamespace.Create(host.Namespace);
            }

            network.Connect(network.First, "eth0", ServerForFirst, AddressOfFirst);
            network.Connect(network.Second, "eth1", ServerForSecond, "198.51.100.2");
            return network;
        }
        catch
        {
            await network.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>
    /// A cable hands over what one end sends as it is, 64 KB in one piece. Network cards cut UDP only when asked to, on most machines the
    /// kernel does it for them, and what arrives is put together again; so do the cables when asked to.
    /// </summary>
    public void MakeCablesLikeNetworkCards(bool wanted)
    {
        foreach ((LabHost host, string name) in new[] { (Server, "eth0"), (Server, "eth1"), (First, "eth0"), (Second, "eth0") })
        {
            NetworkNamespace.Execute(
                host.Namespace, "ethtool", "-K", name, "tx-udp-segmentation", wanted ? "off" : "on", "gro", wanted ? "on" : "off");
        }
    }

    /// <summary>
    /// Gives the first client the uplink of a home or a small office, whose modem lets seconds' worth of packets wait before it loses any.
    /// </summary>
    /// <param name="rate">As tc writes it, "20mbit"; null for the plain cable.</param>
    public void LimitUplink(string? rate)
    {
        if (rate is null)
            NetworkNamespace.Execute(First.Namespace, "tc", "qdisc", "delete", "dev", "eth0", "root");
        else
            Limit(First, "eth0", rate);
    }

    /// <summary>Has an interface send no more than so much; some 20 MB wait.</summary>
    public static void Limit(LabHost host, string name, string rate) => NetworkNamespace.Execute(
        host.Namespace, "tc", "qdisc", "replace", "dev", name, "root", "tbf", "rate", rate, "burst", "128k", "limit", "20m");

    /// <summary>Makes the cable of the first client so long, until what is returned is disposed.</summary>
    public LongCable LengthenFirst(TimeSpan roundTrip) => LongCable.Lay((First, AddressOfFirst), (Server, ServerForFirst), roundTrip);

    public async ValueTask DisposeAsync()
    {
        foreach (LabHost host in Hosts)
            await host.DisposeAsync().ConfigureAwait(false);
        foreach (string name in LeftOvers.Namespaces(_prefix))
            LeftOvers.RemoveNamespace(name);
        if (Directory.Exists(_folder))
            Directory.Delete(_folder, recursive: true);
    }

    /// <summary>A host that runs no tunnel, in a network behind the server, by a cable like the others'.</summary>
    public LabHost AddHostBehindServer()
    {
        LabHost host = NewHost("behind");
        Directory.CreateDirectory(host.Folder);
        NetworkNamespace.Create(host.Namespace);
        Connect(host, "eth2", RouterBehindServer, HostBehindServer);
        NetworkNamespace.Ip("-n", host.Namespace, "route", "add", "default", "via", RouterBehindServer);
        return host;
    }

    private LabHost NewHost(string name) => new(name, _prefix + name, Path.Combine(_folder, name));

    private void Connect(LabHost client, string serverInterface, string serverAddress, string clientAddress)
    {
        NetworkNamespace.Ip(
            "link", "add", serverInterface, "netns", Server.Namespace, "type", "veth", "peer", "name", "eth0", "netns", client.Namespace);
        (LabHost, string, string)[] ends = [(Server, serverInterface, serverAddress), (client, "eth0", clientAddress)];
        foreach ((LabHost host, string name, string address) in ends)
        {
            NetworkNamespace.Ip("-n", host.Namespace, "address", "add", address + "/24", "dev", name);
            NetworkNamespace.Ip("-n", host.Namespace, "link", "set", name, "up");
        }
    }
}
