using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using LightTunnel.Lab;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Tests.Forwarding;
using Xunit;

namespace LightTunnel.Tests.Lab;

/// <summary>
/// Two homes with the same network, 192.168.1.0/24, each with a gateway and a host that knows no route but its own network: through the
/// commands, with the real program, the kernel's forwarding and source NAT.
/// </summary>
[SupportedOSPlatform("linux")]
public sealed class GatewayLabTests
{
    private const string Connect =
        "param($Text, $As) Connect-LtNetwork -Invitation $Text -Route 192.168.1.0/24 -As $As -WarningAction SilentlyContinue";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task TwoHomesWithTheSameNetwork_AreReached_AndTheirGatewaysAreAsTheyWere_AfterAKillToo()
    {
        Prerequisites.SkipUnlessGateway();
        await using Laboratory laboratory = await LabFixture.StartAsync(
            Topology.OpenHosts(TimeSpan.FromMilliseconds(4), "server", "alice", "bob"));
        LabNode server = laboratory["server"], alice = laboratory["alice"], bob = laboratory["bob"];
        using var homeOfAlice = new Home(alice.Namespace + "h", "192.168.1");
        using var homeOfBob = new Home(bob.Namespace + "h", "192.168.1");
        homeOfAlice.Attach(alice, "lan", 1);
        homeOfBob.Attach(bob, "lan", 1);
        string before = GatewayNamespaces.Snapshot(alice.Namespace);
        await server.Shell.InvokeAsync(
            "$null = Start-LtServer -Address 10.0.0.1/24 -Endpoint 203.0.113.1:9000 -AutoApproveRoute gateways -AcceptRoute 10.99.0.0/16",
            cancellationToken: Token);
        string invitation =
            (await server.Shell.InvokeAsync("\"$(New-LtInvitation -Group gateways)\"", cancellationToken: Token)).Single().ToString();
        await JoinAsync(alice, "10.99.1.0/24");
        await JoinAsync(bob, "10.99.2.0/24");

        await ReachesAsync("10.99.1.20");
        await ReachesAsync("10.99.2.20");
        AssertTalks(server, homeOfAlice, "10.99.1.20");
        AssertTalks(server, homeOfBob, "10.99.2.20");
        await AssertErrorsComeBackAsync(server, "10.99.1.20");

        // Killed: what is left limits what is forwarded, and the next start puts it back before it sets it again.
        await alice.StopShellAsync(crash: true);
        await alice.StartShellAsync([LabPaths.ModuleManifest()], Token);
        Assert.NotEqual(before, GatewayNamespaces.Snapshot(alice.Namespace));
        await JoinAsync(alice, "10.99.1.0/24");
        await ReachesAsync("10.99.1.20");
        await alice.Shell.InvokeAsync("Get-LtNetwork | Disconnect-LtNetwork", cancellationToken: Token);
        Assert.Equal(before, GatewayNamespaces.Snapshot(alice.Namespace));

        async Task JoinAsync(LabNode node, string known)
        {
            await node.Shell.InvokeAsync(Connect, new { Text = invitation, As = known }, cancellationToken: Token);
            Assert.Equal(
                "no problem",
                (await node.Shell.InvokeAsync("(Get-LtNetwork).LastError ?? 'no problem'", cancellationToken: Token)).Single().ToString());
        }

        async Task ReachesAsync(string host)
        {
            // Approved, told, and taken: soon.
            CommandResult pinged;
            long began = TimeProvider.System.GetTimestamp();
            do
                pinged = await server.ExecuteAsync("ping", ["-n", "-c", "1", "-w", "2", host], Token);
            while (pinged.ExitCode != 0 && TimeProvider.System.GetElapsedTime(began) < TimeSpan.FromMinutes(2));
            Assert.True(pinged.ExitCode == 0, $"{host}: {pinged.Output}{pinged.Errors}");
        }
    }

