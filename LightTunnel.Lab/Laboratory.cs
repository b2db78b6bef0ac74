using LightTunnel.Addressing;
using LightTunnel.Internet.Routers;
using LightTunnel.Internet.Wires;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Packets;
using LightTunnel.Tun;

namespace LightTunnel.Lab;

/// <summary>
/// Hosts in network namespaces, and this process as the internet between them. Everything it makes goes with it when it is disposed; what a
/// crashed one left behind goes when the next one starts. Needs root, /dev/net/tun and the ip tool.
/// </summary>
internal sealed class Laboratory : IAsyncDisposable
{
    private const string UplinkName = "wan";

    /// <summary>The laboratory's internet carries packets as a wire does: one at a time, none longer than the MTU.</summary>
    private static readonly DataPathOptions WireOptions = new() { Queues = 1, Offloads = Offloads.None };


    private readonly string _prefix = LeftOvers.NextPrefix();
    private readonly string _folder;
    private readonly InternetPump _pump;
    private readonly List<TunUplink> _uplinks = [];
    private readonly Dictionary<string, LabNode> _nodes = new(StringComparer.Ordinal);
    private readonly Dictionary<string, NatRouter> _nats = new(StringComparer.Ordinal);
    private bool _disposed;

    private Laboratory(Topology topology)
    {
        _folder = Path.Combine(Path.GetTempPath(), _prefix + "lab");
        Directory.CreateDirectory(_folder);
        Internet = new VirtualInternet(TimeProvider.System, topology.Seed);
        _pump = new InternetPump(Internet);
        AppDomain.CurrentDomain.ProcessExit += RemoveNamespaces;
    }

    /// <summary>The internet between the hosts.</summary>
    public VirtualInternet Internet { get; }

    /// <summary>The hosts.</summary>
    public IReadOnlyCollection<LabNode> Nodes => _nodes.Values;

    /// <summary>A host by its name.</summary>
    public LabNode this[string name] => _nodes[name];

    /// <summary>
    /// A NAT by its name. <see cref="VirtualInternet.Reboot"/>, <see cref="VirtualInternet.Replace"/> and
    /// <see cref="VirtualInternet.ChangeOutsideAddress"/> act on it.
    /// </summary>
    public NatRouter Nat(string name) => _nats[name];

    /// <summary>Changes what a NAT's uplink does to packets: for all hosts behind it.</summary>
    public void Change(NatRouter nat, Func<WireConditions, WireConditions> change) => Internet.Change(nat.Uplink, change);

    /// <summary>The provider gives a NAT another address.</summary>
    public void ChangeOutsideAddress(string nat, string address) =>
        Internet.ChangeOutsideAddress(
            _nats[nat], TunnelAddress.TryParse(address, out TunnelAddress parsed)
                ? parsed
                : throw new LabException($"{address} is no address.", "Correct it."));

    /// <summary>Cuts two hosts off from each other; both still reach everybody else.</summary>
    public void CutBetween(string first, string second) => Internet.CutBetween(_nodes[first].Host, _nodes[second].Host);

    /// <summary>Undoes <see cref="CutBetween"/>.</summary>
    public void HealBetween(string first, string second) => Internet.HealBetween(_nodes[first].Host, _nodes[second].Host);

    /// <summary>Sets the hosts up and, unless <paramref name="shells"/> is false, starts a shell with the staged module on each.</summary>
    /// <exception cref="LabException">Something that it needs is missing.</exception>
    public static async Task<Laboratory> StartAsync(Topology topology, bool shells = true, CancellationToken cancellationToken = default)
    {
        SetupCheck.ThrowIfImpossible();
        LeftOvers.Remove();
        var laboratory = new Laboratory(topology);
        try
        {
            foreach (NatSpec nat in topology.Nats)
                laboratory.AddNat(nat);
            foreach (HostSpec host in topology.Hosts)
                laboratory.AddHost(host);
            if (shells)
            {
                string[] imports = [LabPaths.ModuleManifest()];
                await Task.WhenAll(laboratory.Nodes.Select(node => node.StartShellAsync(imports, cancellationToken))).ConfigureAwait(false);
            }

            return laboratory;
        }
        catch
        {
            await laboratory.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Names of the namespaces that this laboratory has made and that still exist.</summary>
    public IReadOnlyList<string> RemainingNamespaces() => LeftOvers.Namespaces(_prefix);

    public async ValueTask DisposeAsync()
    {
        if (_disposed)
            return;
        _disposed = true;
        await Task.WhenAll(_nodes.Values.Select(node => node.DisposeAsync().AsTask())).ConfigureAwait(false);
        foreach (TunUplink uplink in _uplinks)
            uplink.Dispose();
        _pump.Dispose();
        RemoveNamespaces(null, EventArgs.Empty);
        AppDomain.CurrentDomain.ProcessExit -= RemoveNamespaces;
        Directory.Delete(_folder, recursive: true);
    }

    private void AddNat(NatSpec spec)
    {
        if (!TunnelAddress.TryParse(spec.Outside, out TunnelAddress outside)
            || !InterfaceAddress.TryParse(spec.Inside, out InterfaceAddress inside))
        {
            throw new ArgumentException($"{spec.Outside} or {spec.Inside} is no address.", nameof(spec));
        }
        _nats.Add(spec.Name, Internet.AddNat(spec.Name, spec.Settings, outside, inside, spec.Conditions, RouterOf(spec.Behind)));
    }

    private NatRouter? RouterOf(string? name) => name is null ? null : _nats[name];

    private void AddHost(HostSpec spec)
    {
        string namespaceName = _prefix + spec.Name;
        string folder = Path.Combine(_folder, spec.Name);
        Directory.CreateDirectory(folder);
        NetworkNamespace.Create(namespaceName);
        NatRouter? router = RouterOf(spec.Behind);
        InterfaceAddress[] addresses = [.. spec.Addresses.Select(text => ParseHostAddress(text, router))];

        ITunDevice device = NetworkNamespace.Run(namespaceName, () =>
        {
            ITunDevice created = new TunDeviceFactory().Create(UplinkName, WireOptions);
            created.Configure(addresses, spec.Conditions.Mtu);
            return created;
        });
        var uplink = new TunUplink(Internet, device);
        _uplinks.Add(uplink);
        foreach (bool isIPv4 in addresses.Select(address => address.Address.IsIPv4).Distinct())
        {
            // The next hop means nothing to a wire with two ends, but programs ask who their router is.
            string[] via = isIPv4 && router is not null ? ["via", router.InsideAddress.ToString()] : [];
            NetworkNamespace.Ip(["-n", namespaceName, isIPv4 ? "-4" : "-6", "route", "add", "default", .. via, "dev", UplinkName]);
        }

        HostNode host = Internet.AddHost(spec.Name, addresses.Select(address => address.Address), spec.Conditions, uplink.Receive, router);
        uplink.Start(host);
        _nodes.Add(spec.Name, new LabNode(spec, namespaceName, folder, Internet, host));
    }

    private void RemoveNamespaces(object? sender, EventArgs arguments)
    {
        foreach (string name in LeftOvers.Namespaces(_prefix))
            LeftOvers.RemoveNamespace(name);
    }

    private static InterfaceAddress ParseHostAddress(string text, NatRouter? router) =>
        TunnelAddress.TryParse(text, out TunnelAddress address)
            ? new InterfaceAddress(address, router is not null && router.Lan.Contains(address) ? router.Lan.Length : address.BitLength)
            : throw new ArgumentException($"{text} is no address.", nameof(text));
}
