using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Transport;
using LightTunnel.Traversal;

namespace LightTunnel.Engine.Client;

/// <summary>
/// What keeps this machine itself from sending to its server, so that the server is not blamed for it. Owned by the control loop.
/// </summary>
/// <param name="ownInterface">The tunnel's own interface, which is no network to send by.</param>
internal sealed class LocalObstacles(string ownInterface)
{
    private readonly Dictionary<UdpEndpoint, SendObstacle> _found = [];

    /// <summary>What became of the last datagram to an endpoint; null when none was sent.</summary>
    public void Note(in UdpEndpoint endpoint, SendObstacle? obstacle)
    {
        if (obstacle is { } known)
            _found[endpoint] = known;
    }

    /// <summary>Forgets what is not tried any more.</summary>
    public void Keep(IReadOnlyList<UdpEndpoint> endpoints)
    {
        foreach (UdpEndpoint gone in _found.Keys.Except(endpoints).ToArray())
            _found.Remove(gone);
    }

    /// <summary>What is wrong here; null as long as one of the endpoints can be sent to, or there may be one.</summary>
    /// <param name="endpoints">Every endpoint of the server that is tried.</param>
    /// <param name="addresses">The machine's own addresses.</param>
    public LightTunnelException? Explain(IReadOnlyList<UdpEndpoint> endpoints, IReadOnlyList<LocalAddressInfo> addresses)
    {
        SendObstacle[] obstacles = [.. endpoints.Select(endpoint => _found.GetValueOrDefault(endpoint))];
        if (obstacles.Contains(SendObstacle.None))
            return null;
        string list = string.Join(", ", endpoints);
        if (obstacles.Contains(SendObstacle.Refused))
        {
            return Error(
                $"This machine's own firewall refuses to send to {list}.",
                "Allow outgoing UDP to the server's port in this machine's firewall ('nft list ruleset' or 'iptables -S OUTPUT' on Linux, "
                    + "Get-NetFirewallRule on Windows).");
        }

        IPAddress[] own = [.. addresses.Where(IsOfANetwork).Select(address => address.Address.ToIPAddress())];
        if (own.Length == 0)
        {
            return Error(
                "This machine is in no network: it has no address but for itself.",
                "Connect it to a network, and check what gives it an address there (cable, Wi-Fi, DHCP).");
        }

        if (endpoints.Count == 0)
            return null;
        bool hasIPv4 = own.Any(address => address.GetAddressBytes().Length == 4),
            hasIPv6 = own.Any(address => address.GetAddressBytes().Length == 16);
        if (!hasIPv4 && endpoints.All(endpoint => endpoint.IsIPv4))
            return OtherFamily(list, "IPv4", "IPv6");
        return !hasIPv6 && endpoints.All(endpoint => !endpoint.IsIPv4)
            ? OtherFamily(list, "IPv6", "IPv4")
            : Error(
                $"This machine has no route to {list}.",
                "Check that its network is up and has a default route ('ip route' on Linux, Get-NetRoute on Windows).");
    }

    private bool IsOfANetwork(LocalAddressInfo info)
    {
        IPAddress address = info.Address.ToIPAddress();
        return (info.Flags & (LocalAddressFlags.Loopback | LocalAddressFlags.Down)) == 0 && info.InterfaceName != ownInterface
            && !IPAddress.IsLoopback(address) && !address.IsIPv6LinkLocal;
    }

    private static LightTunnelException OtherFamily(string endpoints, string servers, string own) => Error(
        $"The server is known by {servers} addresses only ({endpoints}), and this machine has {own} only.",
        $"Give the server an {own} endpoint as well (Start-LtServer -Endpoint, then a fresh invitation), or this machine {servers}.");

    private static LightTunnelException Error(string message, string remedy) => new(LightTunnelError.NetworkUnavailable, message, remedy);
}
