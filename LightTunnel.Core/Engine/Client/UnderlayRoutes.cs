using LightTunnel.Addressing;
using LightTunnel.Engine.Control;
using LightTunnel.Timing;

namespace LightTunnel.Engine.Client;

/// <summary>
/// Which endpoints are reached through a tunnel, this one's own or another, which it may carry in turn: the system is asked for the route.
/// The interface by which the server is reached leads to the internet, whatever it is. Owned by the control loop.
/// </summary>
internal sealed class UnderlayRoutes(ILocalAddressSource system, TimeProvider time)
{
    /// <summary>Addresses that are remembered.</summary>
    private const int MaximumCount = 256;

    /// <summary>The system does not tell when a route changes.</summary>
    private static readonly TimeSpan Lifetime = TimeSpan.FromSeconds(10);

    private readonly Dictionary<UInt128, (bool IsTunnelled, Timestamp At)> _known = [];
    private readonly Dictionary<int, bool> _tunnels = [];
    private UdpEndpoint _server;
    private (int Index, Timestamp At)? _uplink;

    /// <summary>Where the server is.</summary>
    public UdpEndpoint Server
    {
        set
        {
            _server = value;
            Forget();
        }
    }

    /// <summary>The interface that packets to the server leave by; 0 when it is not known.</summary>
    public int Uplink
    {
        get
        {
            if (_uplink is { } known && IsFresh(known.At))
                return known.Index;
            int index = Towards(_server);
            _uplink = (index, time.Now());
            return index;
        }
    }

    /// <summary>True when what is sent to the endpoint leaves by a tunnel that does not lead to the server too.</summary>
    public bool IsTunnelled(in UdpEndpoint endpoint)
    {
        if (!endpoint.IsSpecified || endpoint.MappedAddress == _server.MappedAddress)
            return false;
        if (_known.TryGetValue(endpoint.MappedAddress, out (bool IsTunnelled, Timestamp At) known) && IsFresh(known.At))
            return known.IsTunnelled;
        if (_known.Count >= MaximumCount)
            _known.Clear();
        int index = Towards(endpoint);
        bool isTunnelled = index != 0 && index != Uplink && IsTunnel(index);
        _known[endpoint.MappedAddress] = (isTunnelled, time.Now());
        return isTunnelled;
    }

    /// <summary>The network is another one.</summary>
    public void Forget()
    {
        _known.Clear();
        _tunnels.Clear();
        _uplink = null;
    }

    /// <summary>An interface remains what it is; one more or less is told of as a change of the network.</summary>
    private bool IsTunnel(int index)
    {
        if (!_tunnels.TryGetValue(index, out bool isTunnel))
            _tunnels[index] = isTunnel = system.IsTunnel(index);
        return isTunnel;
    }

    private int Towards(in UdpEndpoint endpoint) =>
        endpoint.IsSpecified ? system.InterfaceTowards(TunnelAddress.FromIPAddress(endpoint.Address)) : 0;

    private bool IsFresh(Timestamp at) => time.Now() - at < Lifetime;
}