    /// <summary>TCP both ways, and UDP, whose host sees nobody but its gateway.</summary>
    private static void AssertTalks(LabNode member, Home home, string host)
    {
        byte[] sent = new byte[1 << 20];
        new Random(1).NextBytes(sent);
        using TcpListener listener = NetworkNamespace.Run(home.Namespace, () =>
        {
            var made = new TcpListener(IPAddress.Any, 4242);
            made.Start();
            return made;
        });
        Task<byte[]> echo = Task.Run(() =>
        {
            using TcpClient accepted = listener.AcceptTcpClient();
            Assert.Equal("192.168.1.1", ((IPEndPoint)accepted.Client.RemoteEndPoint!).Address.ToString());
            byte[] got = new byte[sent.Length];
            accepted.GetStream().ReadExactly(got);
            accepted.GetStream().Write(got);
            return got;
        });
        byte[] back = NetworkNamespace.Run(member.Namespace, () =>
        {
            using var client = new TcpClient(host, 4242);
            client.GetStream().Write(sent);
            byte[] answer = new byte[sent.Length];
            client.GetStream().ReadExactly(answer);
            return answer;
        });
        Assert.Equal(sent, echo.GetAwaiter().GetResult());
        Assert.Equal(sent, back);

        using UdpClient asked = NetworkNamespace.Run(home.Namespace, () => new UdpClient(4343));
        string answered = NetworkNamespace.Run(member.Namespace, () =>
        {
            using var asking = new UdpClient(host, 4343);
            asking.Client.ReceiveTimeout = asked.Client.ReceiveTimeout = 60_000;
            asking.Send("question"u8);
            IPEndPoint from = new(IPAddress.Any, 0);
            asked.Receive(ref from);
            asked.Send("answer"u8, from);
            return System.Text.Encoding.ASCII.GetString(asking.Receive(ref from));
        });
        Assert.Equal("answer", answered);

        // The member hears that nobody listens: ICMP, with what it quotes.
        SocketError refused = NetworkNamespace.Run(member.Namespace, () =>
        {
            using var asking = new UdpClient(host, 9);
            asking.Client.ReceiveTimeout = 60_000;
            asking.Send("anybody?"u8);
            IPEndPoint from = new(IPAddress.Any, 0);
            return Assert.Throws<SocketException>(() => asking.Receive(ref from)).SocketErrorCode;
        });
        Assert.Equal(SocketError.ConnectionRefused, refused);
    }

    private static async Task AssertErrorsComeBackAsync(LabNode member, string host)
    {
        // As traceroute sees it: the gateway is one hop, by its tunnel address, and the host the next.
        CommandResult first = await member.ExecuteAsync("ping", ["-n", "-c", "1", "-w", "60", "-t", "1", host], Token);
        Assert.Contains("From 10.0.0.", first.Output, StringComparison.Ordinal);
        Assert.Contains("Time to live exceeded", first.Output, StringComparison.Ordinal);
        CommandResult second = await member.ExecuteAsync("ping", ["-n", "-c", "1", "-w", "60", "-t", "2", host], Token);
        Assert.Equal(0, second.ExitCode);

        // In pieces, or told that it is too long.
        CommandResult pieces = await member.ExecuteAsync("ping", ["-n", "-c", "1", "-w", "60", "-M", "dont", "-s", "1472", host], Token);
        Assert.Equal(0, pieces.ExitCode);
        CommandResult whole = await member.ExecuteAsync("ping", ["-n", "-c", "1", "-w", "60", "-M", "do", "-s", "1472", host], Token);
        Assert.Contains("mtu", whole.Output + whole.Errors, StringComparison.OrdinalIgnoreCase);
        CommandResult longest = await member.ExecuteAsync("ping", ["-n", "-c", "1", "-w", "60", "-M", "do", "-s", "1372", host], Token);
        Assert.Equal(0, longest.ExitCode);
    }
}
