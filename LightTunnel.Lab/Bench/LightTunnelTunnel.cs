using System.Globalization;

namespace LightTunnel.Lab.Bench;

/// <summary>LightTunnel on each host, by its commands.</summary>
internal sealed class LightTunnelTunnel : IBenchTunnel
{
    /// <summary>Joins, pings until the server's first answer, and puts out the milliseconds from before the command until then.</summary>
    private const string TimedJoinScript = """
        param($Invitation, $Address, $Server)
        $pinger = [Net.NetworkInformation.Ping]::new()
        $watch = [Diagnostics.Stopwatch]::StartNew()
        $null = Connect-LtNetwork -Invitation $Invitation -Address $Address
        while ($pinger.Send($Server, 100).Status -ne 'Success') { if ($watch.Elapsed.TotalSeconds -gt 30) { throw 'No answer for 30 s.' } }
        $watch.Elapsed.TotalMilliseconds
        """;

    private readonly BenchNetwork _network;
    private string _firstInvitation = string.Empty;

    private LightTunnelTunnel(BenchNetwork network) => _network = network;

    /// <inheritdoc/>
    public string Name => "LightTunnel";

    /// <inheritdoc/>
    public string ServerAddress => "10.77.0.1";

    /// <inheritdoc/>
    public string FirstAddress => "10.77.0.10";

    /// <inheritdoc/>
    public string SecondAddress => "10.77.0.20";

    /// <inheritdoc/>
    public IReadOnlyList<int> FirstProcesses => [_network.First.Shell.ProcessId];

    /// <summary>Starts the server and joins both clients.</summary>
    public static async Task<LightTunnelTunnel> StartAsync(BenchNetwork network, CancellationToken cancellationToken)
    {
        var tunnel = new LightTunnelTunnel(network);
        string[] imports = [LabPaths.ModuleManifest()];
        foreach (LabHost host in (LabHost[])[network.Server, network.First, network.Second])
            await host.StartShellAsync(imports, cancellationToken).ConfigureAwait(false);
        await network.Server.Shell.InvokeAsync(
            $"Start-LtServer -Address {tunnel.ServerAddress}/24 -ListenPort 9000 -Endpoint {BenchNetwork.ServerForFirst}:9000",
            cancellationToken: cancellationToken).ConfigureAwait(false);
        tunnel._firstInvitation = await tunnel.InviteAsync(BenchNetwork.ServerForFirst, cancellationToken).ConfigureAwait(false);
        await tunnel.JoinFirstAsync(cancellationToken).ConfigureAwait(false);
        string second = await tunnel.InviteAsync(BenchNetwork.ServerForSecond, cancellationToken).ConfigureAwait(false);
        await tunnel.JoinAsync(network.Second, second, tunnel.SecondAddress, cancellationToken).ConfigureAwait(false);
        return tunnel;
    }

    /// <summary>Lets the first client leave and join again; milliseconds from before Connect-LtNetwork to the first pong.</summary>
    public async Task<double> RejoinFirstAsync(CancellationToken cancellationToken)
    {
        await _network.First.Shell.InvokeAsync("Disconnect-LtNetwork -Name *", cancellationToken: cancellationToken).ConfigureAwait(false);
        return await JoinFirstAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The shells belong to the hosts and end with them.</summary>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private Task<double> JoinFirstAsync(CancellationToken cancellationToken) => JoinAsync(_network.First, _firstInvitation, FirstAddress, cancellationToken);

    private async Task<string> InviteAsync(string host, CancellationToken cancellationToken) => (await _network.Server.Shell.InvokeAsync(
        string.Create(CultureInfo.InvariantCulture, $"\"$(New-LtInvitation -Endpoint {host}:9000)\""), cancellationToken: cancellationToken).ConfigureAwait(false))
        .Single().ToString();

    private async Task<double> JoinAsync(LabHost host, string invitation, string address, CancellationToken cancellationToken) => (await host.Shell.InvokeAsync(
        TimedJoinScript, new { Invitation = invitation, Address = address, Server = ServerAddress }, cancellationToken: cancellationToken).ConfigureAwait(false))
        .Single().Value.GetDouble();
}
