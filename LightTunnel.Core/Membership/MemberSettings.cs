using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.WireGuard;

namespace LightTunnel.Membership;

/// <summary>What an admin sets of a member; what is null stays as it is.</summary>
internal sealed record MemberSettings
{
    /// <summary>The name; from then on the admin's and not what the member asks for.</summary>
    public string? Name { get; init; }

    /// <summary>
    /// Addresses, each in the place of the member's own of the same prefix; from then on the admin's and not what the member asks for.
    /// </summary>
    public IReadOnlyList<TunnelAddress>? Addresses { get; init; }

    /// <summary>The groups that it is in, and no others.</summary>
    public IReadOnlyList<string>? Groups { get; init; }

    /// <summary>How long it is a member from now on, whatever it does; zero takes back what an admin has said of that.</summary>
    public TimeSpan? ExpiresIn { get; init; }

    /// <summary>Networks behind it that are approved from now on.</summary>
    public IReadOnlyList<IpPrefix> ApproveRoutes { get; init; } = [];

    /// <summary>Networks behind it that are denied from now on.</summary>
    public IReadOnlyList<IpPrefix> DenyRoutes { get; init; } = [];

    /// <summary>A member's lease with these settings.</summary>
    /// <param name="leases">The leases of all.</param>
    /// <param name="lease">The member's, as it is.</param>
    /// <param name="now">The current time.</param>
    /// <exception cref="LightTunnelException">The name is no name or another's, an address cannot be had.</exception>
    public Lease Apply(Leases leases, Lease lease, DateTimeOffset now)
    {
        if (Name is { } name)
        {
            if (!NodeName.IsValid(name))
            {
                throw new LightTunnelException(
                    LightTunnelError.InvalidName, $"'{name}' is no name of a member.",
                    $"Choose one of up to {NodeName.MaximumLength} letters, digits, '-', '_' and '.', beginning with a letter or digit.")
                {
                    Target = name,
                };
            }

            lease = lease with { Name = name, IsNamed = true };
            CheckName(leases, lease.PublicKey, name);
        }

        if (Addresses is { } addresses)
        {
            if (lease.IsPlain)
            {
                throw new LightTunnelException(
                    LightTunnelError.InvalidOption,
                    $"'{lease.Name}' has plain WireGuard, and its address in the configuration that it was given.",
                    "Remove it with Remove-LtMember, and make it anew: New-LtWireGuardClient -Address.") { Target = lease.Name };
            }

            CheckAddresses(leases, lease.PublicKey, addresses, now);
            lease = lease with { Addresses = leases.Place(lease.Addresses, addresses), IsPlaced = true };
        }

        if (ExpiresIn is { } time)
        {
            // PowerShell takes a mere number for one of 100 ns.
            if (time != TimeSpan.Zero && (time < TimeSpan.FromSeconds(1) || time >= DateTimeOffset.MaxValue - now))
            {
                throw new LightTunnelException(
                    LightTunnelError.InvalidOption, $"-ExpiresIn {time} is no time that somebody can be a member for.",
                    "Give a time to come, such as 30.00:00 for 30 days, or 0 for no end of its own.") { Target = time };
            }

            lease = lease with { Expires = time == TimeSpan.Zero ? null : now + time, IsExpirySet = time != TimeSpan.Zero };
        }

        if (ApproveRoutes.Count + DenyRoutes.Count > 0)
            lease = DecideRoutes(lease);
        return lease with { Groups = Groups ?? lease.Groups };
    }

    private Lease DecideRoutes(Lease lease)
    {
        foreach (IpPrefix prefix in ApproveRoutes.Concat(DenyRoutes))
        {
            if (lease.OfferedRoutes.Contains(prefix) || lease.ApprovedRoutes.Contains(prefix) || lease.DeniedRoutes.Contains(prefix))
                continue;
            string offered = lease.OfferedRoutes.Count == 0 ? "no networks" : string.Join(", ", lease.OfferedRoutes);
            throw new LightTunnelException(
                LightTunnelError.NotFound, $"'{lease.Name}' does not offer {prefix}: it offers {offered}.",
                $"Offer it there first: Connect-LtNetwork or Set-LtNetwork -Route {prefix}. Get-LtRoute shows what is offered.")
            {
                Target = prefix.ToString(),
            };
        }

        lease = lease with
        {
            ApprovedRoutes = [.. lease.ApprovedRoutes.Union(ApproveRoutes).Except(DenyRoutes)],
            DeniedRoutes = [.. lease.DeniedRoutes.Union(DenyRoutes).Except(ApproveRoutes)],
        };
        return Math.Max(lease.ApprovedRoutes.Count, lease.DeniedRoutes.Count) <= MemberRoutes.MaximumDecisions
            ? lease
            : throw new LightTunnelException(
                LightTunnelError.InvalidOption,
                $"'{lease.Name}' has had {MemberRoutes.MaximumDecisions} networks approved or denied, as many as are remembered.",
                "Remove-LtMember forgets them with the member, which joins anew.") { Target = lease.Name };
    }

    /// <summary>Checks whether somebody can have a name that an admin gives.</summary>
    /// <exception cref="LightTunnelException">Not so.</exception>
    public static void CheckName(Leases leases, in PublicKey member, string name)
    {
        if (leases.IsNameFree(name, member))
            return;
        Lease? owner = leases.ByName(name);
        throw new LightTunnelException(
            LightTunnelError.NameInUse,
            owner is null ? $"'{name}' is the server's own name." : $"Another member is called '{owner.Name}' already.",
            owner is null ? "Choose another name." : "Choose another name, or rename or remove that member first.") { Target = name };
    }

    /// <summary>Checks whether somebody can have addresses that an admin gives.</summary>
    /// <exception cref="LightTunnelException">Not so.</exception>
    public static void CheckAddresses(Leases leases, PublicKey? member, IReadOnlyList<TunnelAddress> addresses, DateTimeOffset now)
    {
        if (leases.CheckRequested(member, addresses, now) is not { } refusal)
            return;
        bool isTaken = refusal.Reason == RefusalReason.AddressTaken;
        throw new LightTunnelException(
            isTaken ? LightTunnelError.AddressTaken : LightTunnelError.InvalidAddress, refusal.Text,
            isTaken
                ? "Choose another address, or free that one: Set-LtMember -Address or Remove-LtMember for its owner, Remove-LtInvitation."
                : "Give one host address of each prefix of the network, and not the server's own.") { Target = addresses[0].ToString() };
    }
}
