using System.Globalization;
using System.Text;

namespace LightTunnel.Lab.Bench;

/// <summary>Measurements by row and column, shown as medians with the ratio of two columns.</summary>
internal sealed class BenchmarkTable
{
    private readonly List<string> _rows = [];
    private readonly Dictionary<string, string> _units = new(StringComparer.Ordinal);
    private readonly Dictionary<(string Row, string Column), List<double>> _values = [];

    /// <summary>Adds one measurement.</summary>
    public void Add(string row, string column, double value, string unit)
    {
        if (_units.TryAdd(row, unit))
            _rows.Add(row);
        if (!_values.TryGetValue((row, column), out List<double>? values))
            _values[(row, column)] = values = [];
        values.Add(value);
    }

    /// <summary>A Markdown table; rows in the order of their first measurement.</summary>
    public string Render(string first, string second)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"| what | {first} | {second} | ratio |\n|---|---|---|---|\n");
        foreach (string row in _rows)
        {
            double? left = Median(row, first), right = Median(row, second);
            string ratio = left / right is { } quotient ? quotient.ToString("F2", CultureInfo.InvariantCulture) : string.Empty;
            text.Append(CultureInfo.InvariantCulture, $"| {row} | {Show(left, row)} | {Show(right, row)} | {ratio} |\n");
        }

        return text.ToString();
    }

    private string Show(double? value, string row) => value is { } number
        ? string.Create(CultureInfo.InvariantCulture, $"{number.ToString(Math.Abs(number) < 10 ? "F2" : "F0", CultureInfo.InvariantCulture)} {_units[row]}")
        : string.Empty;

    private double? Median(string row, string column)
    {
        if (!_values.TryGetValue((row, column), out List<double>? values))
            return null;
        double[] sorted = [.. values.Order()];
        int middle = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }
}
