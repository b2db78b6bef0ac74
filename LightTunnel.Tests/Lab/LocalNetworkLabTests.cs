using System.Runtime.Versioning;
using LightTunnel.Lab;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Lab.Shells;
using LightTunnel.Tests.Forwarding;
using Xunit;

namespace LightTunnel.Tests.Lab;

/// <summary>
/// A machine that is a member of two networks, and whose admin has addresses, routes, rules and a packet filter of his own: whatever
/// happens to the tunnels, these stay, and whatever happens to the machine's network, what is the tunnels' comes back.
/// </summary>
[SupportedOSPlatform("linux")]
public sealed class LocalNetworkLabTests
{
    private const string Uplink = "wan";

    private static readonly string[] Families = ["-4", "-6"];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task WhatIsTheMachinesOwn_StaysAsItIs_AndWhatIsTheTunnelsComesBack()
    {
        Prerequisites.SkipUnlessGateway();
        await using Laboratory laboratory = await LabFixture.StartAsync(
            Topology.OpenHosts(TimeSpan.FromMilliseconds(4), "server", "bob", "alice"));
        LabNode alice = laboratory["alice"];
        string machine = alice.Namespace;
        string office = await StartAsync(laboratory["server"], "office", "10.0.0.1/24,fd00::1/64");
        string home = await StartAsync(laboratory["bob"], "home", "10.1.0.1/24");
        BeAnAdmin(machine);
        string before = GatewayNamespaces.Snapshot(machine), own = Own(machine);

        await JoinAsync(alice, nameof(office), office);
        await JoinAsync(alice, nameof(home), home);
        string tunnels = Tunnels(machine);
        Assert.Contains("10.0.0.", tunnels, StringComparison.Ordinal);
        Assert.Contains("10.1.0.", tunnels, StringComparison.Ordinal);
        Assert.Equal(own, Own(machine));

        // A lease is renewed; then the cable is out, and in again, and who manages the uplink sets it up anew.
        string address = AddressOf(machine);
        Ip(machine, "address", "change", address, "dev", Uplink, "valid_lft", "600", "preferred_lft", "600");
        Ip(machine, "address", "change", address, "dev", Uplink, "valid_lft", "forever", "preferred_lft", "forever");
        Assert.Equal(own, Own(machine));
        Assert.Equal(tunnels, Tunnels(machine));
        string[] usual = UplinkRoutes(machine);
        string[] addresses = Ip(machine, "-6", "-o", "address", "show", "dev", Uplink, "scope", "global").Split('\n');
        Ip(machine, "link", "set", Uplink, "down");
        Ip(machine, "link", "set", Uplink, "up");
        foreach (string line in addresses.Where(line => line.Length > 0))
            Ip(machine, "address", "add", line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[3], "dev", Uplink, "nodad");
        foreach (string route in usual.Except(UplinkRoutes(machine)))
            Ip(machine, [.. route.Split(' ', StringSplitOptions.RemoveEmptyEntries), "dev", Uplink]);

        // Somebody's hand takes what is the tunnels'.
        Ip(machine, "address", "flush", "dev", InterfaceOf(machine, "10.0.0."));
        Ip(machine, "route", "flush", "dev", InterfaceOf(machine, "10.1.0."));
        GatewayNamespaces.Await(() => Tunnels(machine) == tunnels, "What is the tunnels' stays away.");
        await ReachesAsync(alice, "10.0.0.1");
        await ReachesAsync(alice, "10.1.0.1");

        // One tunnel's end is not the other's.
        await alice.Shell.InvokeAsync("Disconnect-LtNetwork office", cancellationToken: Token);
        Assert.DoesNotContain("10.0.0.", Tunnels(machine), StringComparison.Ordinal);
        await ReachesAsync(alice, "10.1.0.1");

        await JoinAsync(alice, nameof(office), office);
        await alice.StopShellAsync(crash: true);
        GatewayNamespaces.Await(() => Tunnels(machine).Length == 0, "Interfaces stay behind a process that was killed.");
        Assert.Equal(before, GatewayNamespaces.Snapshot(machine));

        await alice.StartShellAsync([LabPaths.ModuleManifest()], Token);
        await JoinAsync(alice, nameof(office), office);
        await JoinAsync(alice, nameof(home), home);
        await alice.Shell.InvokeAsync("Get-LtNetwork | Disconnect-LtNetwork", cancellationToken: Token);
        Assert.Equal(before, GatewayNamespaces.Snapshot(machine));
        Assert.Equal(own, Own(machine));
    }

