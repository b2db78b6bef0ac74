using System.Runtime.Versioning;

namespace LightTunnel.Transport;

/// <summary>
/// The source ports of a node's stripes (<see cref="IDatagramTransport.OpenStripes"/>). A receiver chooses its queue by the port
/// modulo their number (<see cref="SourceSpread"/>), so a queue's port differs from the node's own by the queue's number, modulo a
/// multiple of every usual number of queues; and they lie where Linux itself takes the ports from that no program asks for, so that
/// none is another program's.
/// </summary>
[SupportedOSPlatform("linux")]
internal static class StripePorts
{
    /// <summary>The smallest multiple of all of 1 to 8, and of 16.</summary>
    internal const int Period = 1680;

    // The default of net.ipv4.ip_local_port_range, in whole periods.
    private const int First = 32768;
    private const int Periods = 16;

    /// <summary>Opens the socket of a queue; null when the system refuses.</summary>
    public static LinuxUdpSocket? Open(int ownPort, int queue, bool dualMode)
    {
        int lowest = First + ((((ownPort + queue - First) % Period) + Period) % Period);
        int start = Random.Shared.Next(Periods);
        for (int i = 0; i < Periods; i++)
        {
            int port = lowest + ((start + i) % Periods * Period);
            if (port == ownPort || LinuxUdpSocket.TryOpen(address: null, port, dualMode, PortUse.Alone, out _) is not { } socket)
                continue;
            socket.SetReceiveBuffer(UdpTransportFactory.FurtherSocketBufferSize, beyondLimit: false);
            socket.LimitSendQueue();
            return socket;
        }

        return null;
    }
}
