using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Membership;

namespace LightTunnel.Engine.Client;

/// <summary>The part of a client that tells people what the server says of this node's place in the network.</summary>
internal sealed partial class ClientRole
{
    /// <summary>Notices come as others act, and each is a line of the log.</summary>
    private static readonly TimeSpan NoticeInterval = TimeSpan.FromMinutes(1);

    private readonly Packets.RateLimiter _noticeLimiter;

    private void TakeName(RegisteredMessage registered)
    {
        string name = registered.GivenName.Length > 0 ? registered.GivenName : _options.Name;
        if (name != MemberName && name != _options.Name)
            Log.Warning("Another member of {Network} is called {Asked} already: this node is known there as {Name}", registered.NetworkName, _options.Name, name);
        MemberName = name;
    }

    private void OnNotice(NoticeMessage notice)
    {
        if (notice.Kind == NoticeKind.Other || !_noticeLimiter.TryTake(_node.Now))
            return;
        if (notice.Kind == NoticeKind.NameAskedFor)
            Log.Warning("Another member asked for this node's name {Name}; it is known as {Other}", MemberName, notice.Subject);
        else
            Log.Security(SecurityEvent.IdentityReplaced, _node.Links.PublicKey.ToString(), "Another machine used this node's identity, and was sent away by the server");
    }

    /// <summary>
    /// Another machine with this node's key was there first. Each of the two took what was meant for the other, with the server and with all members: so this
    /// one keeps still for a while, and lets go of everybody.
    /// </summary>
    private void OnReplaced()
    {
        var reason = new LightTunnelException(
            LightTunnelError.IdentityInUse,
            $"Another machine uses this node's identity in the network: the state in {_options.StatePath}, or the disk that it is on, was copied.",
            "Stop this tunnel, remove that folder, and connect again: the node gets an identity of its own.") { Target = _options.StatePath };
        Log.Security(SecurityEvent.IdentityReplaced, _node.Links.PublicKey.ToString(), reason.Message);
        _server.Session = null;
        _server.Monitor.Reset();
        if (_node.State == TunnelState.Connecting)
        {
            Fail(reason);
            return;
        }

        if (_node.State == TunnelState.Up)
            LoseServer("Another machine uses this node's identity.");
        _node.LastError = $"{reason.Message} {reason.RecommendedAction}";
        _search.Rest(IdentityWatch.Wait);
        _server.Link!.Path = default;
        Take(new DirectoryMessage { Revision = _members.Revision, Removed = [.. _members.All.Select(peer => peer.MemberId)], Partial = true });
        _node.Hurry(_server);
    }
}
