using LightTunnel.Lab.Namespaces;

namespace LightTunnel.Lab.Bench;

/// <summary>
/// A server with a veth cable to each of two clients: as fast as the kernel goes, with nothing of the laboratory's internet between.
/// server 192.0.2.1 - 192.0.2.2 first; server 198.51.100.1 - 198.51.100.2 second. The clients do not reach each other but through a tunnel.
/// </summary>
internal sealed class BenchNetwork : IAsyncDisposable
{
    /// <summary>The server's address as the first client sees it.</summary>
    public const string ServerForFirst = "192.0.2.1";

    /// <summary>The server's address as the second client sees it.</summary>
    public const string ServerForSecond = "198.51.100.1";

    private readonly string _prefix = LeftOvers.NextPrefix();
    private readonly string _folder;

    public BenchNetwork()
    {
        SetupCheck.ThrowIfImpossible();
        LeftOvers.Remove();
        _folder = Path.Combine(Path.GetTempPath(), _prefix + "bench");
        Server = AddHost("server");
        First = AddHost("first");
        Second = AddHost("second");
        Connect(First, "eth0", ServerForFirst, "192.0.2.2");
        Connect(Second, "eth1", ServerForSecond, "198.51.100.2");
    }

    public LabHost Server { get; }

    public LabHost First { get; }

    public LabHost Second { get; }

    public async ValueTask DisposeAsync()
    {
        foreach (LabHost host in (LabHost[])[First, Second, Server])
            await host.DisposeAsync().ConfigureAwait(false);
        foreach (string name in LeftOvers.Namespaces(_prefix))
            LeftOvers.RemoveNamespace(name);
        Directory.Delete(_folder, recursive: true);
    }

    private LabHost AddHost(string name)
    {
        string folder = Path.Combine(_folder, name);
        Directory.CreateDirectory(folder);
        NetworkNamespace.Create(_prefix + name);
        return new LabHost(name, _prefix + name, folder);
    }

    private void Connect(LabHost client, string serverInterface, string serverAddress, string clientAddress)
    {
        NetworkNamespace.Ip("link", "add", serverInterface, "netns", Server.Namespace, "type", "veth", "peer", "name", "eth0", "netns", client.Namespace);
        foreach ((LabHost host, string name, string address) in new[] { (Server, serverInterface, serverAddress), (client, "eth0", clientAddress) })
        {
            NetworkNamespace.Ip("-n", host.Namespace, "address", "add", address + "/24", "dev", name);
            NetworkNamespace.Ip("-n", host.Namespace, "link", "set", name, "up");
        }
    }
}
