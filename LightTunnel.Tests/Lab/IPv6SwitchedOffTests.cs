using LightTunnel.Lab;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Lab.Shells;
using Xunit;

namespace LightTunnel.Tests.Lab;

/// <summary>A machine whose kernel was told to do without IPv6 joins a network that has it inside: with IPv4, and says so.</summary>
public sealed class IPv6SwitchedOffTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task MachineWithoutIPv6_JoinsAndServes_WithIPv4_AndNamesTheParameter()
    {
        await using Laboratory laboratory = await LabFixture.StartAsync(Topology.OpenHosts(TimeSpan.Zero, "server", "alice"));
        LabNode server = laboratory["server"];
        LabNode alice = laboratory["alice"];
        foreach (LabNode node in new[] { server, alice })
        {
            NetworkNamespace.Execute(
                node.Namespace, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1");
        }

        ShellResult started = await RunningNetwork.StartServerAsync(laboratory);
        AssertSaid(started, "fd00:9::1/64");
        string invitation = (await server.Shell.InvokeAsync("\"$(New-LtInvitation)\"", cancellationToken: Token)).Single().ToString();
        ShellResult joined = await alice.Shell.InvokeAsync(
            "param($Invitation) Connect-LtNetwork -Invitation $Invitation -Name alice -Address 10.0.0.10", new { Invitation = invitation },
            cancellationToken: Token);

        AssertSaid(joined, "fd00:9::");
        Assert.Equal("Up", joined.Single().Text("State"));
        ShellResult log = await alice.Shell.InvokeAsync("Get-LtLog -Level Warning | ForEach-Object Message", cancellationToken: Token);
        Assert.Contains(log.Output, line => line.ToString().Contains("net.ipv6.conf.all.disable_ipv6=0", StringComparison.Ordinal));
        CommandResult ping = await alice.PingAsync("10.0.0.1", 1, TimeSpan.FromSeconds(1), Token, "-w", "60");
        Assert.Contains("1 received", ping.Output, StringComparison.Ordinal);
    }

    private static void AssertSaid(ShellResult result, string address)
    {
        Assert.Contains(result.Warnings, warning => warning.Contains("IPv6 is switched off on this machine", StringComparison.Ordinal));
        Assert.Contains(address, result.Single().Text("LastError"), StringComparison.Ordinal);
    }
}
