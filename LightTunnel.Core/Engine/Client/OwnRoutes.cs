using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Engine.Control;
using LightTunnel.Membership;
using LightTunnel.Routing;

namespace LightTunnel.Engine.Client;

/// <summary>
/// The networks behind a client: offers them to the server, and lets others reach those that are approved, and no others, whatever the
/// server says. Owned by the control loop.
/// </summary>
/// <param name="node">The node.</param>
/// <param name="server">The way to the server.</param>
internal sealed class OwnRoutes(Node node, ServerConnection server)
{
    private IReadOnlyList<IpPrefix> _offered = [];
    private IReadOnlyList<IpPrefix> _approved = [];

    /// <summary>Offers these from now on, and no others.</summary>
    public void Offer(IReadOnlyList<OfferedRoute> routes)
    {
        _offered = [.. routes.Select(route => route.Told)];
        server.OffersRoutes = _offered.Count > 0;
        Publish();
        Tell();
    }

    /// <summary>The server has admitted this node.</summary>
    public void OnRegistered()
    {
        if (server.OffersRoutes)
            Tell();
        else
            TakeApproved([]);
    }

    /// <summary>The server says which are approved.</summary>
    public void TakeApproved(IReadOnlyList<IpPrefix> approved)
    {
        if (_approved.SequenceEqual(approved))
            return;
        _approved = approved;
        Publish();
    }

    /// <summary>What this node offers, and what became of it.</summary>
    public IEnumerable<SubnetReport> Report() => _offered.Select(prefix =>
        MemberRoutes.WhyUnusable(prefix, node.Forwarding.OwnAddresses.Select(own => own.Prefix)) is { } why
            ? new SubnetReport(
                prefix, null, RouteStanding.Conflict, $"{prefix} {why}.",
                "Offer networks outside of the tunnel's own: Set-LtNetwork -Route.")
        : _approved.Contains(prefix)
            ? new SubnetReport(prefix, null, RouteStanding.Approved, SubnetRoutes.WhatApprovedMeans(prefix))
        : new SubnetReport(
            prefix, null, RouteStanding.Offered, "No admin of the network has approved it.",
            $"On the server: Approve-LtRoute {prefix} -Peer {((ClientRole)node.Role).MemberName}"));

    private void Tell() => server.Tell(new RoutesMessage { Kind = RoutesKind.Offered, Prefixes = _offered });

    private void Publish() => node.Subnets.SetOwn([.. _offered.Where(_approved.Contains)]);
}
