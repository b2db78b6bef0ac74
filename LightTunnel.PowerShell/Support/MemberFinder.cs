using LightTunnel.Engine.Server;
using LightTunnel.Management;
using LightTunnel.Membership;

namespace LightTunnel;

/// <summary>A member and the server that knows it.</summary>
internal sealed record FoundMember(ITunnelHandle Tunnel, MemberStatus Status);

/// <summary>From what a person wrote to members, as the servers of this machine know them: by name, tunnel address or public key.</summary>
internal static class MemberFinder
{
    private const string Remedy = "Get-LtMember shows the members that there are.";

    /// <summary>
    /// Members of the servers that are looked through. Each text without wildcards that names none becomes an error, with a word of its own
    /// when it names the server itself.
    /// </summary>
    public static async Task<IReadOnlyList<FoundMember>> FindAsync(
        CommandOutput output, string[]? networks, string[] names, CancellationToken cancellationToken)
    {
        IReadOnlyList<ITunnelHandle> tunnels = await TunnelFinder.AnyByNameAsync(
            output, TunnelRole.Server, networks, cancellationToken).ConfigureAwait(false);
        if (tunnels.Count == 0)
            return [];
        IReadOnlyList<FoundMember> all = await TunnelFinder.AskAllAsync<FoundMember>(
            output, tunnels,
            async tunnel =>
                [.. (await tunnel.GetMembersAsync(cancellationToken).ConfigureAwait(false)).Select(status =>
                    new FoundMember(tunnel, status))])
            .ConfigureAwait(false);
        var filter = new NameFilter(names);
        FoundMember[] found = [.. all.Where(member => filter.Accepts(NamesOf(member.Status)))];
        await PeerFinder.WriteMissingAsync(output, tunnels, filter, "member", Remedy, cancellationToken).ConfigureAwait(false);
        return found;
    }

    /// <summary>Everything by which a person may mean a member.</summary>
    private static IEnumerable<string> NamesOf(MemberStatus member) =>
        member.Addresses.Select(address => address.ToString()).Append(member.Name).Append(member.PublicKey);
}
