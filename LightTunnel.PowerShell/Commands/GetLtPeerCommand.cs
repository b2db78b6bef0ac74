using System.Management.Automation;
using LightTunnel.Management;

namespace LightTunnel;

/// <summary>Shows the other nodes of a network, and how each is reached.</summary>
/// <remarks>
/// <para>The column Path says how a peer is reached: Lan and Direct are straight, Relay is through another client, Server is through
/// the server, Offline is not at all. RTT is the smoothed round trip through the tunnel; Seen is how long ago the peer was last
/// heard of.</para>
/// <para>A peer with the reason KeyChanged or NotSigned is no member here: Confirm-LtMember says what to do about it.</para>
/// <para>Where the command looks through several networks, one more column says whose peer it is.</para>
/// <para>In a network of more than 128 members, a member knows those with whom it has dealt of late, and the command shows these. With -All
/// it shows everybody, and with -Name or -Address those that are named, whoever they are: the server is asked.</para>
/// </remarks>
/// <example>
/// <code>PS> Get-LtPeer
///
/// Name                  Address         Path        RTT       Rx       Tx   Seen
/// ----                  -------         ----        ---       --       --   ----
/// office                10.0.0.1        Direct    12 ms   1.2 MB 340.5 kB    1 s
/// nas                   10.0.0.20       Server    31 ms   2.0 GB  15.1 MB    0 s</code>
/// <para>Shows all peers in all networks.</para>
/// </example>
/// <example>
/// <code>PS> Get-LtPeer | Where-Object Path -eq Server | Sort-Object Rx -Descending</code>
/// <para>Shows whose traffic goes through the server, the busiest first.</para>
/// </example>
/// <example>
/// <code>PS> Get-LtPeer web* -Network plant | Where-Object Path -ne Offline</code>
/// <para>Shows which members of a large network are online whose names begin with web.</para>
/// </example>
/// <example>
/// <code>PS> Get-LtRoute 10.0.0.20 | Get-LtPeer | Format-List</code>
/// <para>Shows everything that is known of the peer that has an address.</para>
/// </example>
[Cmdlet(VerbsCommon.Get, "LtPeer", DefaultParameterSetName = "Name")]
[OutputType(typeof(LtPeer))]
public sealed class GetLtPeerCommand : LtCommand
{
    /// <summary>Name of the peer; wildcards are allowed. All when left out.</summary>
    [Parameter(Position = 0, ParameterSetName = "Name", ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Parameter(Position = 0, ParameterSetName = "InputObject")]
    [Alias("Peer")]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ObjectText("Peer", "Name")]
    [ArgumentCompleter(typeof(PeerNameCompleter))]
    public string[]? Name { get; set; }

    /// <summary>Tunnel address of the peer; wildcards are allowed.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(AddressCompleter))]
    public string[]? Address { get; set; }

    /// <summary>Name of the tunnel that sees the peer, a server or a joined network; wildcards are allowed. All when left out.</summary>
    [Parameter(ParameterSetName = "Name", ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(TunnelNameCompleter))]
    public string[]? Network { get; set; }

    /// <summary>A server or a joined network, as Get-LtServer or Get-LtNetwork returned it.</summary>
    [Parameter(Mandatory = true, ParameterSetName = "InputObject", ValueFromPipeline = true)]
    [NotSecret]
    public LtTunnel? InputObject { get; set; }

    /// <summary>Also members of a large network with whom this machine has not dealt: the server is asked for them.</summary>
    [Parameter]
    [NotSecret]
    public SwitchParameter All { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        (string[]? names, string[]? addresses, string[]? networks, LtTunnel? tunnel) = (Name, Address, Network, InputObject);
        string[] wanted = All ? ["*"] : [.. names ?? [], .. addresses ?? []];
        Run(async (output, cancellationToken) =>
        {
            IReadOnlyList<ITunnelHandle> tunnels = await TunnelFinder.FindAsync(
                output, null, networks, tunnel, cancellationToken).ConfigureAwait(false);
            IReadOnlyList<PeerStatus> peers = await TunnelFinder.AskAllAsync(
                output, tunnels,
                handle =>
                    wanted.Length == 0 ? handle.GetPeersAsync(cancellationToken) : PeerFinder.AskAsync(handle, wanted, cancellationToken))
                .ConfigureAwait(false);
            Write(output, peers, names, addresses);
        });
    }

    private static void Write(CommandOutput output, IReadOnlyList<PeerStatus> peers, string[]? names, string[]? addresses)
    {
        NameFilter? byName = names is null ? null : new NameFilter(names);
        NameFilter? byAddress = addresses is null ? null : new NameFilter(addresses);
        foreach (PeerStatus status in peers)
        {
            // Both are asked even if the first says no, so that each knows what it has matched.
            bool nameFits = byName?.Accepts(status.Name) ?? true;
            bool addressFits = byAddress?.Accepts(status.Addresses.Select(address => address.ToString())) ?? true;
            if (!nameFits || !addressFits)
                continue;
            var peer = new LtPeer(status);
            KnownNames.Remember(peer);
            output.WriteObject(peer);
        }

        foreach (string missing in (byName?.Unmatched ?? []).Concat(byAddress?.Unmatched ?? []))
            output.WriteError(ErrorRecords.NotFound("peer", missing, "Get-LtPeer without a name shows all peers."), missing);
    }
}
