using LightTunnel.Packets;

namespace LightTunnel.Transport;

/// <summary>Opens real UDP sockets: with the batched system calls on Linux, with the framework's socket elsewhere.</summary>
internal sealed class UdpTransportFactory : IDatagramTransportFactory
{
    /// <summary>
    /// Bytes of kernel buffer asked for in each direction: at 3 Gbit/s, 20 ms in which the receiving thread may be kept from
    /// running without a loss.
    /// </summary>
    internal const int SocketBufferSize = 7 * 1024 * 1024;

    /// <summary>The same for a further socket: there may be hundreds, nearly all of which see a few probes only.</summary>
    internal const int FurtherSocketBufferSize = 256 * 1024;

    /// <summary>
    /// The same for what is sent to whom may not exist. Linux keeps up to 200 KB for a neighbour that does not answer, for three seconds,
    /// and the system counts what it is asked for twice: above what <c>Engine/UnprovenBudget</c> lets through in that time to neighbours.
    /// </summary>
    internal const int UnprovenBufferSize = 2 * 1024 * 1024;

    /// <inheritdoc/>
    public IDatagramTransport Open(int port, DataPathOptions? options = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(port);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(port, ushort.MaxValue);
        return OperatingSystem.IsLinux() ? LinuxUdpTransport.Open(port, options) : SocketUdpTransport.Open(port, options);
    }
}
