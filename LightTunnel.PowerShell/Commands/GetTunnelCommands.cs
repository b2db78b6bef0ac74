using System.Management.Automation;
using LightTunnel.Management;
using LightTunnel.Membership;

namespace LightTunnel;

/// <summary>Shows the servers that run on this machine.</summary>
/// <remarks>
/// <para>Shows servers of this PowerShell process and of every other one on this machine, also those that a service or a scheduled task has
/// started. Each object is how things stood at that moment. The column Peers counts the clients that are online.</para>
/// </remarks>
/// <example>
/// <code>PS> Get-LtServer
///
/// Name             State        Address            Listen Peers  Relayed  Uptime
/// ----             -----        -------            ------ -----  -------  ------
/// office           Up           10.0.0.1/24          9000     3   1.2 MB     2 h</code>
/// <para>Shows all servers of this machine.</para>
/// </example>
[Cmdlet(VerbsCommon.Get, "LtServer")]
[OutputType(typeof(LtServer))]
public sealed class GetLtServerCommand : LtCommand
{
    /// <summary>Name of the server; wildcards are allowed. All when left out.</summary>
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ServerNameCompleter))]
    public string[]? Name { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        string[]? names = Name;
        Run((output, cancellationToken) => GetTunnels.WriteAsync(output, TunnelRole.Server, names, cancellationToken));
    }
}

/// <summary>Shows the networks that this machine has joined.</summary>
/// <remarks>
/// <para>Shows networks that this PowerShell process or any other one on this machine has joined. Each object is how things stood at that
/// moment. The column Peers shows how many peers are reached directly, of how many that are online.</para>
/// </remarks>
/// <example>
/// <code>PS> Get-LtNetwork
///
/// Name         State        Address            Server                Peers Uptime
/// ----         -----        -------            ------                ----- ------
/// laptop       Up           10.0.0.2/24        203.0.113.7:9000        1/3    2 h</code>
/// <para>Shows all networks that this machine has joined.</para>
/// </example>
/// <example>
/// <code>PS> Get-LtNetwork laptop | Format-List</code>
/// <para>Shows everything that is known of one network.</para>
/// </example>
[Cmdlet(VerbsCommon.Get, "LtNetwork")]
[OutputType(typeof(LtNetwork))]
public sealed class GetLtNetworkCommand : LtCommand
{
    /// <summary>Name under which the network was joined; wildcards are allowed. All when left out.</summary>
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(NetworkNameCompleter))]
    public string[]? Name { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        string[]? names = Name;
        Run((output, cancellationToken) => GetTunnels.WriteAsync(output, TunnelRole.Client, names, cancellationToken));
    }
}

file static class GetTunnels
{
    public static async Task WriteAsync(CommandOutput output, TunnelRole role, string[]? names, CancellationToken cancellationToken)
    {
        IReadOnlyList<ITunnelHandle> tunnels = await TunnelFinder.ByNameAsync(output, role, names, cancellationToken).ConfigureAwait(false);
        foreach (FoundTunnel tunnel in await TunnelFinder.StatusOfAllAsync(output, tunnels, cancellationToken).ConfigureAwait(false))
            output.WriteObject(tunnel.ToObject());
    }
}
