namespace LightTunnel.Traversal;

internal static class Timestamps
{
    /// <summary>A duration as a difference of <see cref="TimeProvider.GetTimestamp"/> values.</summary>
    public static long Ticks(this TimeProvider time, TimeSpan duration) => (long)(duration.TotalSeconds * time.TimestampFrequency);

    /// <summary>Milliseconds as a difference of <see cref="TimeProvider.GetTimestamp"/> values.</summary>
    public static long Milliseconds(this TimeProvider time, double milliseconds) => (long)(milliseconds * time.TimestampFrequency / 1000);
}
