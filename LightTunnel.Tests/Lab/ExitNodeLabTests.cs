using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using LightTunnel.Lab;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Tests.Forwarding;
using Xunit;

namespace LightTunnel.Tests.Lab;

/// <summary>
/// A member that goes out by another one, through the commands: what hosts of the internet see, what its own uplink sees, and what is left
/// of it afterwards.
/// </summary>
[SupportedOSPlatform("linux")]
public sealed class ExitNodeLabTests
{
    private const int Port = 4242;
    private const string Web = "203.0.113.3", WebV6 = "2001:db8::3", Office = "203.0.113.2", OfficeV6 = "2001:db8::2";
    private const string Alice = "203.0.113.4", AliceV6 = "2001:db8::4";

    /// <summary>The server and the other member, whom the tunnel's datagrams are for.</summary>
    private static readonly string[] s_others = ["203.0.113.1", "[2001:db8::1]", Office, $"[{OfficeV6}]"];

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Member_GoesOutByAnExitNode_NothingLeaks_AndItsMachineIsAsItWas_AfterAKillToo()
    {
        Prerequisites.SkipUnlessGateway();
        await using Laboratory laboratory = await LabFixture.StartAsync(
            Topology.OpenHosts(TimeSpan.FromMilliseconds(2), "server", "office", "web", "alice"));
        LabNode server = laboratory["server"], office = laboratory["office"], alice = laboratory["alice"];
        using var web = new WhoAsks(laboratory["web"]);
        string before = GatewayNamespaces.Snapshot(alice.Namespace), officeBefore = GatewayNamespaces.Snapshot(office.Namespace);
        await RunningNetwork.StartServerAsync(laboratory);
        string invitation = (await server.Shell.InvokeAsync("\"$(New-LtInvitation)\"", cancellationToken: Token)).Single().ToString();
        await office.Shell.InvokeAsync(
            "param($Text) Connect-LtNetwork -Invitation $Text -OfferExitNode -WarningAction SilentlyContinue", new { Text = invitation },
            cancellationToken: Token);
        await server.Shell.InvokeAsync(
            "while (@(Get-LtRoute | Where-Object Standing -eq Offered).Count -lt 2) { Start-Sleep -Milliseconds 100 }; "
                + "Get-LtRoute | Where-Object Standing -eq Offered | Approve-LtRoute",
            cancellationToken: Token);
        await alice.Shell.InvokeAsync(
            "param($Text) Connect-LtNetwork -Invitation $Text", new { Text = invitation }, cancellationToken: Token);
        Assert.Equal((Alice, AliceV6), (SeenAs(alice, Web), SeenAs(alice, WebV6)));

        using var uplink = new Uplink(alice);
        await alice.Shell.InvokeAsync(
            "while (@(Get-LtRoute | Where-Object Destination -like '*/0').Count -lt 2) { Start-Sleep -Milliseconds 100 }; "
                + "Set-LtNetwork alice -ExitNode office -KillSwitch; if ($problem = (Get-LtNetwork).LastError) { throw $problem }; "
                + "if ((Get-LtNetwork).ExitNode -ne 'office') { throw 'It does not say so.' }",
            cancellationToken: Token);
        int sent = uplink.Sent.Count;
        await SeenAsync(Web, Office);
        await SeenAsync(WebV6, OfficeV6);
        AskForNames(alice);
        Assert.Null(SeenAs(alice, "192.168.77.1")); // What the exit node has of its own is not the internet.
        AssertOnlyTunnel(uplink.Sent.Skip(sent));

        // Killed: nothing gets out, and the next start goes on where this one was.
        await alice.StopShellAsync(crash: true);
        Assert.Equal((null, null), (SeenAs(alice, Web), SeenAs(alice, WebV6)));
        AskForNames(alice);
        await alice.StartShellAsync([LabPaths.ModuleManifest()], Token);
        await alice.Shell.InvokeAsync(
            "param($Text) Connect-LtNetwork -Invitation $Text -ExitNode office -KillSwitch -WarningAction SilentlyContinue",
            new { Text = invitation }, cancellationToken: Token);
        await SeenAsync(Web, Office);
        await SeenAsync(WebV6, OfficeV6);
        AssertOnlyTunnel(uplink.Sent.Skip(sent));

        await alice.Shell.InvokeAsync("Get-LtNetwork | Disconnect-LtNetwork", cancellationToken: Token);
        Assert.Equal((Alice, AliceV6), (SeenAs(alice, Web), SeenAs(alice, WebV6)));
        Assert.Equal(before, GatewayNamespaces.Snapshot(alice.Namespace));
        await office.Shell.InvokeAsync("Get-LtNetwork | Disconnect-LtNetwork", cancellationToken: Token);
        Assert.Equal(officeBefore, GatewayNamespaces.Snapshot(office.Namespace));

        async Task SeenAsync(string host, string expected)
        {
            long began = TimeProvider.System.GetTimestamp();
            string? seen;
            while ((seen = SeenAs(alice, host)) != expected)
            {
                Assert.True(seen is null, $"{host} sees {seen}.");
                Assert.True(TimeProvider.System.GetElapsedTime(began) < Patience, $"{host} is not reached.");
                await Task.Delay(100, Token);
            }
        }
    }

