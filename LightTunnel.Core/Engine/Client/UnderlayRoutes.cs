using LightTunnel.Addressing;
using LightTunnel.Engine.Control;
using LightTunnel.Timing;

namespace LightTunnel.Engine.Client;

/// <summary>
/// Which endpoints are reached through a tunnel, this one's own or another, which it may carry in turn: the system is asked for the route,
/// beside the control loop. The interface by which the server is reached leads to the internet, whatever it is. Owned by the control loop.
/// </summary>
/// <param name="node">Has the system asked.</param>
/// <param name="system">The system.</param>
internal sealed class UnderlayRoutes(Node node, ILocalAddressSource system)
{
    /// <summary>Addresses that are remembered, and that are asked for at once.</summary>
    private const int MaximumCount = 256;

    /// <summary>The system does not tell when a route changes: what is older is asked for again.</summary>
    private static readonly TimeSpan Lifetime = TimeSpan.FromSeconds(10);

    private readonly Dictionary<UInt128, (bool IsTunnelled, Timestamp At)> _known = [];
    private readonly HashSet<UInt128> _asked = [];
    private UdpEndpoint _server;
    private int _generation;

    /// <summary>Where the server is.</summary>
    public UdpEndpoint Server
    {
        set
        {
            _server = value;
            Doubt();
        }
    }

    /// <summary>The interface that packets to the server leave by, as far as it is known; 0 when it is not.</summary>
    public int Uplink { get; private set; }

    /// <summary>Called when <see cref="Uplink"/> has become another.</summary>
    public Action? UplinkChanged { get; set; }

    /// <summary>
    /// True when what is sent to the endpoint leaves by a tunnel that does not lead to the server too. What is not known yet is asked for,
    /// and counts as such meanwhile.
    /// </summary>
    public bool IsTunnelled(in UdpEndpoint endpoint)
    {
        if (IsNoQuestion(endpoint))
            return false;
        bool isKnown = _known.TryGetValue(endpoint.MappedAddress, out (bool IsTunnelled, Timestamp At) known);
        if (!isKnown || !IsFresh(known.At))
            Ask([endpoint]);
        return !isKnown || known.IsTunnelled;
    }

    /// <summary>Goes on once it is known of all these endpoints: at once when it is.</summary>
    public void WhenKnown(IEnumerable<UdpEndpoint> endpoints, Action then)
    {
        UdpEndpoint[] unknown =
        [
            .. endpoints.Where(endpoint => !IsNoQuestion(endpoint) && !_known.ContainsKey(endpoint.MappedAddress)).Take(MaximumCount),
        ];
        if (unknown.Length == 0)
            then();
        else
            Look(unknown, then);
    }

    /// <summary>The network is another one: the last answers count until there are new ones.</summary>
    public void Doubt()
    {
        _generation++;
        _asked.Clear();
        foreach (UInt128 address in _known.Keys.ToArray())
            _known[address] = (_known[address].IsTunnelled, Timestamp.NotYet);
        if (_server.IsSpecified)
            Look([], then: null);
    }

    private bool IsNoQuestion(in UdpEndpoint endpoint) => !endpoint.IsSpecified || endpoint.MappedAddress == _server.MappedAddress;

    private bool IsFresh(Timestamp at) => node.Now - at < Lifetime;

    private void Ask(UdpEndpoint[] endpoints)
    {
        if (_asked.Count < MaximumCount && _asked.Add(endpoints[0].MappedAddress))
            Look(endpoints, then: null);
    }

    private void Look(UdpEndpoint[] endpoints, Action? then)
    {
        (UdpEndpoint server, int generation) = (_server, _generation);
        node.Ask(
            () =>
            {
                var tunnels = new Dictionary<int, bool> { [0] = false };
                int uplink = Towards(server);
                tunnels[uplink] = false;
                return (Uplink: uplink, AreTunnelled: endpoints.Select(endpoint => IsTunnel(Towards(endpoint), tunnels)).ToArray());
            },
            found =>
            {
                Take(endpoints, found.AreTunnelled, generation == _generation ? node.Now : Timestamp.NotYet);
                if (generation == _generation && found.Uplink != Uplink)
                {
                    Uplink = found.Uplink;
                    UplinkChanged?.Invoke();
                }

                then?.Invoke();
            });
    }

    private void Take(UdpEndpoint[] endpoints, bool[] areTunnelled, Timestamp at)
    {
        for (int i = 0; i < endpoints.Length; i++)
        {
            UInt128 address = endpoints[i].MappedAddress;
            if (_known.Count >= MaximumCount && !_known.ContainsKey(address))
                _known.Remove(_known.MinBy(known => known.Value.At).Key);
            _known[address] = (areTunnelled[i], at);
            _asked.Remove(address);
        }
    }

    private bool IsTunnel(int index, Dictionary<int, bool> known)
    {
        if (!known.TryGetValue(index, out bool isTunnel))
            known[index] = isTunnel = system.IsTunnel(index);
        return isTunnel;
    }

    private int Towards(in UdpEndpoint endpoint) =>
        endpoint.IsSpecified ? system.InterfaceTowards(TunnelAddress.FromIPAddress(endpoint.Address)) : 0;
}
