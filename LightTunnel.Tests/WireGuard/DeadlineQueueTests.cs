using FsCheck.Xunit;
using LightTunnel.Timing;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.WireGuard;

public sealed class DeadlineQueueTests
{
    [Property(MaxTest = 300)]
    public void Set_AnySequence_TheEarliestIsAlwaysFirst((byte Entry, byte Deadline)[] steps)
    {
        var queue = new DeadlineQueue();
        Entry[] entries = [.. Enumerable.Range(0, 16).Select(_ => new Entry())];
        foreach ((byte entry, byte deadline) in steps)
        {
            // One in eight is taken out.
            queue.Set(entries[entry % 16], deadline % 8 == 0 ? Timestamp.Never : Timestamp.FromTicks(deadline));
            Assert.Equal(entries.Min(e => e.Deadline), queue.Earliest);
            Assert.Equal(entries.Count(e => e.Deadline != Timestamp.Never), queue.Count);
        }

        Timestamp last = Timestamp.NotYet;
        while (queue.Count != 0)
        {
            Assert.True(queue.Earliest >= last);
            last = queue.Earliest;
            queue.Remove(queue.Peek());
        }

        Assert.All(entries, e => Assert.Equal(-1, e.QueuePosition));
    }

    private sealed class Entry : IScheduled
    {
        public int QueuePosition { get; set; } = -1;

        public Timestamp Deadline { get; set; } = Timestamp.Never;
    }
}
