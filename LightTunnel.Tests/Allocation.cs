using Xunit;

namespace LightTunnel.Tests;

/// <summary>Proves that code on a hot path allocates nothing.</summary>
internal static class Allocation
{
    private const int Attempts = 5;

    /// <summary>
    /// Runs an action some times to warm it up, then as often as asked for, and fails when it allocates on this thread. What allocates does
    /// so each time; what the runtime itself allocates now and then (a method compiled anew, a collection that closes the thread's buffer)
    /// does not, so one attempt of several must be clean.
    /// </summary>
    public static void AssertNone(int warmUp, int count, Action action)
    {
        for (int i = 0; i < warmUp; i++)
            action();
        long least = long.MaxValue;
        for (int attempt = 0; attempt < Attempts && least != 0; attempt++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < count; i++)
                action();
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.Equal(0, least);
    }
}