    /// <summary>The address that a host of the internet sees; null when it is not reached.</summary>
    private static string? SeenAs(LabNode node, string host) => NetworkNamespace.Run(node.Namespace, () =>
    {
        using var client = new Socket(IPAddress.Parse(host).AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        client.SetRawSocketOption(6, 7, BitConverter.GetBytes(2)); // TCP_SYNCNT: some seconds
        client.ReceiveTimeout = 60_000;
        try
        {
            client.Connect(IPAddress.Parse(host), Port);
            byte[] answer = new byte[64];
            return System.Text.Encoding.ASCII.GetString(answer, 0, client.Receive(answer));
        }
        catch (SocketException)
        {
            return null;
        }
    });

    /// <summary>As resolvers do, of the local network and of the internet; whether anybody answers does not matter here.</summary>
    private static void AskForNames(LabNode node) => NetworkNamespace.Run(node.Namespace, () =>
    {
        foreach (string resolver in (string[])["192.168.1.1", "203.0.113.53", "2001:db8::53"])
        {
            using var socket = new UdpClient(resolver.Contains(':', StringComparison.Ordinal)
                ? AddressFamily.InterNetworkV6
                : AddressFamily.InterNetwork);
            try
            {
                socket.Send("question"u8, new IPEndPoint(IPAddress.Parse(resolver), 53));
            }
            catch (SocketException)
            {
                // It was kept in.
            }
        }

        return true;
    });

    private static void AssertOnlyTunnel(IEnumerable<string> sent)
    {
        string[] others = [.. sent.Where(packet => !IsTunnels(packet)).Distinct()];
        Assert.True(others.Length == 0, string.Join(", ", others));

        static bool IsTunnels(string packet) =>
            s_others.Any(address => packet.StartsWith($"UDP {address}:", StringComparison.Ordinal))
            && !packet.EndsWith(":53", StringComparison.Ordinal);
    }

    /// <summary>A host of the internet that tells everybody the address that it sees.</summary>
    private sealed class WhoAsks : IDisposable
    {
        private readonly TcpListener _listener;

        public WhoAsks(LabNode node)
        {
            _listener = NetworkNamespace.Run(node.Namespace, () =>
            {
                var made = new TcpListener(IPAddress.IPv6Any, Port);
                made.Server.DualMode = true;
                made.Start();
                return made;
            });
            _ = AnswerAsync();
        }

        public void Dispose() => _listener.Dispose();

        private async Task AnswerAsync()
        {
            try
            {
                while (true)
                {
                    using TcpClient client = await _listener.AcceptTcpClientAsync();
                    IPAddress seen = ((IPEndPoint)client.Client.RemoteEndPoint!).Address;
                    string text = (seen.IsIPv4MappedToIPv6 ? seen.MapToIPv4() : seen).ToString();
                    await client.GetStream().WriteAsync(System.Text.Encoding.ASCII.GetBytes(text));
                }
            }
            catch (Exception exception) when (exception is SocketException or ObjectDisposedException or IOException)
            {
                // It is over.
            }
        }
    }
}
