using System.Globalization;
using System.Text.RegularExpressions;
using LightTunnel.Internet.Wires;
using LightTunnel.Lab;
using LightTunnel.Lab.Namespaces;
using Xunit;

namespace LightTunnel.Tests.Lab;

/// <summary>The laboratory itself, by the system's own ping: no part of LightTunnel but the TUN device is involved.</summary>
public sealed partial class LaboratoryTests
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(10);

    // Goes on until as many answers as asked for are there: without a deadline ping gives up two round trips after its last packet.
    private static readonly string[] Patiently = ["-w", "60"];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task OpenHosts_ReachEachOtherOverBothFamiliesWithTheDelay()
    {
        await using Laboratory laboratory = await StartAsync(Topology.OpenHosts(TimeSpan.FromMilliseconds(20), "alice", "bob"));

        foreach (string address in laboratory["bob"].Addresses)
        {
            CommandResult ping = await laboratory["alice"].PingAsync(address, count: 10, Interval, Token, Patiently);
            Assert.True(ping.ExitCode == 0, ping.Output + ping.Errors);
            // A busy machine makes round trips longer, never shorter.
            Assert.InRange(SmallestRoundTrip(ping), 40.0, double.PositiveInfinity);
        }
    }

    [Fact]
    public async Task Loss_LosesPings()
    {
        await using Laboratory laboratory = await StartAsync(Topology.OpenHosts(new WireConditions { Loss = 0.2 }, "alice", "bob"));

        await laboratory["alice"].PingAsync("203.0.113.2", count: 100, Interval, Token);

        long Passed(PacketFate fate) => laboratory.Nodes.Sum(node => node.Uplink.Fates[fate]);
        Assert.InRange((double)Passed(PacketFate.Lost) / (Passed(PacketFate.Lost) + Passed(PacketFate.Forwarded)), 0.1, 0.3);
    }

    [Fact]
    public async Task CutAndHeal_StopsAndResumesWhatRuns()
    {
        await using Laboratory laboratory = await StartAsync(Topology.OpenHosts(TimeSpan.Zero, "alice", "bob"));
        LabNode alice = laboratory["alice"];

        laboratory["bob"].Cut();
        CommandResult whileCut = await alice.PingAsync("203.0.113.2", count: 3, Interval, Token, "-w", "1");
        laboratory["bob"].Heal();
        CommandResult healed = await alice.PingAsync("203.0.113.2", count: 3, Interval, Token, Patiently);

        Assert.Equal(0, Received(whileCut));
        Assert.NotEqual(0, laboratory["bob"].Uplink.Fates[PacketFate.Cut]);
        Assert.Equal(0, healed.ExitCode);
    }

    [Fact]
    public async Task Mtu_TooLongPacketsAreReportedToTheSender()
    {
        await using Laboratory laboratory = await StartAsync(Topology.OpenHosts(TimeSpan.Zero, "alice", "bob"));
        LabNode alice = laboratory["alice"];
        laboratory["bob"].Change(conditions => conditions with { Mtu = 1300 });

        CommandResult tooLong = await alice.PingAsync("203.0.113.2", count: 2, Interval, Token, ["-M", "do", "-s", "1400", .. Patiently]);
        CommandResult fits = await alice.PingAsync("203.0.113.2", count: 1, Interval, Token, ["-M", "do", "-s", "1272", .. Patiently]);
        CommandResult inPieces = await alice.PingAsync(
            "203.0.113.2", count: 1, Interval, Token, ["-M", "dont", "-s", "1400", .. Patiently]);

        Assert.Equal(0, Received(tooLong));
        Assert.Matches("mtu ?= ?1300", tooLong.Output + tooLong.Errors);
        Assert.Equal(0, fits.ExitCode);
        Assert.Equal(0, inPieces.ExitCode);
    }

    [Fact]
    public async Task DisposeAsync_LeavesNothing()
    {
        Laboratory laboratory = await StartAsync(Topology.OpenHosts(TimeSpan.Zero, "alice"));
        LabNode alice = laboratory["alice"];
        // A program that nobody ends must not keep the namespace alive.
        using System.Diagnostics.Process forgotten = alice.StartCommand("sleep", ["600"]);
        Assert.NotEmpty(laboratory.RemainingNamespaces());

        await laboratory.DisposeAsync();

        Assert.Empty(laboratory.RemainingNamespaces());
        Assert.False(Directory.Exists(alice.Folder));
        Assert.True(forgotten.WaitForExit(TimeSpan.FromMinutes(2)));
    }

    [Fact]
    public async Task StartAsync_LeftOversOfACrash_AreRemoved()
    {
        Prerequisites.SkipUnlessLaboratory();
        // No process has this id: it is above the kernel's largest.
        const string Orphan = "lt99999999.1-gone";
        string folder = Path.Combine(Path.GetTempPath(), Orphan);
        Directory.CreateDirectory(folder);
        NetworkNamespace.Create(Orphan);

        await using Laboratory laboratory = await StartAsync(Topology.OpenHosts(TimeSpan.Zero, "alice"));

        Assert.False(File.Exists("/run/netns/" + Orphan));
        Assert.False(Directory.Exists(folder));
    }

    [Fact]
    public async Task StartShellAsync_RunsInTheHostsNamespaceWithItsPresets()
    {
        await using Laboratory laboratory = await StartAsync(Topology.OpenHosts(TimeSpan.Zero, "alice", "bob"));
        LabNode alice = laboratory["alice"];

        await alice.StartShellAsync([], Token);
        IEnumerable<string> addresses = (await alice.Shell.InvokeAsync("""
            [Net.NetworkInformation.NetworkInterface]::GetAllNetworkInterfaces() |
                ForEach-Object { $_.GetIPProperties().UnicastAddresses } | ForEach-Object { $_.Address.ToString() }
            """, cancellationToken: Token)).Output.Select(address => address.ToString());
        string name = (await alice.Shell.InvokeAsync(
            "$PSDefaultParameterValues['Start-LtServer:Name']", cancellationToken: Token)).Single().ToString();

        Assert.Contains("203.0.113.1", addresses);
        Assert.Equal("alice", name);
    }

    private static Task<Laboratory> StartAsync(Topology topology)
    {
        Prerequisites.SkipUnlessLaboratory();
        return Laboratory.StartAsync(topology, shells: false, Token);
    }

    private static int Received(CommandResult ping) =>
        int.Parse(ReceivedPattern().Match(ping.Output).Groups[1].Value, CultureInfo.InvariantCulture);

    private static double SmallestRoundTrip(CommandResult ping) =>
        double.Parse(RoundTripPattern().Match(ping.Output).Groups[1].Value, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"(\d+) received")]
    private static partial Regex ReceivedPattern();

    [GeneratedRegex(@"= ([\d.]+)/")]
    private static partial Regex RoundTripPattern();
}
