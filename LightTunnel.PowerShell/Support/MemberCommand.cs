using System.Management.Automation;
using LightTunnel.Membership;

namespace LightTunnel;

/// <summary>What the commands that change something about members have in common: which ones.</summary>
public abstract class MemberCommand : LtCommand
{
    /// <summary>Name or tunnel address of the member; wildcards are allowed.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("Peer", "Address")]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    [ObjectText("Address", "Peer", "Name")]
    [ArgumentCompleter(typeof(PeerCompleter))]
    public string[] Name { get; set; } = [];

    /// <summary>Those that are meant, as the tunnels of one role see them; what names none becomes an error.</summary>
    private protected IReadOnlyList<FoundPeer> Find(TunnelRole role, string[]? networks)
    {
        string[] names = Name;
        IReadOnlyList<FoundPeer> found = [];
        Run(
            async (output, cancellationToken) =>
                found = await PeerFinder.FindAsync(output, role, networks, names, cancellationToken).ConfigureAwait(false),
            names);
        return found;
    }
}
