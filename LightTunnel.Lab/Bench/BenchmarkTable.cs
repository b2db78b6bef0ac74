using System.Globalization;
using System.Text;

namespace LightTunnel.Lab.Bench;

/// <summary>Figures by row and column, one per round, shown as medians with their spread and the ratio of two columns.</summary>
internal sealed class BenchmarkTable
{
    private readonly List<Row> _rows = [];
    private readonly Dictionary<(Row Row, string Column), List<double>> _figures = [];

    /// <summary>Adds a figure of the next round.</summary>
    public void Add(Row row, string column, double figure)
    {
        if (!_rows.Contains(row))
            _rows.Add(row);
        if (!_figures.TryGetValue((row, column), out List<double>? figures))
            _figures[(row, column)] = figures = [];
        figures.Add(figure);
    }

    /// <summary>
    /// A Markdown table; rows in the order of their first figure. What the two columns measured in one round was measured one right after
    /// the other, so the ratio is the median of the rounds' ratios, not the ratio of the medians.
    /// </summary>
    public string Render(string first, string second)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"| what | better | {first} | {second} | ratio |\n|---|---|---|---|---|\n");
        foreach (Row row in _rows)
        {
            List<double> left = _figures.GetValueOrDefault((row, first), []), right = _figures.GetValueOrDefault((row, second), []);
            double[] ratios = [.. left.Zip(right, (mine, other) => mine / other)];
            string ratio = ratios.Length == 0 ? string.Empty : Median(ratios).ToString("F2", CultureInfo.InvariantCulture);
            string better = row.Better == Better.More ? "more" : "less";
            text.Append(
                CultureInfo.InvariantCulture, $"| {row.Name} | {better} | {Show(left, row.Unit)} | {Show(right, row.Unit)} | {ratio} |\n");
        }

        return text.ToString();
    }

    /// <summary>A figure with its unit.</summary>
    public static string Show(double figure, string unit) => $"{Show(figure)} {unit}".TrimEnd();

    private static string Show(List<double> figures, string unit)
    {
        if (figures.Count == 0)
            return string.Empty;
        string median = Show(Median(figures), unit);
        return figures.Count == 1 ? median : $"{median} ({Show(figures.Min())}..{Show(figures.Max())})";
    }

    private static string Show(double figure) =>
        figure.ToString(Math.Abs(figure) switch { < 10 => "F2", < 100 => "F1", _ => "F0" }, CultureInfo.InvariantCulture);

    private static double Median(IReadOnlyCollection<double> figures)
    {
        double[] sorted = [.. figures.Order()];
        int middle = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }
}
