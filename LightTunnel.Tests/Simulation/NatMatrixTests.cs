using System.Globalization;
using LightTunnel.Addressing;
using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Simulation;
using LightTunnel.Internet.Wires;
using Xunit;

namespace LightTunnel.Tests.Simulation;

/// <summary>
/// Every kind of NAT against every other, measured in virtual time. <c>LIGHTTUNNEL_MATRIX=$PWD/docs/traversal.md</c> puts the tables into
/// that file, between the lines that mark their place.
/// </summary>
public sealed class NatMatrixTests
{
    private const int SeedsOfPair = 20;

    /// <summary>Pairs that must be direct have this long, the others' hopes are given up after it.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private static readonly NatKind[] FieldKinds = [.. NatKinds.All];

    /// <summary>Pairs for what is measured besides the time until they are direct.</summary>
    private static readonly (NatKind First, NatKind Second)[] Examples =
    [
        (NatKind.Open, NatKind.Open), (NatKind.PortRestrictedCone, NatKind.PortRestrictedCone), (NatKind.CarrierGrade, NatKind.FullCone),
        (NatKind.RestrictedCone, NatKind.SymmetricRandom),
    ];

    [Fact]
    public void EveryPair_IsAsDirectAsItCanBe_InTime()
    {
        (NatKind First, NatKind Second)[] pairs =
            [.. FieldKinds.SelectMany(first => FieldKinds.Where(second => second >= first).Select(second => (first, second)))];
        var results = Measure(pairs, (seed, pair) =>
        {
            using var members = new TwoMembers(seed, pair.First, pair.Second);
            return members.HaveJoined ? members.BecomeDirect(Patience) : null;
        });
        var table = new List<string> { $"|  | {string.Join(" | ", FieldKinds.Select(Name))} |",
            $"|---|{string.Concat(FieldKinds.Select(_ => "---|"))}" };
        foreach (NatKind first in FieldKinds)
        {
            IEnumerable<string> cells = FieldKinds.Select(second => second < first
                ? ""
                : first == NatKind.UdpBlocked || second == NatKind.UdpBlocked ? "-" : results[(first, second)].ToString());
            table.Add($"| {Name(first)} | {string.Join(" | ", cells)} |");
        }

        Report("matrix", table);
        TimeSpan coneBound = (TwoMembers.RoundTrip * 3) + TimeSpan.FromMilliseconds(50);
        foreach (((NatKind first, NatKind second), Samples samples) in results)
        {
            bool direct = NatKinds.CanBeDirect(first, second);
            Assert.True(
                direct ? samples.Always : samples.Never,
                $"{first} and {second}: {samples}, and they must {(direct ? "" : "not ")}be direct.");
            if (IsCone(first) && IsCone(second))
                Assert.True(samples.Median <= coneBound, $"{first} and {second} took {samples.Median}; {coneBound} are allowed.");
            else if (direct)
                Assert.True(samples.Median <= TimeSpan.FromSeconds(10), $"{first} and {second} took {samples.Median}.");
        }
    }

    [Fact]
    public void PathsInUse_FlipFailAndComeBack_InTime()
    {
        TimeSpan second = TimeSpan.FromSeconds(1);
        var tooSlow = new List<string>();
        string[] rows =
        [
            Row("silence when the direct path is cut", second, GapOfCut, tooSlow),
            Row("silence when it is cut in one direction", second, GapOfOneWayCut, tooSlow),
            Row("from healed to direct again", 5.2 * second, HealedToDirect, tooSlow),
            Row("silence when all NATs are rebooted", 2 * second, GapOfReboot, tooSlow),
            Row("silence when a NAT gets another public address", 2 * second, GapOfNewAddress, tooSlow),
            Row("silence after a move to another network, once it is there", 2 * second, GapOfMove, tooSlow),
            Row("silence after ten minutes of sleep, once awake", 2 * second, GapOfSleep, tooSlow),
        ];
        Report(
            "events", [$"| | {string.Join(" | ", Examples.Select(pair => $"{Name(pair.First)} - {Name(pair.Second)}"))} |",
                $"|---|{string.Concat(Examples.Select(_ => "---|"))}", .. rows]);
        Assert.Empty(tooSlow);
    }

    /// <summary>A packet every 10 ms from either side, across the flip.</summary>
    [Fact]
    public void Flip_FromServerToDirect_LosesNoPacket()
    {
        Dictionary<(NatKind First, NatKind Second), Samples> results = Measure(Examples, (seed, pair) =>
        {
            using var members = new TwoMembers(seed, pair.First, pair.Second);
            members.Internet.CutBetween(members.AliceHost, members.BobHost);
            members.Talk(TimeSpan.FromSeconds(2));
            Assert.False(members.AreDirect);
            members.Drain();
            members.Begin();
            members.Internet.HealBetween(members.AliceHost, members.BobHost);
            TimeSpan? flipped = members.Talk(Patience, () => members.AreDirect);
            members.Talk(TimeSpan.FromSeconds(2));
            members.Drain();
            Assert.Equal(0, members.Lost);
            return flipped;
        });
        Assert.All(results, result => Assert.True(result.Value.Always, $"{result.Key}: {result.Value}"));
    }

    /// <summary>Measures one thing for all examples, and notes those whose worst is above the bound.</summary>
    private static string Row(string what, TimeSpan bound, Func<int, (NatKind First, NatKind Second), TimeSpan?> one, List<string> tooSlow)
    {
        Dictionary<(NatKind First, NatKind Second), Samples> results = Measure(Examples, one);
        tooSlow.AddRange(results.Where(result => result.Value.Worst > bound)
            .Select(result => $"{result.Key}: {what}: {result.Value}; {bound} are allowed."));
        return $"| {what} | {string.Join(" | ", Examples.Select(pair => results[pair]))} |";
    }

