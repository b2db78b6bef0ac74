using System.Globalization;
using System.Net;
using LightTunnel.Lab;
using LightTunnel.Lab.Demo;
using LightTunnel.Lab.Shells;
using Xunit;

namespace LightTunnel.Tests.Lab;

/// <summary>Real sockets on a path that swallows what is longer than 1300 bytes, and tells nobody.</summary>
public sealed class NarrowPathLabTests
{
    private static readonly IPAddress ServerAddress = IPAddress.Parse("10.0.0.1");
    private static readonly IPAddress AliceAddress = IPAddress.Parse("10.0.0.10");
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("203.0.113.1:9000", 1224)]
    [InlineData("[2001:db8::1]:9000", 1204)]
    public async Task Tcp_OverAPathOf1300BytesWithoutIcmp_ArrivesIntact_AndThePeerShowsTheMtu(string endpoint, int mtu)
    {
        await using Laboratory laboratory = await LabFixture.StartAsync(
            Topology.OpenHosts(TimeSpan.FromMilliseconds(4), "server", "alice"));
        LabNode server = laboratory["server"], alice = laboratory["alice"];
        await server.Shell.InvokeAsync(
            "param($Endpoint) Start-LtServer -Address 10.0.0.1/24 -Endpoint $Endpoint", new { Endpoint = endpoint },
            cancellationToken: Token);
        string invitation = (await server.Shell.InvokeAsync("\"$(New-LtInvitation)\"", cancellationToken: Token)).Single().ToString();
        // The host does not learn of it: its own interface stays as wide as it was.
        alice.Change(conditions => conditions with { Mtu = 1300, ReportsTooBig = false });
        await alice.Shell.InvokeAsync(
            "param($Invitation) Connect-LtNetwork -Invitation $Invitation -Address 10.0.0.10", new { Invitation = invitation },
            cancellationToken: Token);

        TcpTransfer.Result there = await TcpTransfer.RunAsync(alice, server, ServerAddress, 1 << 20, Token).WaitAsync(Patience, Token);
        TcpTransfer.Result back = await TcpTransfer.RunAsync(server, alice, AliceAddress, 1 << 20, Token).WaitAsync(Patience, Token);

        Assert.True(there.IsIntact && back.IsIntact);
        // Over IPv4 what was too long went in pieces: it may all have arrived before the MTU is known.
        int found;
        long started = TimeProvider.System.GetTimestamp();
        do
            found = Number((await server.Shell.InvokeAsync("Get-LtPeer alice", cancellationToken: Token)).Single(), "Mtu");
        while (found == 1400 && TimeProvider.System.GetElapsedTime(started) < Patience);
        // Without AES instructions the tag, and with it what is lost of the path, is 16 bytes shorter.
        Assert.InRange(found, mtu, mtu + 16);
        ShellObject network = (await alice.Shell.InvokeAsync("Test-LtNetwork", cancellationToken: Token)).Single();
        Assert.Equal(1400, Number(network, "Mtu"));
        Assert.InRange(Number(network, "LargestPacket"), mtu, mtu + 16);
    }

    private static int Number(ShellObject result, string property) => int.Parse(result.Text(property)!, CultureInfo.InvariantCulture);
}
