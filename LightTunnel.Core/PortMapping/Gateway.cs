using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using LightTunnel.Addressing;
using LightTunnel.Transport;

namespace LightTunnel.PortMapping;

/// <summary>The router that this machine's IPv4 packets to the internet go to.</summary>
/// <param name="Address">Its address in the local network.</param>
/// <param name="LocalAddress">This machine's own address towards it.</param>
internal sealed record Gateway(IPAddress Address, IPAddress LocalAddress);

/// <summary>Finds the gateway.</summary>
internal interface IGatewayFinder
{
    /// <summary>The gateway now; null when there is none.</summary>
    Gateway? Find();
}

/// <summary>Finds the next hop of the system's default route.</summary>
/// <param name="findTunnels">Tells which interfaces lead into a tunnel now: a router behind one is asked only where there is
/// no other.</param>
internal sealed class SystemGatewayFinder(Func<Predicate<NetworkInterface>> findTunnels) : IGatewayFinder
{
    // Nothing is sent there: the address that is set aside for "the nearest PCP server" (RFC 7723) asks for the default route
    // like any other.
    private static readonly IPEndPoint Somewhere = new(new IPAddress([192, 0, 0, 9]), 5351);

    /// <inheritdoc/>
    public Gateway? Find()
    {
        try
        {
            IPAddress? preferred = AddressTowardsInternet();
            Predicate<NetworkInterface> isTunnel = findTunnels();
            return NetworkInterface.GetAllNetworkInterfaces()
                .Where(each => each.OperationalStatus != OperationalStatus.Down
                    && each.NetworkInterfaceType != NetworkInterfaceType.Loopback)
                .Select(each => (Gateway: GatewayOf(each.GetIPProperties(), preferred), IsTunnel: isTunnel(each)))
                .Where(each => each.Gateway is not null)
                .OrderBy(each => each.IsTunnel)
                .ThenBy(each => each.Gateway!.LocalAddress.Equals(preferred) ? 0 : 1)
                .FirstOrDefault().Gateway;
        }
        catch (Exception exception) when (exception is NetworkInformationException or IOException)
        {
            return null;
        }
    }

    /// <summary>
    /// An interface's first gateway: on Linux the others may be those of narrower routes. Of several addresses the one that the system
    /// itself would use, or one in the gateway's network.
    /// </summary>
    private static Gateway? GatewayOf(IPInterfaceProperties properties, IPAddress? preferred)
    {
        IPAddress? gateway = properties.GatewayAddresses
            .Select(each => each.Address)
            .FirstOrDefault(address => address.AddressFamily == AddressFamily.InterNetwork && !address.Equals(IPAddress.Any));
        if (gateway is null)
            return null;
        UnicastIPAddressInformation? own = properties.UnicastAddresses
            .Where(each => each.Address.AddressFamily == AddressFamily.InterNetwork)
            .OrderBy(each => each.Address.Equals(preferred) ? 0 : IsWithin(gateway, each) ? 1 : 2)
            .FirstOrDefault();
        return own is null ? null : new Gateway(gateway, own.Address);
    }

    private static bool IsWithin(IPAddress address, UnicastIPAddressInformation own) =>
        new IpPrefix(TunnelAddress.FromIPAddress(own.Address), own.PrefixLength).Contains(TunnelAddress.FromIPAddress(address));

    private static IPAddress? AddressTowardsInternet()
    {
        try
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
            TunnelMark.TrySet(socket);
            socket.Connect(Somewhere);
            return ((IPEndPoint)socket.LocalEndPoint!).Address;
        }
        catch (SocketException)
        {
            return null; // There is no default route.
        }
    }
}