    private static TimeSpan? GapOfCut(int seed, (NatKind First, NatKind Second) pair) =>
        GapAfter(seed, pair, members => members.Internet.CutBetween(members.AliceHost, members.BobHost));

    private static TimeSpan? GapOfOneWayCut(int seed, (NatKind First, NatKind Second) pair) =>
        GapAfter(seed, pair, members => members.Internet.CutBetween(members.AliceHost, members.BobHost, oneWay: true));

    private static TimeSpan? GapOfReboot(int seed, (NatKind First, NatKind Second) pair) => GapAfter(seed, pair, members =>
    {
        foreach (SimulatedNat nat in members.Internet.Nats.Values)
            nat.Reboot();
    });

    private static TimeSpan? GapOfNewAddress(int seed, (NatKind First, NatKind Second) pair) => GapAfter(seed, pair, members =>
    {
        if (members.Internet.Nats.Values.LastOrDefault(nat => nat.Parent is null) is { } outer)
            outer.ChangeAddress();
    });

    private static TimeSpan? GapOfMove(int seed, (NatKind First, NatKind Second) pair) => GapAfter(seed, pair, members =>
    {
        SimulatedNat cafe = members.Internet.AddNat(
            "cafe", new NatSettings(), conditions: new WireConditions { Delay = TwoMembers.RoundTrip / 4 });
        members.AliceHost.Unplug();
        members.Alice.Addresses.Changed();
        members.Talk(TimeSpan.FromSeconds(1));
        members.AliceHost.MoveTo(cafe);
        members.AliceHost.Uplink.Conditions = WireConditions.Perfect;
        members.Alice.Addresses.Changed();
        members.Begin();
    });

    private static TimeSpan? GapOfSleep(int seed, (NatKind First, NatKind Second) pair) => GapAfter(seed, pair, members =>
    {
        members.Sleep(TimeSpan.FromMinutes(10));
        members.Begin();
    });

    private static TimeSpan? HealedToDirect(int seed, (NatKind First, NatKind Second) pair)
    {
        using var members = new TwoMembers(seed, pair.First, pair.Second);
        members.Settle();
        members.Internet.CutBetween(members.AliceHost, members.BobHost);
        members.Talk(TimeSpan.FromSeconds(10 + (seed * 0.3)));
        members.Internet.HealBetween(members.AliceHost, members.BobHost);
        return members.Talk(Patience, () => members.AreDirect);
    }

    /// <summary>The longest silence when something happens to two that are direct and talk.</summary>
    private static TimeSpan? GapAfter(int seed, (NatKind First, NatKind Second) pair, Action<TwoMembers> happening)
    {
        using var members = new TwoMembers(seed, pair.First, pair.Second);
        members.Settle();
        members.Talk(TimeSpan.FromMilliseconds(seed * 13)); // At every moment between two probes.
        members.Begin();
        happening(members);
        members.Talk(TimeSpan.FromSeconds(10));
        return members.LongestGap;
    }

    private static Dictionary<(NatKind First, NatKind Second), Samples> Measure(
        (NatKind First, NatKind Second)[] pairs, Func<int, (NatKind First, NatKind Second), TimeSpan?> one)
    {
        var results = new TimeSpan?[pairs.Length * SeedsOfPair];
        Parallel.For(0, results.Length, new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount }, index =>
            results[index] = one(1 + (index % SeedsOfPair), pairs[index / SeedsOfPair]));
        return pairs.Index().ToDictionary(
            pair => pair.Item, pair => new Samples(results.AsSpan(pair.Index * SeedsOfPair, SeedsOfPair).ToArray()));
    }

    /// <summary>True when one outside endpoint serves for all remote ones: what the server sees is what members can use.</summary>
    private static bool IsCone(NatKind kind) =>
        NatKinds.Layers(kind) is var layers
        && !layers.Any(layer => layer.BlocksUdp || layer.Mapping != EndpointDependence.EndpointIndependent);

    private static string Name(NatKind kind) => kind switch
    {
        NatKind.Open => "open",
        NatKind.FullCone => "full cone",
        NatKind.RestrictedCone => "restricted",
        NatKind.PortRestrictedCone => "port-restricted",
        NatKind.SymmetricSequential => "symmetric, sequential",
        NatKind.SymmetricRandom => "symmetric, random",
        NatKind.CarrierGrade => "carrier-grade",
        NatKind.SameLanNoHairpin => "same LAN, no hairpin",
        _ => "UDP blocked",
    };

    /// <summary>Shows a table, and puts it into the document between "&lt;!-- name --&gt;" and "&lt;!-- end of name --&gt;".</summary>
    private static void Report(string name, IReadOnlyList<string> table)
    {
        TestContext.Current.TestOutputHelper?.WriteLine(string.Join('\n', table));
        if (Environment.GetEnvironmentVariable("LIGHTTUNNEL_MATRIX") is not { Length: > 0 } path)
            return;
        string begin = $"<!-- {name} -->", end = $"<!-- end of {name} -->";
        string text = File.ReadAllText(path);
        int from = text.IndexOf(begin, StringComparison.Ordinal), to = text.IndexOf(end, StringComparison.Ordinal);
        Assert.True(
            from >= 0 && to > from,
            string.Create(CultureInfo.InvariantCulture, $"{path} has no place for the table: lines {begin} and {end}."));
        File.WriteAllText(path, $"{text[..(from + begin.Length)]}\n\n{string.Join('\n', table)}\n\n{text[to..]}");
    }
}
