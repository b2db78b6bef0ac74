using LightTunnel.Diagnostics;
using LightTunnel.Management;
using LightTunnel.Membership;

namespace LightTunnel;

/// <summary>A peer and the tunnel that sees it.</summary>
internal sealed record FoundPeer(ITunnelHandle Tunnel, PeerStatus Status);

/// <summary>
/// From what a person wrote to peers: by name or tunnel address, wildcards allowed, or by a destination that is routed to them.
/// </summary>
internal static class PeerFinder
{
    private const string Remedy = "Get-LtPeer shows the peers that there are.";

    /// <summary>
    /// Peers of the tunnels that are looked through. Each text without wildcards that names none becomes an error, with a word of its own
    /// when it names this machine.
    /// </summary>
    public static async Task<IReadOnlyList<FoundPeer>> FindAsync(
        CommandOutput output, TunnelRole? role, string[]? networks, string[] peers, CancellationToken cancellationToken)
    {
        IReadOnlyList<ITunnelHandle> tunnels = await TunnelFinder.AnyByNameAsync(
            output, role, networks, cancellationToken).ConfigureAwait(false);
        if (tunnels.Count == 0)
            return [];
        IReadOnlyList<FoundPeer> all = await TunnelFinder.AskAllAsync<FoundPeer>(
            output, tunnels,
            async tunnel =>
                [.. (await AskAsync(tunnel, peers, cancellationToken).ConfigureAwait(false)).Select(status =>
                    new FoundPeer(tunnel, status))])
            .ConfigureAwait(false);
        var filter = new NameFilter(peers);
        FoundPeer[] found = [.. all.Where(peer => filter.Accepts(NamesOf(peer.Status)))];
        await WriteMissingAsync(output, tunnels, filter, "peer", Remedy, cancellationToken).ConfigureAwait(false);
        return found;
    }

    /// <summary>What named nobody becomes an error each, with a word of its own when it names this machine.</summary>
    /// <param name="output">Takes the errors.</param>
    /// <param name="tunnels">The tunnels that were looked through.</param>
    /// <param name="filter">What was looked for.</param>
    /// <param name="what">The word for it.</param>
    /// <param name="remedy">What shows those that there are.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async Task WriteMissingAsync(
        CommandOutput output, IReadOnlyList<ITunnelHandle> tunnels, NameFilter filter, string what, string remedy,
        CancellationToken cancellationToken)
    {
        string[] missing = [.. filter.Unmatched];
        if (missing.Length == 0)
            return;

        var own = new NameFilter(missing);
        foreach (FoundTunnel tunnel in await TunnelFinder.StatusOfAllAsync(output, tunnels, cancellationToken).ConfigureAwait(false))
            own.Accepts(tunnel.Status.Addresses.Select(address => address.Split('/')[0]).Append(tunnel.Status.Name));
        string[] unknown = [.. own.Unmatched];
        foreach (string text in missing)
            output.WriteError(unknown.Contains(text) ? ErrorRecords.NotFound(what, text, remedy) : Itself(text, remedy), text);
    }

    /// <summary>Peers of a tunnel, among them those that names or addresses mean; what is not meant is still to be left out.</summary>
    public static async Task<IReadOnlyList<PeerStatus>> AskAsync(
        ITunnelHandle tunnel, IEnumerable<string> texts, CancellationToken cancellationToken)
    {
        var found = new Dictionary<string, PeerStatus>(StringComparer.Ordinal);
        foreach (string pattern in texts.Select(PatternOf).Distinct(StringComparer.OrdinalIgnoreCase))
        {
            foreach (PeerStatus status in await tunnel.FindPeersAsync(pattern, cancellationToken).ConfigureAwait(false))
                found.TryAdd(status.PublicKey, status);
        }

        return [.. found.Values];
    }

    /// <summary>
    /// A pattern that servers understand, and that matches at least what PowerShell's matches: sets of characters become any characters.
    /// </summary>
    private static string PatternOf(string text)
    {
        int set = text.IndexOfAny(['[', '`']);
        return set < 0 ? text : text[..set] + '*';
    }

    /// <summary>Everything by which a person may mean a peer.</summary>
    public static IEnumerable<string> NamesOf(PeerStatus peer) =>
        peer.Addresses.Select(address => address.ToString()).Concat(peer.Routes).Append(peer.Name);

    private static LightTunnelException Itself(string text, string remedy) => new(
        LightTunnelError.InvalidOption, $"'{text}' is this machine itself.", "Name another member. " + remedy) { Target = text };
}
