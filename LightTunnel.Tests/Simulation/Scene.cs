using LightTunnel.Internet.Simulation;
using LightTunnel.Internet.Wires;
using LightTunnel.Tests.Engine;
using Xunit;

namespace LightTunnel.Tests.Simulation;

/// <summary>A network with its internet, and what is always true of one.</summary>
internal sealed class Scene : IDisposable
{
    private readonly StreamWriter? _trace;

    public Scene(int seed, WireConditions conditions)
    {
        Internet = new SimulatedInternet(Time, seed) { DefaultConditions = conditions };
        Internet.AddHost(SimulatedNetwork.ServerHost, address: SimulatedNetwork.ServerHost);
        Network = new SimulatedNetwork(seed, Time, Internet);
        if (Environment.GetEnvironmentVariable("LIGHTTUNNEL_TRACE") is { Length: > 0 } path)
        {
            _trace = File.CreateText(path);
            Internet.Trace = _trace.WriteLine;
        }
    }

    public VirtualTime Time { get; } = new();

    public SimulatedInternet Internet { get; }

    public SimulatedNetwork Network { get; }

    public List<SimulatedNode> Clients { get; } = [];

    /// <summary>Lets a host of that name join.</summary>
    public SimulatedNode Join(string name)
    {
        SimulatedNode node = Network.AddClient(name, host: name);
        Clients.Add(node);
        Assert.True(Network.RunUntil(() => node.IsUp, TimeSpan.FromSeconds(5)), $"{name} did not join.");
        return node;
    }

    /// <summary>
    /// Every client sends to every other until each has heard each, once in a while as an application would. Fails when somebody was not
    /// reached in time, or got a packet twice or one that was not for it.
    /// </summary>
    public void AssertAllReachEachOther(TimeSpan atMost)
    {
        TimeSpan end = Time.Elapsed + atMost;
        var missing = new HashSet<(string From, string To)>();
        var seen = new HashSet<string>();
        foreach (SimulatedNode from in Clients)
            missing.UnionWith(Clients.Where(to => to != from).Select(to => (from.Name, to.Name)));

        for (int round = 0; missing.Count > 0; round++)
        {
            Assert.True(Time.Elapsed < end, $"Not reached: {string.Join(", ", missing.Select(pair => $"{pair.From} > {pair.To}"))}.");
            foreach (SimulatedNode from in Clients)
            {
                foreach (SimulatedNode to in Clients.Where(to => missing.Contains((from.Name, to.Name))))
                    from.Send(to.Address, $"{from.Name} {to.Name} {Time.Elapsed.Ticks}");
            }

            Network.Run(TimeSpan.FromMilliseconds(300));
            foreach (SimulatedNode to in Clients)
            {
                foreach (string body in to.TakeReceived().Where(body => !body.StartsWith("icmp", StringComparison.Ordinal)))
                {
                    string[] words = body.Split(' ');
                    Assert.True(words[1] == to.Name, $"{to.Name} got what was for {words[1]}.");
                    Assert.True(seen.Add(body), $"{to.Name} got a packet twice.");
                    missing.Remove((words[0], to.Name));
                }
            }
        }
    }

    /// <summary>Writes a line between the datagrams of the trace, when there is one.</summary>
    public void Note(string text) => _trace?.WriteLine($"{Time.Elapsed.TotalMilliseconds,12:F3} == {text}");

    public void Dispose()
    {
        if (_trace is not null)
        {
            foreach (SimulatedNode node in Network.Nodes)
            {
                IEnumerable<string> lines = node.Log.Read().Select(entry => $"{entry.Time:HH:mm:ss.fff} {entry.Message}");
                _trace.WriteLine($"== log of {node.Name} {string.Join($"{Environment.NewLine}   ", lines.Prepend(""))}");
            }
            _trace.Dispose();
        }

        Network.Dispose();
    }
}
