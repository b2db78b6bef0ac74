using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using LightTunnel.Lab;
using LightTunnel.Lab.Namespaces;
using LightTunnel.Lab.Shells;
using Xunit;

namespace LightTunnel.Tests.Lab;

/// <summary>A real network of three machines, driven and looked at through the commands only, as its users do.</summary>
[CollectionDefinition(nameof(RunningNetwork))]
public sealed class RunningNetworkSet : ICollectionFixture<RunningNetwork>;

/// <summary>Server, alice and bob, up and joined.</summary>
public sealed class RunningNetwork : IAsyncLifetime
{
    private readonly LabFixture _fixture = new();
    private bool _joined;

    internal LabNode Server => _fixture.Server;

    internal LabNode Alice => _fixture.Alice;

    internal LabNode Bob => _fixture.Bob;

    internal string Invitation { get; private set; } = string.Empty;

    public async ValueTask InitializeAsync() => await _fixture.InitializeAsync();

    public ValueTask DisposeAsync() => _fixture.DisposeAsync();

    /// <summary>Sets the network up at the first use; skips the test where there can be no laboratory.</summary>
    internal async Task JoinAsync()
    {
        LabNode server = Server;
        if (_joined)
            return;
        await server.Shell.InvokeAsync("Start-LtServer -Address 10.0.0.1/24, fd00:9::1/64 -ListenPort 9000 -Endpoint 203.0.113.1:9000");
        Invitation = (await server.Shell.InvokeAsync("(New-LtInvitation).Text")).Single().ToString();
        await Alice.Shell.InvokeAsync("param($text) Connect-LtNetwork -Invitation $text -Address 10.0.0.10", new { text = Invitation });
        await Bob.Shell.InvokeAsync("param($text) Connect-LtNetwork -Invitation $text -Address 10.0.0.20", new { text = Invitation });
        _joined = true;
    }
}

