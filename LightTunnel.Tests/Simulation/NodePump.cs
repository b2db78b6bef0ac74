using LightTunnel.Internet.Simulation;
using LightTunnel.Tests.Engine;
using LightTunnel.Timing;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Simulation;

/// <summary>
/// Lets nodes run in virtual time on one thread. A node is stepped when something arrived for it, when it was woken, and at the deadline
/// that it told; the order depends on nothing but what happened before, so the same beginning has the same end.
/// </summary>
internal sealed class NodePump(VirtualTime time, SimulatedInternet internet)
{
    /// <summary>More steps than this without time passing are a quarrel that never ends.</summary>
    private const int MostStepsAtOnce = 1_000_000;

    private readonly List<SimulatedNode> _nodes = [];
    private readonly Queue<SimulatedNode> _ready = new();
    private readonly DeadlineQueue _deadlines = new();

    public IReadOnlyList<SimulatedNode> Nodes => _nodes;

    /// <summary>Steps of nodes so far: what a run costs.</summary>
    public long Steps { get; private set; }

    public void Add(SimulatedNode node)
    {
        _nodes.Add(node);
        node.Ready = () => _ready.Enqueue(node);
        node.MarkReady();
    }

    public void Remove(SimulatedNode node)
    {
        _nodes.Remove(node);
        _deadlines.Remove(node);
        node.Ready = null;
    }

    /// <summary>
    /// Lets time pass until the condition holds; false when it never did. It is looked at whenever something has happened.
    /// </summary>
    public bool RunUntil(Func<bool> condition, TimeSpan atMost)
    {
        Timestamp end = time.Now() + atMost;
        Settle();
        while (!condition())
        {
            if (time.Now() >= end)
                return false;
            Timestamp next = Timestamp.Earliest(internet.NextDue, _deadlines.Earliest, end);
            time.AdvanceTo(Timestamp.Latest(time.Now().Following, next));
            WakeDue();
            SettleReady();
        }

        return true;
    }

    /// <summary>Everybody does what can be done without time passing; what a test did by itself to a node is found too.</summary>
    public void Settle()
    {
        foreach (SimulatedNode node in _nodes)
            node.MarkReady();
        SettleReady();
    }

    private void SettleReady()
    {
        internet.Pump();
        for (int steps = 0; _ready.TryDequeue(out SimulatedNode? node); steps++)
        {
            Assert.True(steps < MostStepsAtOnce, "The network never comes to rest.");
            if (node.Ready is null || node.Clock.IsAsleep)
                continue; // Removed meanwhile, or marked again when it wakes up.
            _deadlines.Set(node, node.Clock.CommonTime(node.Step()));
            Steps++;
            if (_ready.Count == 0)
                internet.Pump();
        }
    }

    private void WakeDue()
    {
        Timestamp now = time.Now();
        while (_deadlines.Earliest <= now)
        {
            var node = (SimulatedNode)_deadlines.Peek();
            _deadlines.Remove(node);
            node.MarkReady();
        }
    }
}
