using System.Diagnostics;
using LightTunnel.Addressing;
using LightTunnel.Engine.Server;
using LightTunnel.Tests.Engine;
using Xunit;

namespace LightTunnel.Tests.Scale;

/// <summary>
/// What a server costs must grow no faster than the number of its clients. Ratios and bytes are asserted; the figures for
/// docs/performance.md are put out. LIGHTTUNNEL_SCALE=10000 lets the large storm be as large.
/// </summary>
[Collection(nameof(Alone))]
public sealed class ScaleTests(ITestOutputHelper output)
{
    private const int Few = 150;
    private const int Many = 1000;

    [Fact]
    public void JoinStorm_CostsEachClient_WhatItCostsInASmallerNetwork()
    {
        Costs few = Measure(Few);
        Costs many = Measure(int.TryParse(Environment.GetEnvironmentVariable("LIGHTTUNNEL_SCALE"), out int clients) ? clients : Many);

        Assert.InRange(many.BytesPerJoin, 1, Math.Min(1.5 * few.BytesPerJoin, 8000));
        Assert.InRange(many.BytesPerHour, 1, 1.1 * few.BytesPerHour);
        Assert.InRange(many.ServerHeap, 1, 16_384);
        Assert.InRange(many.ClientHeap, 1, 2.0 * few.ClientHeap);
        Assert.Equal(0, many.Watches);
    }

    [Fact]
    public void ClientsThatTalkToAFew_AreToldOfThose()
    {
        using var storm = new JoinStorm(300, options => options with { EagerUpTo = 0 });
        storm.Pass();
        SimulatedNode[] clients = [.. storm.Network.Nodes.Where(node => node != storm.Network.Server)];
        long before = storm.Bytes;
        for (int i = 0; i < clients.Length; i += 2)
            clients[i].Send(clients[i + 1].Address, "hello");
        storm.Network.Run(TimeSpan.FromSeconds(2));

        Assert.All(clients.Where((_, index) => index % 2 == 1), client => Assert.Equal(1, client.Tun.WrittenCount));
        Assert.All(clients, client => Assert.Equal(2, client.Node.Peers.Count()));
        Assert.Equal(clients.Length, ((ServerRole)storm.Network.Server.Node.Role).Watches);
        output.WriteLine($"{(storm.Bytes - before) / (clients.Length / 2)} bytes for each pair that meets");
        Assert.InRange((storm.Bytes - before) / (clients.Length / 2), 1, 5000);
    }

    /// <summary>
    /// A lookup visits one node of the table for each bit that distinguishes addresses: ten times the members are some nodes more.
    /// </summary>
    [Fact]
    public void Lookup_InALargeTable_AllocatesNothing()
    {
        PrefixTable<string> table = PrefixTable<string>.Empty;
        for (uint i = 0; i < 10_000; i++)
            table = table.With(IpPrefix.Host(TunnelAddress.FromIPv4(0x0A00_0002 + i)), "somebody");
        long before = GC.GetAllocatedBytesForCurrentThread();
        var watch = Stopwatch.StartNew();
        int found = 0;
        for (uint i = 0; i < 1_000_000; i++)
            found += table.TryLookup(TunnelAddress.FromIPv4(0x0A00_0002 + (i * 7919 % 10_000)), out _) ? 1 : 0;
        output.WriteLine($"{watch.Elapsed.TotalNanoseconds / 1_000_000:F0} ns a lookup among {table.Count}");
        Assert.Equal(1_000_000, found);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 10_000);
    }

    private Costs Measure(int clients)
    {
        var watch = Stopwatch.StartNew();
        using var storm = new JoinStorm(clients, options => options with { EagerUpTo = 0 });
        storm.Pass();
        Assert.All(storm.Network.Nodes, node => Assert.True(node.IsUp));
        (long bytes, long datagrams, TimeSpan busy) = (storm.Bytes, storm.Datagrams, storm.Network.Server.Busy);
        long all = storm.BytesOnHeap();
        storm.Network.Run(TimeSpan.FromMinutes(2));
        long watches = ((ServerRole)storm.Network.Server.Node.Role).Watches;
        var costs = new Costs(bytes / clients, (storm.Bytes - bytes) * 30 / clients, 0, 0, watches);
        output.WriteLine(
            $"{clients} clients: {datagrams / clients} datagrams and {costs.BytesPerJoin} bytes a join, {busy.TotalSeconds:F2} s of the "
                + "server for the storm");
        output.WriteLine(
            $"  idle: {(storm.Datagrams - datagrams) * 30 / clients} datagrams and {costs.BytesPerHour} bytes an hour and client, "
                + $"{(storm.Network.Server.Busy - busy).TotalMilliseconds * 30 / clients:F1} ms of the server");
        storm.KillClients();
        long server = storm.BytesOnHeap();
        costs = costs with { ServerHeap = server / clients, ClientHeap = (all - server) / clients };
        output.WriteLine(
            $"  {costs.ServerHeap} bytes of the server's heap a client, {costs.ClientHeap} of the client's own; "
                + $"{watch.Elapsed.TotalSeconds:F1} s");
        return costs;
    }

    private sealed record Costs(long BytesPerJoin, long BytesPerHour, long ServerHeap, long ClientHeap, long Watches);
}
