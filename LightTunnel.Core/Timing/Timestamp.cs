using System.Globalization;

namespace LightTunnel.Timing;

/// <summary>
/// A moment of a monotonic clock: the only form in which the engine keeps when something happened or is due. Read by <see cref="Clock"/>;
/// good for comparing with and measuring from other moments of the same clock, and for nothing else: dates are
/// <see cref="DateTimeOffset"/>s. To the nearest 100 ns, whatever the clock's own unit is, so that durations are <see cref="TimeSpan"/>s
/// everywhere. It is one 64-bit word and costs what such a word costs; where several threads use one, it is a
/// <see cref="SharedTimestamp"/>.
/// <para>
/// Two values are no reading of any clock, and lie before and after all of them. They absorb: whatever is added to them, they stay what
/// they are. Between either and any reading lies <see cref="TimeSpan.MaxValue"/>. So "the last one plus an interval" is due at once when
/// there was no last one, and what never happened was not within the last minute, without a question asked.
/// </para>
/// </summary>
internal readonly record struct Timestamp : IComparable<Timestamp>
{
    private const ulong Sign = 1UL << 63;

    /// <summary>Ticks of the clock with the sign turned round: compared as they are, and nothing is less than the default.</summary>
    private readonly ulong _value;

    internal Timestamp(ulong value) => _value = value;

    /// <summary>When what has not happened yet happened: earlier than any reading. The default.</summary>
    public static Timestamp NotYet => default;

    /// <summary>When what need not be waited for is due: <see cref="NotYet"/>, by the name that deadlines have for it.</summary>
    public static Timestamp AtOnce => default;

    /// <summary>When what is not to be done is due: later than any reading.</summary>
    public static Timestamp Never => new(ulong.MaxValue);

    /// <summary>For <see cref="SharedTimestamp"/>.</summary>
    internal ulong Value => _value;

    /// <summary>One comparison for both: the two are neighbours where numbers wrap around.</summary>
    private bool IsEnd => unchecked(_value + 1) <= 1;

    /// <summary>The moment at which the clock shows so many ticks of 100 ns.</summary>
    public static Timestamp FromTicks(long ticks) => new((ulong)ticks ^ Sign);

    /// <summary>The earlier of both: what to wait for.</summary>
    public static Timestamp Earliest(Timestamp one, Timestamp other) => one._value <= other._value ? one : other;

    /// <summary>The earliest of three.</summary>
    public static Timestamp Earliest(Timestamp one, Timestamp other, Timestamp third) => Earliest(Earliest(one, other), third);

    /// <summary>The later of both.</summary>
    public static Timestamp Latest(Timestamp one, Timestamp other) => one._value >= other._value ? one : other;

    /// <summary>
    /// The latest multiple of that step that is not later: things that are due at about the same time are so at the same time.
    /// </summary>
    public Timestamp RoundDown(TimeSpan step) => IsEnd ? this : this - new TimeSpan((long)(_value ^ Sign) % step.Ticks);

    /// <summary>The next moment that can be told from this one: the earliest at which to call again whoever has just been called.</summary>
    public Timestamp Following => this + new TimeSpan(1);

    /// <inheritdoc/>
    public int CompareTo(Timestamp other) => _value.CompareTo(other._value);

    /// <summary>For people who look for mistakes: seconds since the clock began.</summary>
    public override string ToString() => _value switch
    {
        0 => "not yet",
        ulong.MaxValue => "never",
        _ => new TimeSpan((long)(_value ^ Sign)).TotalSeconds.ToString("0.0000000", CultureInfo.InvariantCulture),
    };

    public static Timestamp operator +(Timestamp moment, TimeSpan duration)
    {
        ulong sum = moment._value + (ulong)duration.Ticks;
        bool isForward = duration.Ticks >= 0;
        if (moment.IsEnd)
            return moment;
        return sum >= moment._value == isForward ? new Timestamp(sum) : isForward ? Never : NotYet;
    }

    public static Timestamp operator -(Timestamp moment, TimeSpan duration)
    {
        ulong difference = moment._value - (ulong)duration.Ticks;
        bool isBackward = duration.Ticks >= 0;
        if (moment.IsEnd)
            return moment;
        return difference <= moment._value == isBackward ? new Timestamp(difference) : isBackward ? NotYet : Never;
    }

    public static TimeSpan operator -(Timestamp end, Timestamp start)
    {
        long difference = (long)(end._value - start._value);
        bool isForward = end._value >= start._value;
        if (end == start || (difference >= 0 == isForward && !end.IsEnd && !start.IsEnd))
            return new TimeSpan(difference);
        return isForward ? TimeSpan.MaxValue : TimeSpan.MinValue;
    }

    public static bool operator <(Timestamp one, Timestamp other) => one._value < other._value;

    public static bool operator <=(Timestamp one, Timestamp other) => one._value <= other._value;

    public static bool operator >(Timestamp one, Timestamp other) => one._value > other._value;

    public static bool operator >=(Timestamp one, Timestamp other) => one._value >= other._value;
}
