using LightTunnel.Internet.Fakes;
using LightTunnel.Packets;
using LightTunnel.Transport;

namespace LightTunnel.Internet.Simulation;

/// <summary>A node's socket without a thread: what has arrived is taken without waiting, the batch is cleared first.</summary>
internal sealed record PolledSocket(IDatagramTransport Transport, Func<PacketBatch, bool> TryReceive);

/// <summary>What nodes are connected by in a simulation: nothing moves but by <see cref="Pump"/>.</summary>
internal interface ISimulatedInternet
{
    /// <summary>When something is due next, as a timestamp; <see cref="long.MaxValue"/> for never.</summary>
    long NextDue { get; }

    /// <summary>Delivers everything that is due.</summary>
    void Pump();

    /// <summary>Opens a node's socket.</summary>
    /// <param name="host">The host's name, or its address.</param>
    /// <param name="port">0 for any.</param>
    /// <param name="arrived">Called when there may be something to take.</param>
    PolledSocket Open(string host, int port, Action arrived);
}

/// <summary>An <see cref="InMemoryNetwork"/>: no NATs, hosts by their addresses.</summary>
internal sealed class OpenInternet(InMemoryNetwork network) : ISimulatedInternet
{
    public long NextDue => network.NextDue;

    public void Pump() => network.Pump();

    public PolledSocket Open(string host, int port, Action arrived)
    {
        InMemoryTransport transport = network.Host(host).Open(port);
        transport.Arrived = arrived;
        return new PolledSocket(transport, transport.TryReceive);
    }
}