[Collection(nameof(RunningNetwork))]
public sealed partial class NetworkThroughCommandsTests(RunningNetwork network)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Everybody_PingsEverybody_InBothFamilies()
    {
        await network.JoinAsync();
        string alice6 = await AddressOf(network.Alice, family: 1);
        foreach ((LabNode from, string to) in new[]
        {
            (network.Alice, "10.0.0.1"), (network.Server, "10.0.0.10"), (network.Alice, "10.0.0.20"), (network.Bob, "10.0.0.10"),
            (network.Alice, "fd00:9::1"), (network.Server, alice6), (network.Bob, alice6),
        })
        {
            CommandResult ping = await Ping(from, to);
            Assert.True(ping.ExitCode == 0, $"{from.Name} -> {to}: {ping.Output}{ping.Errors}");
        }
    }

    [Theory]
    [InlineData("alice", "server", "10.0.0.1")]
    [InlineData("server", "alice", "10.0.0.10")]
    [InlineData("alice", "bob", "10.0.0.20")]
    public async Task Tcp_CarriesWhatWasSent(string from, string to, string address)
    {
        await network.JoinAsync();
        byte[] content = new byte[1 << 20];
        new Random(1).NextBytes(content);
        using Socket listener = NetworkNamespace.Run(Node(to).Namespace, () => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
        using Socket sender = NetworkNamespace.Run(Node(from).Namespace, () => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
        listener.Bind(new IPEndPoint(IPAddress.Parse(address), 0));
        listener.Listen();

        Task sending = Task.Run(
            async () =>
            {
                await sender.ConnectAsync(listener.LocalEndPoint!, Token);
                for (int sent = 0; sent < content.Length;)
                    sent += await sender.SendAsync(content.AsMemory(sent), Token);
                sender.Shutdown(SocketShutdown.Send);
            },
            Token);
        using Socket receiver = await listener.AcceptAsync(Token);
        using var received = new MemoryStream();
        await new NetworkStream(receiver).CopyToAsync(received, Token);
        await sending;

        Assert.Equal(content, received.ToArray());
    }

    [Fact]
    public async Task RelayedRoutes_AreFound_AsThePromiseSays()
    {
        await network.JoinAsync();
        await Ping(network.Alice, "10.0.0.20");

        ShellResult relayed = await network.Alice.Shell.InvokeAsync("Get-LtRoute | Where Type -eq Server | Where Destination -like '10.*'", cancellationToken: Token);
        ShellObject route = relayed.Single();
        Assert.Equal("10.0.0.20/32", route.Text("Destination"));
        Assert.Equal("10.0.0.1", route.Text("NextHop"));
        Assert.Equal("bob", route.Text("Peer"));
        Assert.Equal("LightTunnel.LtRoute", route.Types[0]);

        ShellResult direct = await network.Alice.Shell.InvokeAsync("Get-LtRoute -Destination 10.0.0.1/32", cancellationToken: Token);
        Assert.Equal("Direct", direct.Single().Text("Type"));
    }

    [Fact]
    public async Task DefaultViews_FitIn80Columns()
    {
        await network.JoinAsync();
        foreach (string command in new[] { "Get-LtPeer", "Get-LtRoute", "Get-LtNetwork", "Get-LtLog -Tail 5" })
        {
            ShellResult result = await network.Alice.Shell.TryInvokeAsync(command, render: true, cancellationToken: Token);
            Assert.Empty(result.Errors);
            Assert.All(result.Text.Split('\n'), line => Assert.True(line.TrimEnd().Length <= 80, line));
        }

        ShellResult peers = await network.Alice.Shell.TryInvokeAsync("Get-LtPeer", render: true, cancellationToken: Token);
        Assert.Contains("bob", peers.Text, StringComparison.Ordinal);
        Assert.Contains("10.0.0.20", peers.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AddressNobodyHas_IsUnreachable_NotSilent()
    {
        await network.JoinAsync();
        CommandResult ping = await network.Alice.PingAsync("10.0.0.77", 1, TimeSpan.FromSeconds(1), Token);
        Assert.Contains("Destination Host Unreachable", ping.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ServersOwnPackets_ComingFromItsTun_AreDropped_WithTheContractsWarning()
    {
        await network.JoinAsync();

        // A routing loop by hand: the server's own address is taken from the local table, so that it is routed into the tunnel.
        string server = network.Server.Namespace;
        NetworkNamespace.Execute(server, "ip", ["route", "del", "local", "10.0.0.1", "dev", "lt0", "table", "local"]);
        try
        {
            await network.Server.PingAsync("10.0.0.1", 1, TimeSpan.FromSeconds(1), Token, "-I", "203.0.113.1", "-W", "1");
            ShellResult log = await network.Server.Shell.InvokeAsync("Get-LtLog -Level Warning | ForEach-Object Message", cancellationToken: Token);
            Assert.Contains(
                "WARNING: Unexpected packet from TUN destined for server itself (dstIP=10.0.0.1). This might indicate a routing loop.",
                log.Output.Select(line => line.ToString()));
        }
        finally
        {
            NetworkNamespace.Execute(server, "ip", ["route", "add", "local", "10.0.0.1", "dev", "lt0", "src", "10.0.0.1", "scope", "host", "table", "local"]);
        }
    }

    [Fact]
    public async Task AnotherSessionOfTheMachine_SeesAndStopsTunnels_OfItsOwnMachineOnly()
    {
        await network.JoinAsync();
        await using ShellSession other = await ShellSession.StartAsync(network.Bob.ShellOptions([LabPaths.ModuleManifest()]), Token);

        ShellResult networks = await other.InvokeAsync("Get-LtNetwork", cancellationToken: Token);
        Assert.Equal("bob", networks.Single().Text("Name"));
        Assert.Equal("2", (await other.InvokeAsync("(Get-LtPeer | ForEach-Object Name).Count", cancellationToken: Token)).Single().ToString());
        Assert.Empty((await other.InvokeAsync("Get-LtServer", cancellationToken: Token)).Output);

        await other.InvokeAsync("Disconnect-LtNetwork bob", cancellationToken: Token);
        Assert.Empty((await network.Bob.Shell.InvokeAsync("Get-LtNetwork", cancellationToken: Token)).Output);
        await network.Bob.Shell.InvokeAsync("param($text) Connect-LtNetwork -Invitation $text", new { text = network.Invitation }, cancellationToken: Token);
        Assert.Equal("10.0.0.20", await AddressOf(network.Bob, family: 0));
    }

    [Fact]
    public async Task Log_CanBeFollowed_AndFollowingEndsWithCtrlC()
    {
        await network.JoinAsync();
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var seen = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        Task<ShellResult> following = network.Server.Shell.TryInvokeAsync(
            "Get-LtLog -Follow -Tail 1", runspace: "follower", onOutput: entry => seen.TrySetResult(entry.Text("Message")!), cancellationToken: cancel.Token);

        Assert.NotEmpty(await seen.Task.WaitAsync(TimeSpan.FromSeconds(30), Token));
        await cancel.CancelAsync();
        ShellResult result = await following.WaitAsync(TimeSpan.FromSeconds(10), Token);
        Assert.Equal(ShellState.Stopped, result.State);
    }

    [Theory]
    [InlineData("Connect-LtNetwork -Name twin -StatePath state2 -Invitation $text -Address 10.0.0.20", "AddressTaken")]
    [InlineData("Connect-LtNetwork -Name twin -StatePath state2 -Invitation $text -Address 10.9.0.20", "InvalidAddress")]
    [InlineData("Connect-LtNetwork -Name alice -StatePath state2 -Invitation $text", "NameInUse")]
    [InlineData("Connect-LtNetwork -Name twin -StatePath state -Invitation $text", "StateInUse")]
    [InlineData("Connect-LtNetwork -Name twin -StatePath state2 -Invitation $text.Substring(0, 60)", "InvalidInvitation")]
    [InlineData("Connect-LtNetwork -Name twin -StatePath state2 -InterfaceName lt0 -Invitation $text", "InterfaceNameInUse")]
    [InlineData("Connect-LtNetwork -Name twin -StatePath state2 -LogPath /proc/no/log -Invitation $text", "FileAccess")]
    public async Task WrongInput_ToConnect_HasItsErrorAndRemedy(string script, string errorId)
    {
        await network.JoinAsync();
        ShellResult result = await network.Alice.Shell.TryInvokeAsync("param($text) " + script, new { text = network.Invitation }, cancellationToken: Token);
        AssertError(result, $"{errorId},LightTunnel.ConnectLtNetworkCommand");
        Assert.Equal("alice", (await network.Alice.Shell.InvokeAsync("Get-LtNetwork", cancellationToken: Token)).Single().Text("Name"));
    }

    [Fact]
    public async Task ExpiredInvitation_IsRefused_WithItsDate()
    {
        await network.JoinAsync();
        string expired = (await network.Server.Shell.InvokeAsync("(New-LtInvitation -Expires ([DateTimeOffset]::UtcNow.AddSeconds(1))).Text", cancellationToken: Token)).Single().ToString();
        ShellResult result;
        do
        {
            result = await network.Alice.Shell.TryInvokeAsync(
                "param($text) Connect-LtNetwork -Name twin -StatePath state3 -InterfaceName lt0 -Invitation $text", new { text = expired }, cancellationToken: Token);
        }
        while (result.Errors[0].ErrorId.StartsWith("InterfaceNameInUse", StringComparison.Ordinal));
        AssertError(result, "InvitationExpired,LightTunnel.ConnectLtNetworkCommand");
    }

    private static void AssertError(ShellResult result, string errorId)
    {
        ShellError error = Assert.Single(result.Errors);
        Assert.Equal(errorId, error.ErrorId);
        Assert.NotEqual("NotSpecified", error.Category);
        Assert.False(string.IsNullOrWhiteSpace(error.RecommendedAction), error.ToString());
    }

    private static async Task<string> AddressOf(LabNode node, int family)
    {
        ShellResult result = await node.Shell.InvokeAsync($"(Get-LtNetwork).Addresses[{family}].ToString()", cancellationToken: Token);
        return AddressPattern().Match(result.Single().ToString()).Value;
    }

    private static Task<CommandResult> Ping(LabNode from, string to) =>
        from.PingAsync(to, 2, TimeSpan.FromMilliseconds(100), Token, "-w", "20");

    private LabNode Node(string name) => name switch { "alice" => network.Alice, "bob" => network.Bob, _ => network.Server };

    [GeneratedRegex("^[^/]+")]
    private static partial Regex AddressPattern();
}
