using System.Management.Automation;
using LightTunnel.Management;

namespace LightTunnel;

/// <summary>Shows on one screen how all tunnels of this machine stand.</summary>
/// <remarks>
/// <para>The first thing to type: what runs, where it stands, who is there, who is relayed and why. That there is no tunnel is
/// no error.</para>
/// <para>Get-LtServer, Get-LtNetwork, Get-LtPeer and Get-LtRoute tell more, as objects. -AsJson is for programs that are no PowerShell: its
/// member "schema" rises when a member goes or changes its meaning, and stays when one is added.</para>
/// </remarks>
/// <example>
/// <code>PS> Get-LtStatus
///
/// LightTunnel 0.1.0 on laptop
///
/// Network laptop: Up, started 2 h ago
///   Address      10.0.0.2/24 on lt0, UDP port 51002
///   Server       office at 203.0.113.7:9000, 12 ms
///   NAT          Port-Restricted Cone, seen as 198.51.100.4:40000
///   Members      2 of 3 online: 1 direct, 1 relayed
///   Traffic      5.0 MB received, 1.2 kB sent
///   Relayed      nas: Both NATs choose ports that cannot be predicted.</code>
/// <para>Shows everything on one screen.</para>
/// </example>
/// <example>
/// <code>PS> Get-LtStatus -AsJson | Set-Content status.json</code>
/// <para>Writes it down for another program, such as a monitor.</para>
/// </example>
[Cmdlet(VerbsCommon.Get, "LtStatus")]
[OutputType(typeof(LtStatus), typeof(string))]
public sealed class GetLtStatusCommand : LtCommand
{
    /// <summary>Name of the tunnel, a server or a joined network; wildcards are allowed. All when left out.</summary>
    [Parameter(Position = 0)]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(TunnelNameCompleter))]
    public string[]? Name { get; set; }

    /// <summary>Returns JSON text instead of an object.</summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter AsJson { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        (string[]? names, bool asJson) = (Name, AsJson);
        Run(async (output, cancellationToken) =>
        {
            IReadOnlyList<ITunnelHandle> tunnels = await TunnelFinder.ByNameAsync(
                output, null, names, cancellationToken).ConfigureAwait(false);
            IReadOnlyList<(FoundTunnel, IReadOnlyList<PeerStatus>)> found =
                await TunnelFinder.AskAllAsync<(FoundTunnel, IReadOnlyList<PeerStatus>)>(
                    output, tunnels,
                    async tunnel =>
                    [
                        (new FoundTunnel(tunnel, await tunnel.GetStatusAsync(cancellationToken).ConfigureAwait(false)),
                            await tunnel.GetPeersAsync(cancellationToken).ConfigureAwait(false)),
                    ]).ConfigureAwait(false);
            var status = new LtStatus(found, DateTimeOffset.UtcNow);
            output.WriteObject(asJson ? status.ToJson() : status);
        });
    }
}
