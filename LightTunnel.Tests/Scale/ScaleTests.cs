using System.Diagnostics;
using Xunit;

namespace LightTunnel.Tests.Scale;

public sealed class ScaleTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(100)]
    [InlineData(300)]
    [InlineData(1000)]
    public void Baseline(int n)
    {
        var watch = Stopwatch.StartNew();
        using var storm = new JoinStorm(n);
        storm.Pass();
        output.WriteLine($"{n}: {watch.Elapsed.TotalSeconds:F1} s, server {storm.Network.Server.Busy.TotalMilliseconds:F0} ms, {storm.Datagrams / n} datagrams, {storm.Bytes / n} bytes per join; up {storm.Network.Nodes.Count(x => x.IsUp)}");
        (long d, long b, TimeSpan busy) = (storm.Datagrams, storm.Bytes, storm.Network.Server.Busy);
        storm.Network.Run(TimeSpan.FromMinutes(10));
        output.WriteLine($"  idle hour: {(storm.Datagrams - d) * 6 / n} datagrams {(storm.Bytes - b) * 6 / n} bytes per client, server {(storm.Network.Server.Busy - busy).TotalMilliseconds * 6 / n:F3} ms per client and hour; {watch.Elapsed.TotalSeconds:F1} s");
        storm.KillClients();
        output.WriteLine($"  server heap {storm.BytesOnHeap() / n} bytes per client");
    }
}
