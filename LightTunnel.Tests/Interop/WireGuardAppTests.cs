using System.Diagnostics;
using System.Net;
using LightTunnel.Lab;
using LightTunnel.Lab.Demo;
using LightTunnel.Lab.Shells;
using Xunit;

namespace LightTunnel.Tests.Interop;

/// <summary>wireguard-go as a member of a network, by the configuration that New-LtWireGuardClient gives.</summary>
public sealed class WireGuardAppTests(WireGuardAppNetwork network) : IClassFixture<WireGuardAppNetwork>
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("phone", "server")]
    [InlineData("server", "phone")]
    [InlineData("phone", "alice")]
    [InlineData("alice", "phone")]
    [InlineData("phone", "tablet")]
    [InlineData("tablet", "phone")]
    [InlineData("tablet", "alice")]
    public async Task Ping_IsAnswered(string from, string to)
    {
        await AssertPingsAsync(network.Laboratory[from], network.AddressOf(to));
    }

    [Theory]
    [InlineData("phone", "server")]
    [InlineData("server", "phone")]
    [InlineData("phone", "alice")]
    [InlineData("alice", "phone")]
    [InlineData("phone", "tablet")]
    [InlineData("tablet", "phone")]
    public async Task Tcp_ArrivesIntact(string from, string to)
    {
        await AssertPingsAsync(network.Laboratory["phone"], network.AddressOf("tablet"));
        TcpTransfer.Result result = await TcpTransfer.RunAsync(
            network.Laboratory[from], network.Laboratory[to], IPAddress.Parse(network.AddressOf(to)), 2 << 20, Token)
            .WaitAsync(Patience, Token);
        Assert.True(result.IsIntact);
    }

    [Fact]
    public async Task OtherAddressFamily_Passes()
    {
        await AssertPingsAsync(network.Laboratory["phone"], "fd00:9::10");
    }

    [Fact]
    public async Task Commands_ShowItAsPlainWireGuard_AndReachedThroughTheServer()
    {
        await AssertPingsAsync(network.Laboratory["phone"], network.AddressOf("alice"));

        ShellObject route = (await network.Alice.Shell.InvokeAsync(
            "param($Address) Get-LtRoute \"$Address/32\"", new { Address = network.AddressOf("phone") },
            cancellationToken: Token)).Single();
        Assert.Equal(
            ("Server", "10.0.0.1", "phone", "PlainWireGuard", "Up"),
            (route.Text("Type"), route.Text("NextHop"), route.Text("Peer"), route.Text("Reason"), route.Text("State")));
        ShellObject peer = (await network.Alice.Shell.InvokeAsync("Get-LtPeer phone", cancellationToken: Token)).Single();
        Assert.Equal(("WireGuard", "Server"), (peer.Text("Kind"), peer.Text("Path")));
        ShellObject seen = (await network.Server.Shell.InvokeAsync("Get-LtPeer phone", cancellationToken: Token)).Single();
        Assert.Equal(("WireGuard", "Direct"), (seen.Text("Kind"), seen.Text("Path")));
        Assert.StartsWith("198.51.100.", seen.Text("Endpoint"), StringComparison.Ordinal);
        ShellObject member = (await network.Server.Shell.InvokeAsync("Get-LtMember phone", cancellationToken: Token)).Single();
        Assert.Equal(("WireGuard", "Online"), (member.Text("Kind"), member.Text("State")));
        ShellObject tested = (await network.Alice.Shell.InvokeAsync("Test-LtP2P phone", cancellationToken: Token)).Single();
        Assert.Equal("PlainWireGuard", tested.Text("Reason"));
    }

    [Fact]
    public async Task Rekey_GoesOnUnderNewKeys()
    {
        await AssertPingsAsync(network.Laboratory["phone"], network.AddressOf("alice"));
        string before = await HandshakeAsync();
        for (int round = 0; round < 3; round++)
        {
            network.Phone.ForgetKeys();
            await AssertPingsAsync(network.Laboratory["phone"], network.AddressOf("alice"));
            await AssertPingsAsync(network.Alice, network.AddressOf("phone"));
            string agreed = await HandshakeAsync();
            Assert.NotEqual(before, agreed);
            before = agreed;
        }

        async Task<string> HandshakeAsync() => (await network.Server.Shell.InvokeAsync(
            "(Get-LtPeer phone).Handshake.UtcTicks", cancellationToken: Token)).Single().ToString();
    }

    [Fact]
    public async Task Roaming_ToAnotherAddress_TheServerFollows_AndSendsAtFullPace()
    {
        await AssertPingsAsync(network.Laboratory["phone"], network.AddressOf("alice"));
        network.Laboratory.ChangeOutsideAddress("home", "198.51.100.77");
        await AssertPingsAsync(network.Laboratory["phone"], network.AddressOf("alice"));
        await AssertPingsAsync(network.Alice, network.AddressOf("phone"));

        TcpTransfer.Result result = await TcpTransfer.RunAsync(
            network.Alice, network.Laboratory["phone"], IPAddress.Parse(network.AddressOf("phone")), 2 << 20, Token)
            .WaitAsync(Patience, Token);
        Assert.True(result.IsIntact);
        ShellObject peer = (await network.Server.Shell.InvokeAsync("Get-LtPeer phone", cancellationToken: Token)).Single();
        Assert.StartsWith("198.51.100.77:", peer.Text("Endpoint"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Mtu_WholePacketsPass_AndLongerOnesAreAnsweredByIcmp()
    {
        LabNode phone = network.Laboratory["phone"];
        string alice = network.AddressOf("alice");
        await AssertPingsAsync(phone, alice);
        CommandResult whole = await phone.PingAsync(alice, 1, Interval, Token, "-M", "do", "-s", "1372", "-w", "60");
        Assert.True(whole.ExitCode == 0, whole.Output + whole.Errors);

        // One whose MTU somebody has set too high is told.
        network.Phone.SetMtu(1420);
        CommandResult longer = await phone.PingAsync(alice, 1, Interval, Token, "-M", "do", "-s", "1392", "-w", "10");
        Assert.Contains("mtu = 1400", longer.Output, StringComparison.Ordinal);
        network.Phone.SetMtu(1400);
    }

    [Fact]
    public async Task Block_EndsItAtOnce_UntilItIsLifted()
    {
        LabNode tablet = network.Laboratory["tablet"];
        await AssertPingsAsync(tablet, network.AddressOf("alice"));
        await network.Server.Shell.InvokeAsync("Block-LtMember tablet", cancellationToken: Token);
        foreach (string address in new[] { network.AddressOf("alice"), network.AddressOf("server") })
        {
            CommandResult silent = await tablet.PingAsync(address, count: 3, Interval, Token);
            Assert.DoesNotContain("bytes from", silent.Output, StringComparison.Ordinal);
        }

        Assert.DoesNotContain(
            "bytes from " + network.AddressOf("tablet"),
            (await network.Alice.PingAsync(network.AddressOf("tablet"), count: 3, Interval, Token)).Output,
            StringComparison.Ordinal);
        await network.Server.Shell.InvokeAsync("Unblock-LtMember tablet", cancellationToken: Token);
        await AssertPingsAsync(tablet, network.AddressOf("alice"));
    }

    [Fact]
    public async Task ServerIsKilledAndStartedAgain_TheAppsComeBack()
    {
        await AssertPingsAsync(network.Laboratory["phone"], network.AddressOf("alice"));
        await network.RestartServerAsync();
        await AssertPingsAsync(network.Laboratory["phone"], network.AddressOf("alice"));
        await AssertPingsAsync(network.Laboratory["tablet"], network.AddressOf("phone"));
    }

    /// <summary>
    /// Until it is answered: keys, members and NATs may be new. A server refuses what is for an app that it has not heard of yet, and one
    /// refusal ends a ping.
    /// </summary>
    private static async Task AssertPingsAsync(LabNode from, string address)
    {
        long begun = Stopwatch.GetTimestamp();
        CommandResult ping;
        do
            ping = await from.PingAsync(address, count: 1, Interval, Token, "-w", "100");
        while (ping.ExitCode != 0 && Stopwatch.GetElapsedTime(begun) < Patience);
        Assert.True(ping.ExitCode == 0, $"{from.Name} to {address}: {ping.Output}{ping.Errors}");
    }
}
