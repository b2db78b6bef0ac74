using LightTunnel.Lab;
using LightTunnel.Lab.Namespaces;

namespace LightTunnel.Tests.Lab;

/// <summary>A host that runs no LightTunnel, with a cable to each machine of the laboratory that is in its network.</summary>
internal sealed class Home : IDisposable
{
    private readonly string _prefix;
    private int _cables;

    /// <param name="name">Name of its namespace.</param>
    /// <param name="prefix">The first three numbers of the network, "192.168.1": the host is its .20.</param>
    public Home(string name, string prefix)
    {
        (Namespace, _prefix) = (name, prefix);
        NetworkNamespace.Create(Namespace);
        NetworkNamespace.Ip("-n", Namespace, "address", "add", $"{prefix}.20/32", "dev", "lo");
        NetworkNamespace.Ip("-n", Namespace, "link", "set", "lo", "up");
    }

    public string Namespace { get; }

    /// <summary>Brings a machine into the network. The host knows a route to its address there and to nothing else.</summary>
    /// <param name="gateway">The machine.</param>
    /// <param name="device">Name of its interface there.</param>
    /// <param name="number">The last number of its address.</param>
    public void Attach(LabNode gateway, string device, int number)
    {
        string port = $"port{++_cables}";
        NetworkNamespace.Ip("-n", gateway.Namespace, "link", "add", device, "type", "veth", "peer", "name", port, "netns", Namespace);
        foreach ((string space, string end) in ((string, string)[])[(Namespace, port), (gateway.Namespace, device)])
        {
            // Without IPv6, whose addresses the kernel gives in its own time.
            NetworkNamespace.Ip("-n", space, "link", "set", end, "addrgenmode", "none");
            NetworkNamespace.Ip("-n", space, "link", "set", end, "up");
        }

        NetworkNamespace.Ip("-n", gateway.Namespace, "address", "add", $"{_prefix}.{number}/24", "dev", device);
        NetworkNamespace.Ip("-n", Namespace, "route", "add", $"{_prefix}.{number}/32", "dev", port, "src", $"{_prefix}.20");
    }

    /// <summary>Has the host send all else to a machine, as to its router.</summary>
    public void RouteBy(int number) => NetworkNamespace.Ip("-n", Namespace, "route", "add", "default", "via", $"{_prefix}.{number}");

    public void Dispose() => NetworkNamespace.Delete(Namespace);
}
