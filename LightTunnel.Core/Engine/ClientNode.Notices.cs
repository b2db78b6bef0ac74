using LightTunnel.Membership;

namespace LightTunnel.Engine;

/// <summary>The part of a client that tells people what the server says of this node's place in the network.</summary>
internal sealed partial class ClientNode
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
        if (notice.Kind == NoticeKind.NameAskedFor && _noticeLimiter.TryTake(Timestamp))
            Log.Warning("Another member asked for this node's name {Name}; it is known as {Other}", MemberName, notice.Subject);
    }
}
