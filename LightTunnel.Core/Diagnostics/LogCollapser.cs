using System.Globalization;
using LightTunnel.Timing;

namespace LightTunnel.Diagnostics;

/// <summary>
/// Collapses lines that repeat: of one kind about one thing, the first few of each interval are written, the others counted, and the count
/// is written at the interval's end. So whoever causes lines by the thousand does not push all others out of the log. Any thread.
/// </summary>
internal sealed class LogCollapser(TimeProvider time)
{
    /// <summary>Lines of one kind about one thing in an interval.</summary>
    public const int Burst = 10;

    /// <summary>The interval.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(20);

    /// <summary>Things that are counted at a time; lines about others are not collapsed.</summary>
    private const int MostSubjects = 4096;

    private readonly Lock _gate = new();
    private readonly Dictionary<(string Template, string Subject), Repeated> _lines = [];
    private readonly Queue<(string Template, string Subject)> _order = new();

    private sealed class Repeated(LogLevel level, Timestamp began)
    {
        public LogLevel Level { get; } = level;

        public Timestamp Began { get; } = began;

        public int Count { get; set; } = 1;
    }

    /// <summary>Whether a line is to be written.</summary>
    /// <param name="level">Its level.</param>
    /// <param name="template">Its kind.</param>
    /// <param name="values">Its values, of which the first is what it is about.</param>
    public bool TryTake(LogLevel level, string template, object?[] values)
    {
        string subject = values.Length == 0 ? string.Empty : Convert.ToString(values[0], CultureInfo.InvariantCulture) ?? string.Empty;
        lock (_gate)
        {
            if (!_lines.TryGetValue((template, subject), out Repeated? line))
            {
                if (_lines.Count < MostSubjects)
                {
                    _lines.Add((template, subject), new Repeated(level, time.Now()));
                    _order.Enqueue((template, subject));
                }

                return true;
            }

            return ++line.Count <= Burst;
        }
    }

    /// <summary>What was left out in intervals that have ended: its level, what it was about, and how many lines.</summary>
    public IReadOnlyList<(LogLevel Level, string Template, string Subject, int Count)> TakeEnded()
    {
        lock (_gate)
        {
            if (!_order.TryPeek(out (string, string) first) || time.Now() - _lines[first].Began < Interval)
                return [];
            var ended = new List<(LogLevel, string, string, int)>();
            while (_order.TryPeek(out (string Template, string Subject) key) && time.Now() - _lines[key].Began >= Interval)
            {
                _order.Dequeue();
                _lines.Remove(key, out Repeated? line);
                if (line!.Count > Burst)
                    ended.Add((line.Level, key.Template, key.Subject, line.Count - Burst));
            }

            return ended;
        }
    }
}
