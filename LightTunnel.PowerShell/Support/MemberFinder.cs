using System.Management.Automation;
using LightTunnel.Diagnostics;
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
    /// Members of the servers that are looked through, or machines that ask to be some: anybody can ask under any name, so who means a
    /// member by name means none of these. Each text without wildcards that names none becomes an error, with a word of its own
    /// when it names the server itself.
    /// </summary>
    public static async Task<IReadOnlyList<FoundMember>> FindAsync(
        CommandOutput output, string[]? networks, string[] names, bool areApplicants, CancellationToken cancellationToken)
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
        FoundMember[] found =
        [
            .. all.Where(member => IsApplicant(member.Status)
                ? filter.Accepts(areApplicants ? NamesOf(member.Status) : [member.Status.PublicKey])
                : !areApplicants && filter.Accepts(NamesOf(member.Status))),
        ];
        if (areApplicants)
            CheckNames(names, found);
        await PeerFinder.WriteMissingAsync(output, tunnels, filter, "member", Remedy, cancellationToken).ConfigureAwait(false);
        return found;
    }

    /// <summary>Who asks under the name of somebody who is expected is not to be let in with him.</summary>
    private static void CheckNames(string[] names, FoundMember[] found)
    {
        foreach (string name in names.Where(name => !WildcardPattern.ContainsWildcardCharacters(name)))
        {
            string[] keys =
            [
                .. found.Where(member => string.Equals(member.Status.Name, name, StringComparison.OrdinalIgnoreCase))
                    .Select(member => member.Status.PublicKey),
            ];
            if (keys.Length > 1)
            {
                throw new LightTunnelException(
                    LightTunnelError.InvalidOption, $"{keys.Length} machines ask to become members under the name '{name}'.",
                    $"Get-LtMember {name} | Format-List shows their keys and where they are; name the one that is meant by its key.")
                {
                    Target = name,
                };
            }
        }
    }

    private static bool IsApplicant(MemberStatus member) => member.State is MemberState.Pending or MemberState.Denied;

    /// <summary>Everything by which a person may mean a member.</summary>
    private static IEnumerable<string> NamesOf(MemberStatus member) =>
        member.Addresses.Select(address => address.ToString()).Append(member.Name).Append(member.PublicKey);
}
