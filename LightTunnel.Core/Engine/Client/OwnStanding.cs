using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Membership;
using LightTunnel.Packets;

namespace LightTunnel.Engine.Client;

/// <summary>
/// What the server says of this node itself: in which network and under which name it is a member, what others did with its name or its
/// identity, that its membership ends, or that it is none any more. Owned by the control loop.
/// </summary>
/// <param name="node">The node.</param>
/// <param name="options">What was asked for.</param>
/// <param name="connection">The server.</param>
/// <param name="letGo">Called when this node is no member any more, to let go of the others.</param>
internal sealed class OwnStanding(Node node, ClientOptions options, ServerConnection connection, Action letGo)
{
    /// <summary>Notices come as others act, and each is a line of the log.</summary>
    private static readonly TimeSpan NoticeInterval = TimeSpan.FromMinutes(1);

    /// <summary>How long a node that was blocked asks for nothing.</summary>
    private static readonly TimeSpan BlockedRest = TimeSpan.FromMinutes(1);

    private readonly RateLimiter _noticeLimiter = new(node.Time, NoticeInterval, burst: 4);

    /// <summary>The name by which this node is known in its network; the one that it asks for until it has joined.</summary>
    public string MemberName { get; private set; } = options.Name;

    /// <summary>The network's name; null until it has joined.</summary>
    public string? NetworkName { get; private set; }

    /// <summary>When the server last admitted this node; null for never.</summary>
    public DateTimeOffset? Registered { get; private set; }

    private TunnelLog Log => node.Log;

    /// <summary>The server has admitted this node, and its interface is set up.</summary>
    public void OnRegistered(RegisteredMessage registered)
    {
        NetworkName = registered.NetworkName;
        Registered = node.Time.GetUtcNow();
        TakeName(registered);
        string addresses = string.Join(", ", registered.Addresses);
        if (!options.RequestedAddresses.All(asked => registered.Addresses.Any(own => own.Address == asked)))
        {
            Log.Warning(
                "This node asked for {Asked}; an administrator of {Network} has given it {Address}",
                string.Join(", ", options.RequestedAddresses), NetworkName, addresses);
        }

        Log.Information(
            "Joined {Network} as {Name} ({Address}); the server sees this node at {Endpoint}", NetworkName, MemberName, addresses,
            registered.ObservedEndpoint);
    }

    /// <summary>The server tells of what others did, or of what is about to be.</summary>
    public void OnNotice(NoticeMessage notice)
    {
        if (notice.Kind == NoticeKind.Other || !_noticeLimiter.TryTake(node.Now))
            return;
        if (notice.Kind == NoticeKind.NameAskedFor)
        {
            Log.Warning("Another member asked for this node's name {Name}; it is known as {Other}", MemberName, notice.Subject);
        }
        else if (notice.Kind == NoticeKind.MembershipEnds)
        {
            node.Notice(new LightTunnelException(
                LightTunnelError.ServerRefused, $"This machine's membership of the network {NetworkName} ends at {notice.Subject}.",
                "Ask who runs the server to prolong it: Set-LtMember -ExpiresIn."));
        }
        else
        {
            Log.Security(
                SecurityEvent.IdentityReplaced, node.Links.PublicKey.ToString(),
                "Another machine used this node's identity, and was sent away by the server");
        }
    }

    /// <summary>The server has sent this node away, and told the others: it lets go of them, and asks again by itself, rarely.</summary>
    public void OnExcluded(LeaveReason why)
    {
        LightTunnelException reason = why == LeaveReason.Expired
            ? new RefusedMessage { Reason = RefusalReason.MembershipExpired }.ToException()
            : Blocked();
        Log.Security(SecurityEvent.Refused, node.Links.PublicKey.ToString(), reason.Message);
        if (connection.Rest(reason, BlockedRest))
            letGo();
    }

    /// <summary>
    /// Another machine with this node's key was there first. Each of the two took what was meant for the other, with the server and with
    /// all members: so this one keeps still for a while, and lets go of everybody.
    /// </summary>
    public void OnReplaced()
    {
        var reason = new LightTunnelException(
            LightTunnelError.IdentityInUse,
            $"Another machine uses this node's identity in the network: the state in {options.StatePath}, or the disk that it is "
                + "on, was copied.",
            "On the machine that is the copy: stop this tunnel, give it an identity of its own with Reset-LtIdentity, and connect again, "
                + "with an invitation.")
            {
                Target = options.StatePath,
            };
        Log.Security(SecurityEvent.IdentityReplaced, node.Links.PublicKey.ToString(), reason.Message);
        if (connection.Rest(reason, IdentityWatch.Wait))
            letGo();
    }

    private LightTunnelException Blocked() => new(
        LightTunnelError.ServerRefused,
        $"An administrator of the network {NetworkName ?? connection.Server.Name} has blocked this machine.",
        "Ask who runs the server, where Unblock-LtMember lets this machine in again: it comes back by itself then, within a minute or "
            + "two.");

    private void TakeName(RegisteredMessage registered)
    {
        string name = registered.GivenName.Length > 0 ? registered.GivenName : options.Name;
        if (name != MemberName && name != options.Name && registered.IsNamed)
        {
            Log.Information(
                "An administrator of {Network} has named this node {Name}; it asked for {Asked}", registered.NetworkName, name,
                options.Name);
        }
        else if (name != MemberName && name != options.Name)
        {
            Log.Warning(
                "Another member of {Network} is called {Asked} already: this node is known there as {Name}", registered.NetworkName,
                options.Name, name);
        }

        MemberName = name;
    }
}
