using LightTunnel.Internet.Nats;
using LightTunnel.Lab;
using LightTunnel.Lab.Shells;
using Xunit;

namespace LightTunnel.Tests.Lab;

/// <summary>A server with a second address, a floating one, that its system never chooses by itself.</summary>
public sealed class SecondAddressLabTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Client_BehindAStrictFirewall_JoinsByTheServersSecondAddress()
    {
        Topology open = Topology.OpenHosts(TimeSpan.FromMilliseconds(10), "server");
        HostSpec server = open.Hosts[0];
        Topology topology = (open with { Hosts = [server with { Addresses = [.. server.Addresses, "203.0.113.77"] }] })
            .WithLan("home", NatKind.PortRestrictedCone, TimeSpan.FromMilliseconds(10), "alice");
        await using Laboratory laboratory = await LabFixture.StartAsync(topology);
        await laboratory["server"].Shell.InvokeAsync(
            "Start-LtServer -Address 10.0.0.1/24 -ListenPort 9000 -Endpoint 203.0.113.77:9000", cancellationToken: Token);
        string invitation =
            (await laboratory["server"].Shell.InvokeAsync("\"$(New-LtInvitation)\"", cancellationToken: Token)).Single().ToString();
        ShellResult joined = await laboratory["alice"].Shell.InvokeAsync(
            "param($text) Connect-LtNetwork -Invitation $text -Address 10.0.0.10", new { text = invitation }, cancellationToken: Token);
        Assert.Equal("Up", joined.Single().Text("State"));
    }
}
