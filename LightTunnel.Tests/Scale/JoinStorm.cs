using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Internet.Wires;
using LightTunnel.Tests.Engine;

namespace LightTunnel.Tests.Scale;

/// <summary>
/// Many clients that join one network within ten seconds of virtual time, on an internet without NATs: what that costs, and what the
/// network costs afterwards.
/// </summary>
internal sealed class JoinStorm : IDisposable
{
    /// <summary>In which the storm passes.</summary>
    private const int Gusts = 100;

    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(10);

    private readonly long _heapBefore;

    /// <param name="clients">How many join.</param>
    /// <param name="change">What the server is to be besides, or null.</param>
    public JoinStorm(int clients, Func<ServerOptions, ServerOptions>? change = null)
    {
        Clients = clients;
        Network = new SimulatedNetwork(clients);
        Network.Conditions = new WireConditions { Delay = TimeSpan.FromMilliseconds(10) };
        Network.Filter = Count;
        _ = Network.StartServer(options => (change?.Invoke(options) ?? options) with { MaxClients = 65_000 }, "10.0.0.1/16");
        Network.Settle();
        _heapBefore = GC.GetTotalMemory(forceFullCollection: true);
    }

    public int Clients { get; }

    public SimulatedNetwork Network { get; }

    /// <summary>Datagrams to and from the server so far.</summary>
    public long Datagrams { get; private set; }

    /// <summary>Their bytes, UDP payload.</summary>
    public long Bytes { get; private set; }

    /// <summary>All clients join, evenly spread; returns when each is a member and the network has come to rest.</summary>
    public void Pass()
    {
        for (int gust = 0; gust < Gusts; gust++)
        {
            for (int i = gust * Clients / Gusts; i < (gust + 1) * Clients / Gusts; i++)
                Network.AddClient($"c{i}");
            Network.Run(Duration / Gusts);
        }

        // Handshakes that met a server under load are tried again after five seconds.
        Network.Run(Duration);
    }

    /// <summary>The clients vanish without a word, before the server can notice.</summary>
    public void KillClients()
    {
        foreach (SimulatedNode node in Network.Nodes.ToArray())
        {
            if (node != Network.Server)
                Network.Kill(node);
        }

        Network.Settle();
    }

    /// <summary>What has come onto the heap since before the storm: once the clients are gone, what the server keeps.</summary>
    public long BytesOnHeap() => GC.GetTotalMemory(forceFullCollection: true) - _heapBefore;

    public void Dispose() => Network.Dispose();

    private bool Count(in UdpEndpoint from, in UdpEndpoint to, ReadOnlySpan<byte> datagram)
    {
        if (from.Port == SimulatedNetwork.ServerPort || to.Port == SimulatedNetwork.ServerPort)
        {
            Datagrams++;
            Bytes += datagram.Length;
        }

        return true;
    }
}
