using LightTunnel.Membership;
using LightTunnel.Timing;

namespace LightTunnel.Engine.Control;

/// <summary>How far a test has got.</summary>
/// <param name="Step">What is done right now, for people.</param>
/// <param name="Percent">Share of the whole, 0..100.</param>
public sealed record TestProgress(string Step, int Percent);

/// <summary>
/// A question whose answer takes time, worked on by the control loop beside everything else: it runs at the end of each turn, and at the
/// latest when it said it wants to. It never waits.
/// </summary>
internal abstract class NodeTest
{
    /// <summary>True when there is nothing left to do.</summary>
    public abstract bool IsDone { get; }

    /// <summary>Does what is due; returns when to call again.</summary>
    public abstract Timestamp Run(Timestamp now);

    /// <summary>Takes a pong; false when it answers none of this test's pings.</summary>
    public abstract bool TryTakePong(in ControlFrame pong, Timestamp now);

    /// <summary>A long ping was too long for this machine's own network.</summary>
    /// <param name="transaction">What its pong would have been known by; perhaps another test's.</param>
    public virtual void OnTooLong(uint transaction)
    {
    }

    /// <summary>Nobody wants the answer any more.</summary>
    public abstract void Cancel();
}

/// <summary>A test and its report.</summary>
internal abstract class NodeTest<TReport>(IProgress<TestProgress>? progress) : NodeTest
{
    private readonly TaskCompletionSource<TReport> _report = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TestProgress? _told;

    /// <summary>Completes when the test is done.</summary>
    public Task<TReport> Report => _report.Task;

    /// <inheritdoc/>
    public override bool IsDone => _report.Task.IsCompleted;

    /// <inheritdoc/>
    public override void Cancel() => _report.TrySetCanceled();

    /// <summary>Ends the test.</summary>
    protected void Finish(TReport report) => _report.TrySetResult(report);

    /// <summary>Says how far the test has got, when it is news.</summary>
    protected void Tell(string step, int percent)
    {
        var news = new TestProgress(step, percent);
        if (progress is null || news == _told)
            return;
        _told = news;
        progress.Report(news);
    }
}

/// <summary>The tests that run on a node. Owned by the control loop.</summary>
internal sealed class NodeTests
{
    private readonly List<NodeTest> _running = [];

    /// <summary>Begins a test.</summary>
    public void Add(NodeTest test) => _running.Add(test);

    /// <summary>Does what is due; returns when to call again.</summary>
    public Timestamp Run(Timestamp now)
    {
        Timestamp next = Timestamp.Never;
        for (int i = _running.Count - 1; i >= 0; i--)
        {
            NodeTest test = _running[i];
            if (!test.IsDone)
                next = Timestamp.Earliest(next, test.Run(now));
            if (test.IsDone)
                _running.RemoveAt(i);
        }

        return next;
    }

    /// <summary>A long ping of one of them was too long for this machine's own network.</summary>
    public void OnTooLong(uint transaction)
    {
        foreach (NodeTest test in _running)
            test.OnTooLong(transaction);
    }

    /// <summary>Takes a pong that answers a test's ping; false for any other.</summary>
    public bool TryTakePong(in ControlFrame pong, Timestamp now)
    {
        foreach (NodeTest test in _running)
        {
            if (test.TryTakePong(pong, now))
                return true;
        }

        return false;
    }
}
