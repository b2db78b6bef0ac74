using System.Globalization;
using Xunit;

namespace LightTunnel.Tests.Simulation;

/// <summary>Whole networks in storms: the invariants of <see cref="NetworkStorm"/>, for many seeds.</summary>
public sealed class NetworkStormTests
{
    [Fact]
    public void Storms_LeaveNothingUndone()
    {
        var worst = new Worst();
        Seeds.Run(1200, seed => worst.Add(seed, NetworkStorm.Run(seed)));
        TestContext.Current.TestOutputHelper?.WriteLine(worst.ToString());
    }

    /// <summary>
    /// As in large networks: members know only whom they ask for. One more than the first few, so that networks also grow into large ones.
    /// </summary>
    [Fact]
    public void Storms_WhereMembersAskForEachOther_LeaveNothingUndone()
    {
        var worst = new Worst();
        Seeds.Run(300, seed => worst.Add(seed, NetworkStorm.Run(seed, eagerUpTo: seed % 4)));
        TestContext.Current.TestOutputHelper?.WriteLine(worst.ToString());
    }

    /// <summary>What came closest to its bound, over all seeds.</summary>
    private sealed class Worst
    {
        private readonly SortedDictionary<string, (double Value, int Seed)> _all = new(StringComparer.Ordinal);

        public void Add(int seed, StormReport report)
        {
            lock (_all)
            {
                Add("longest gap, s", report.LongestGap.TotalSeconds, seed);
                Add("until the last pair was direct, s", report.LastDirect.TotalSeconds, seed);
                Add("datagrams of a quiet minute, share of what is allowed", report.QuietShare, seed);
                foreach ((string name, int size) in report.Tables)
                    Add($"entries of {name}", size, seed);
            }
        }

        public override string ToString() =>
            string.Join(
                Environment.NewLine,
                _all.Select(one =>
                    string.Create(CultureInfo.InvariantCulture, $"{one.Value.Value,8:F2} {one.Key} (seed {one.Value.Seed})")));

        private void Add(string name, double value, int seed)
        {
            if (!_all.TryGetValue(name, out (double Value, int Seed) known) || value > known.Value)
                _all[name] = (value, seed);
        }
    }
}
