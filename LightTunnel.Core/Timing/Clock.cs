namespace LightTunnel.Timing;

/// <summary>Reads clocks.</summary>
internal static class Clock
{
    private const long NanosecondsPerSecond = 1_000_000_000;

    extension(TimeProvider time)
    {
        /// <summary>The present. It never goes back, and stands still while the machine sleeps.</summary>
        public Timestamp Now()
        {
            long raw = time.GetTimestamp();
            return Timestamp.FromTicks(time.TimestampFrequency switch
            {
                TimeSpan.TicksPerSecond => raw,
                NanosecondsPerSecond => raw / TimeSpan.NanosecondsPerTick,
                long frequency => (long)((Int128)raw * TimeSpan.TicksPerSecond / frequency),
            });
        }
    }
}
