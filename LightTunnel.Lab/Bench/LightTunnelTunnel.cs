using System.Globalization;
using LightTunnel.Lab.Shells;

namespace LightTunnel.Lab.Bench;

/// <summary>LightTunnel on each host, by its commands.</summary>
internal sealed class LightTunnelTunnel : IBenchTunnel
{
    /// <summary>Joins, pings until the server's first answer, and puts out the milliseconds from before the command until then.</summary>
    private const string TimedJoinScript = """
        param($Invitation, $Address, $Server)
        $pinger = [Net.NetworkInformation.Ping]::new()
        $watch = [Diagnostics.Stopwatch]::StartNew()
        $null = Connect-LtNetwork -Invitation $Invitation -Address $Address ARGUMENTS
        while ($pinger.Send($Server, 100).Status -ne 'Success') { if ($watch.Elapsed.TotalSeconds -gt 30) { throw 'No answer for 30 s.' } }
        $watch.Elapsed.TotalMilliseconds
        """;

    private const string CollectScript = """
        foreach ($i in 1..2) { [GC]::Collect(2, [GCCollectionMode]::Aggressive, $true, $true); [GC]::WaitForPendingFinalizers() }
        """;

    /// <summary>What is left of it in a host without the module.</summary>
    private static readonly string WithoutTheModule = TimedJoinScript.Replace("$null = Connect-LtNetwork", "#", StringComparison.Ordinal);

    private readonly BenchNetwork _network;
    private int _joinsOfFirst;
    private string _arguments = string.Empty;
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
    public int ProcessOn(LabHost host) => host.Shell.ProcessId;

    /// <summary>Starts the server and joins both clients.</summary>
    public static async Task<LightTunnelTunnel> StartAsync(BenchNetwork network, CancellationToken cancellationToken)
    {
        string[] imports = [LabPaths.ModuleManifest()];
        foreach (LabHost host in network.Hosts)
            await host.StartShellAsync(imports, cancellationToken).ConfigureAwait(false);
        var tunnel = new LightTunnelTunnel(network);
        await tunnel.StartNetworkAsync(cancellationToken).ConfigureAwait(false);
        return tunnel;
    }

    /// <summary>Stops everything and starts it with other arguments, unless it runs with these; the processes stay.</summary>
    public async Task RestartAsync(string arguments, CancellationToken cancellationToken)
    {
        if (arguments == _arguments)
            return;
        foreach (LabHost client in (LabHost[])[_network.First, _network.Second])
            await client.Shell.InvokeAsync("Disconnect-LtNetwork -Name *", cancellationToken: cancellationToken).ConfigureAwait(false);
        await _network.Server.Shell.InvokeAsync("Stop-LtServer -Name *", cancellationToken: cancellationToken).ConfigureAwait(false);
        _arguments = arguments;
        await StartNetworkAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Lets the first client leave and join again; milliseconds from before Connect-LtNetwork to the first pong.</summary>
    public async Task<double> RejoinFirstAsync(CancellationToken cancellationToken)
    {
        await _network.First.Shell.InvokeAsync("Disconnect-LtNetwork -Name *", cancellationToken: cancellationToken).ConfigureAwait(false);
        return await JoinFirstAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>
    /// Makes a host without the module comparable to the first client's: it runs as many scripts, which cost it memory as well. In both,
    /// garbage is collected: what a host has allocated and dropped says how much it did, not how much it needs.
    /// </summary>
    public async Task LevelAsync(ShellSession bare, CancellationToken cancellationToken)
    {
        for (int i = 0; i < _joinsOfFirst; i++)
        {
            await bare.InvokeAsync(
                WithoutTheModule, new { Invitation = _firstInvitation, Address = FirstAddress, Server = "127.0.0.1" },
                cancellationToken: cancellationToken).ConfigureAwait(false);
        }
        foreach (ShellSession shell in (ShellSession[])[bare, _network.First.Shell])
            await shell.InvokeAsync(CollectScript, cancellationToken: cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The shells belong to the hosts and end with them.</summary>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private async Task StartNetworkAsync(CancellationToken cancellationToken)
    {
        await _network.Server.Shell.InvokeAsync(
            $"Start-LtServer -Address {ServerAddress}/24 -ListenPort 9000 -Endpoint {BenchNetwork.ServerForFirst}:9000 {_arguments}",
            cancellationToken: cancellationToken).ConfigureAwait(false);
        _firstInvitation = await InviteAsync(BenchNetwork.ServerForFirst, cancellationToken).ConfigureAwait(false);
        await JoinFirstAsync(cancellationToken).ConfigureAwait(false);
        string second = await InviteAsync(BenchNetwork.ServerForSecond, cancellationToken).ConfigureAwait(false);
        await JoinAsync(_network.Second, second, SecondAddress, cancellationToken).ConfigureAwait(false);
    }

    private Task<double> JoinFirstAsync(CancellationToken cancellationToken)
    {
        _joinsOfFirst++;
        return JoinAsync(_network.First, _firstInvitation, FirstAddress, cancellationToken);
    }

    private async Task<string> InviteAsync(string host, CancellationToken cancellationToken) => (await _network.Server.Shell.InvokeAsync(
        string.Create(CultureInfo.InvariantCulture, $"\"$(New-LtInvitation -Endpoint {host}:9000)\""),
        cancellationToken: cancellationToken).ConfigureAwait(false))
        .Single().ToString();

    private async Task<double> JoinAsync(LabHost host, string invitation, string address, CancellationToken cancellationToken) =>
        (await host.Shell.InvokeAsync(
            TimedJoinScript.Replace("ARGUMENTS", _arguments, StringComparison.Ordinal),
            new { Invitation = invitation, Address = address, Server = ServerAddress },
            cancellationToken: cancellationToken).ConfigureAwait(false))
            .Single().Value.GetDouble();
}
