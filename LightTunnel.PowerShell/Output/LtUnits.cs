using System.Globalization;
using System.Text;

namespace LightTunnel;

/// <summary>Numbers as people read them. Only views use it: objects carry raw values.</summary>
public static class LtUnits
{
    private static readonly string[] ByteUnits = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

    /// <summary>In the order of <see cref="LtNatType"/>.</summary>
    private static readonly string[] NatNames =
        ["Unknown", "None (Public IP)", "Full Cone", "Restricted Cone", "Port-Restricted Cone", "Symmetric"];

    /// <summary>"512 B", "1.2 MB": powers of 1000, as network tools count.</summary>
    public static string Bytes(long bytes)
    {
        double value = bytes;
        int unit = 0;
        // 999.95 would be rounded to 1000.0.
        while (value >= 999.95 && unit < ByteUnits.Length - 1)
        {
            value /= 1000;
            unit++;
        }

        return unit == 0
            ? string.Create(CultureInfo.InvariantCulture, $"{bytes} B")
            : string.Create(CultureInfo.InvariantCulture, $"{value:0.0} {ByteUnits[unit]}");
    }

    /// <summary>"0.2 ms", "1.2 ms", "45 ms", "1.2 s"; a dash when not measured.</summary>
    public static string RoundTrip(TimeSpan? time) => time switch
    {
        null => "-",
        { TotalMilliseconds: < 9.95 } value => string.Create(CultureInfo.InvariantCulture, $"{value.TotalMilliseconds:0.0} ms"),
        { TotalMilliseconds: < 999.5 } value => string.Create(CultureInfo.InvariantCulture, $"{value.TotalMilliseconds:0} ms"),
        { } value => string.Create(CultureInfo.InvariantCulture, $"{value.TotalSeconds:0.0} s"),
    };

    /// <summary>"1.2 ms / 1.4 ms / 2.0 ms"; a dash when not measured.</summary>
    public static string RoundTrips(TimeSpan? minimum, TimeSpan? average, TimeSpan? maximum) =>
        average is null ? "-" : $"{RoundTrip(minimum)} / {RoundTrip(average)} / {RoundTrip(maximum)}";

    /// <summary>"0.0 s", "-12.3 s"; a dash when not measured.</summary>
    public static string Seconds(TimeSpan? time) =>
        time is null ? "-" : string.Create(CultureInfo.InvariantCulture, $"{Math.Round(time.Value.TotalSeconds, 1) + 0.0:0.0} s");

    /// <summary>"3 s", "5 min", "2 h", "4 d".</summary>
    public static string Duration(TimeSpan time) => time switch
    {
        { TotalMinutes: < 1 } => string.Create(CultureInfo.InvariantCulture, $"{Math.Max(0, (int)time.TotalSeconds)} s"),
        { TotalHours: < 1 } => string.Create(CultureInfo.InvariantCulture, $"{(int)time.TotalMinutes} min"),
        { TotalDays: < 1 } => string.Create(CultureInfo.InvariantCulture, $"{(int)time.TotalHours} h"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{(int)time.TotalDays} d"),
    };

    /// <summary>How long ago; "never" for null.</summary>
    public static string Age(DateTimeOffset? moment) => moment is null ? "never" : Duration(DateTimeOffset.UtcNow - moment.Value);

    /// <summary>Minute of a moment in local time; the given word for null.</summary>
    public static string Moment(DateTimeOffset? moment, string none) =>
        moment is null ? none : moment.Value.LocalDateTime.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture);

    /// <summary>Counters that are not 0: "NoRoute 3, WrongSource 1"; "none" when all are.</summary>
    public static string Counters(IReadOnlyDictionary<string, long> counters)
    {
        string[] counted = [.. counters.Where(counter => counter.Value != 0).OrderBy(counter => counter.Key, StringComparer.Ordinal)
            .Select(counter => string.Create(CultureInfo.InvariantCulture, $"{counter.Key} {counter.Value}"))];
        return counted.Length == 0 ? "none" : string.Join(", ", counted);
    }

    /// <summary>
    /// Text broken at spaces into lines of at most so many characters, for the last column of a table: PowerShell itself breaks in the
    /// middle of words. A word that is longer than a line stays whole, and so does all text where there are hardly any characters.
    /// </summary>
    public static string Wrap(string? text, int width)
    {
        if (text is null || width < 20 || text.Length <= width)
            return text ?? string.Empty;
        var result = new StringBuilder(text.Length + 8);
        foreach (string line in text.Split('\n'))
        {
            if (result.Length > 0)
                result.Append('\n');
            int start = 0;
            while (line.Length - start > width)
            {
                int space = line.LastIndexOf(' ', start + width, width + 1);
                // Never behind the spaces that a line begins with: that would leave an empty one.
                if (space < 0 || line.AsSpan(start, space - start).IsWhiteSpace())
                    space = line.IndexOf(' ', start + width);
                if (space < 0)
                    break;
                result.Append(line, start, space - start).Append('\n');
                start = space + 1;
            }

            result.Append(line, start, line.Length - start);
        }

        return result.ToString();
    }

    /// <summary>
    /// An address, prefix or endpoint, broken behind colons into lines of at most so many characters, for tables: IPv6 is
    /// longer than a column.
    /// </summary>
    public static string Address(string? text, int width)
    {
        if (text is null || text.Length <= width)
            return text ?? string.Empty;
        var result = new StringBuilder(text.Length + 4);
        int start = 0;
        while (text.Length - start > width)
        {
            int colon = text.LastIndexOf(':', start + width - 1, width);
            if (colon < 0)
                break;
            result.Append(text, start, colon + 1 - start).Append('\n');
            start = colon + 1;
        }

        return result.Append(text, start, text.Length - start).ToString();
    }

    /// <summary>The name people know: "None (Public IP)", "Port-Restricted Cone".</summary>
    public static string NatType(LtNatType type) => NatNames[(int)type];

    /// <summary>The other way round; what this version does not know is unknown.</summary>
    internal static LtNatType NatTypeOf(string name) => (LtNatType)Math.Max(0, Array.IndexOf(NatNames, name));

    /// <summary>"0 %", "2.5 %"; a dash when not measured.</summary>
    public static string Share(double? share) =>
        share is null ? "-" : string.Create(CultureInfo.InvariantCulture, $"{share.Value * 100:0.#} %");
}