    private static async Task<string> StartAsync(LabNode server, string name, string addresses)
    {
        await server.Shell.InvokeAsync(
            $"$null = Start-LtServer -Name {name} -Address {addresses} -Endpoint {server.Addresses[0]}:9000", cancellationToken: Token);
        return (await server.Shell.InvokeAsync("\"$(New-LtInvitation)\"", cancellationToken: Token)).Single().ToString();
    }

    /// <summary>Two networks on one machine have a name and a state folder each.</summary>
    private static Task<ShellResult> JoinAsync(LabNode node, string network, string invitation) => node.Shell.InvokeAsync(
        "param($Name, $Text, $Path) $null = Connect-LtNetwork -Name $Name -Invitation $Text -StatePath $Path",
        new { Name = network, Text = invitation, Path = Path.Combine(node.Folder, "state-" + network) }, cancellationToken: Token);

    /// <summary>What an admin may have: an address, a route of each kind, a table with a rule that leads to it, a packet filter.</summary>
    private static void BeAnAdmin(string machine)
    {
        Ip(machine, "address", "add", "192.0.2.77/32", "dev", "lo");
        Ip(machine, "route", "add", "198.18.0.0/15", "dev", Uplink, "metric", "7");
        Ip(machine, "route", "add", "blackhole", "10.99.0.0/16");
        Ip(machine, "route", "add", "default", "dev", Uplink, "table", "77");
        Ip(machine, "rule", "add", "from", "192.0.2.77", "lookup", "77", "priority", "100");
        Ip(machine, "-6", "route", "add", "unreachable", "2001:db8:99::/48");
        NetworkNamespace.Execute(machine, "nft", "add table inet admins; add chain inet admins in "
            + "{ type filter hook input priority 0; policy accept; }; add rule inet admins in tcp dport 9999 drop");
    }

    private static string Ip(string machine, params string[] arguments) => NetworkNamespace.Ip(["-n", machine, .. arguments]);

    private static string AddressOf(string machine) =>
        Ip(machine, "-4", "-o", "address", "show", "dev", Uplink).Split(' ', StringSplitOptions.RemoveEmptyEntries)[3];

    /// <summary>The routes by the uplink that the kernel does not make itself, each as the arguments that add it.</summary>
    private static string[] UplinkRoutes(string machine) =>
    [
        .. Families.SelectMany(family => Ip(machine, family, "route", "show", "dev", Uplink, "table", "all")
            .Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Where(route => !route.Contains("proto kernel", StringComparison.Ordinal))
            .Select(route => $"{family} route add {route.Replace(" pref medium", string.Empty, StringComparison.Ordinal)}")),
    ];

    private static string InterfaceOf(string machine, string address) =>
        Lines(machine).First(line => line.Contains("inet " + address, StringComparison.Ordinal))
            .Split(' ', StringSplitOptions.RemoveEmptyEntries)[1];

    /// <summary>All of the machine's network that is not the tunnels'.</summary>
    private static string Own(string machine) => string.Join(
        '\n', Lines(machine).Where(line => !IsTunnels(line)).Append(NetworkNamespace.Execute(machine, "nft", "list", "ruleset"))
            .Append(NetworkNamespace.Execute(machine, "cat", "/etc/resolv.conf")));

    /// <summary>All that is.</summary>
    private static string Tunnels(string machine) => string.Join('\n', Lines(machine).Where(IsTunnels));

    private static bool IsTunnels(string line) => line.Contains(" lt", StringComparison.Ordinal);

    /// <summary>A line for each address, route and rule; without what counts by itself.</summary>
    private static IEnumerable<string> Lines(string machine) =>
        new[]
        {
            Ip(machine, "-o", "address", "show"), Ip(machine, "-4", "route", "show", "table", "all"),
            Ip(machine, "-6", "route", "show", "table", "all"), Ip(machine, "-4", "rule", "show"), Ip(machine, "-6", "rule", "show"),
        }.SelectMany(text => text.Split('\n', StringSplitOptions.RemoveEmptyEntries)).Order(StringComparer.Ordinal);

    private static async Task ReachesAsync(LabNode node, string host)
    {
        CommandResult pinged;
        long began = TimeProvider.System.GetTimestamp();
        do
            pinged = await node.ExecuteAsync("ping", ["-n", "-c", "1", "-w", "2", host], Token);
        while (pinged.ExitCode != 0 && TimeProvider.System.GetElapsedTime(began) < TimeSpan.FromMinutes(2));
        Assert.True(pinged.ExitCode == 0, $"{host}: {pinged.Output}{pinged.Errors}");
    }
}
