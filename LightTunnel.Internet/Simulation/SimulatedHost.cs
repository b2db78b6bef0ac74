using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Internet.Sites;
using LightTunnel.Internet.Wires;
using LightTunnel.Transport;

namespace LightTunnel.Internet.Simulation;

/// <summary>A machine with sockets.</summary>
internal sealed class SimulatedHost : Site
{
    private const int FirstEphemeralPort = 49152;

    private readonly SimulatedInternet _internet;
    private readonly SortedDictionary<int, SimulatedSocket> _sockets = [];
    private int _nextPort = FirstEphemeralPort;

    public SimulatedHost(SimulatedInternet internet, string name, Wire uplink)
        : base(name, uplink)
    {
        _internet = internet;
    }

    /// <summary>Its sockets that are open, by port.</summary>
    public IEnumerable<SimulatedSocket> Sockets => _sockets.Values;

    /// <summary>Opens a socket; 0 chooses a port as systems do, not at random, so that runs are repeatable.</summary>
    public SimulatedSocket Open(int port)
    {
        int chosen = ChoosePort(port);
        var socket = new SimulatedSocket(this, chosen);
        if (!_sockets.TryAdd(chosen, socket))
            throw UdpErrors.PortInUse(port);
        return socket;
    }

    /// <summary>Lets a socket receive at a further port, 0 for any; 0 when it is taken.</summary>
    internal int TryBind(SimulatedSocket socket, int port)
    {
        int chosen = ChoosePort(port);
        return _sockets.TryAdd(chosen, socket) ? chosen : 0;
    }

    private int ChoosePort(int port)
    {
        int chosen = port;
        while (chosen == 0 || (port == 0 && _sockets.ContainsKey(chosen)))
        {
            chosen = _nextPort;
            _nextPort = _nextPort == 65535 ? FirstEphemeralPort : _nextPort + 1;
        }

        return chosen;
    }

    /// <summary>The host changes networks: its sockets stay open, with another address.</summary>
    /// <param name="behind">The NAT of its new network; null for a public address.</param>
    public void MoveTo(SimulatedNat? behind) => _internet.Move(this, behind, null);

    /// <summary>The host has that address on the internet itself from now on.</summary>
    public void MoveToAddress(string address) => _internet.Move(this, null, IPAddress.Parse(address));

    /// <summary>The host is in no network, until it moves to one. Its sockets stay open.</summary>
    public void Unplug() => _internet.Unplug(this);

    internal SimulatedSocket? Find(int port) => _sockets.GetValueOrDefault(port);

    internal void Release(int port) => _sockets.Remove(port);

    internal bool Send(int port, in UdpEndpoint to, ReadOnlySpan<byte> datagram) => _internet.Send(this, port, to, datagram);
}
