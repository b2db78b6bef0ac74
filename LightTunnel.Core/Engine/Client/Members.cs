using System.Diagnostics.CodeAnalysis;
using LightTunnel.Access;
using LightTunnel.Addressing;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Data;
using LightTunnel.Membership;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Client;

/// <summary>What a page of the directory changed.</summary>
/// <param name="Routes">Routes to the members, as they are now.</param>
/// <param name="Told">Members that the page told of.</param>
/// <param name="Returned">Those of them that came back: a link that this node still has may be unknown to them.</param>
/// <param name="Gone">Members that are none any more.</param>
internal sealed record MemberChanges(
    ForwardingTable Routes, IReadOnlyList<Member> Told, IReadOnlyList<Member> Returned, IReadOnlyList<Member> Gone);

/// <summary>
/// The other members as peers, one for each key, kept in step with the server's directory. A member is its key: its id and addresses may be
/// others after the server has lost its state, and one's may have become another's. Owned by the control loop.
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="server">Who passes on what is sent to them while no other path is used.</param>
/// <param name="owner">Who may change them.</param>
/// <param name="rules">The access rules in effect here.</param>
/// <param name="subnets">Told of the networks behind them.</param>
internal sealed class Members(
    TimeProvider time, RouteTarget server, ControlThread? owner = null, NodeAccessRules? rules = null, SubnetRoutes? subnets = null)
{
    private readonly DirectoryView _directory = new();
    private readonly Dictionary<PublicKey, Member> _members = [];

    /// <summary>Every member but this node.</summary>
    public IReadOnlyCollection<Member> All => _members.Values;

    /// <summary>Number of the last page taken.</summary>
    public ulong Revision => _directory.Revision;

    /// <summary>The member of that key.</summary>
    public bool TryGet(in PublicKey key, [NotNullWhen(true)] out Member? member) => _members.TryGetValue(key, out member);

    /// <summary>The member of that key, or null.</summary>
    public Member? Find(in PublicKey key) => _members.GetValueOrDefault(key);

    /// <summary>The member of that id.</summary>
    public bool TryGet(uint memberId, [NotNullWhen(true)] out Member? member)
    {
        member = null;
        return _directory.TryGet(memberId, out DirectoryEntry? entry) && _members.TryGetValue(entry.PublicKey, out member);
    }

    /// <summary>Takes a page of the directory.</summary>
    /// <param name="page">The page.</param>
    /// <param name="routes">Routes as they were.</param>
    /// <param name="mtu">The network's MTU, bytes.</param>
    public MemberChanges Apply(DirectoryMessage page, ForwardingTable routes, int mtu)
    {
        DirectoryChanges changes = _directory.Apply(page);
        var told = new List<Member>();
        var returned = new List<Member>();
        var gone = new List<Member>();
        foreach (DirectoryEntry entry in changes.Removed.Concat(changes.Changed.Select(change => change.Before)))
        {
            // What is gone may be an id only, whose owner has another one now.
            if (_directory.TryGet(entry.PublicKey, out _) || !_members.Remove(entry.PublicKey, out Member? member))
                continue;
            member.IsListedOnline = member.Online = false;
            subnets?.Tell(member, []);
            routes = routes.Without(member.Prefixes, member);
            gone.Add(member);
        }

        foreach (DirectoryEntry entry in changes.Added.Concat(changes.Changed.Select(change => change.After)))
        {
            if (!_members.TryGetValue(entry.PublicKey, out Member? member))
            {
                member = new Member(entry.PublicKey, time, server) { Owner = owner, Rules = rules };
                _members.Add(entry.PublicKey, member);
            }

            if (entry.Online && !member.IsListedOnline)
                returned.Add(member);
            routes = Update(member, entry, routes);
            member.NetworkMtu = mtu;
            told.Add(member);
        }

        return new MemberChanges(routes, told, returned, gone);
    }

    private ForwardingTable Update(Member member, DirectoryEntry entry, ForwardingTable routes)
    {
        TunnelAddress[] addresses = [.. entry.Addresses];
        if (!member.Addresses.AsSpan().SequenceEqual(addresses))
        {
            routes = routes.Without(member.Prefixes, member);
            member.Addresses = addresses;
            routes = routes.With(member.Prefixes, member);
        }

        member.IsPlain = entry.IsPlain;
        subnets?.Tell(member, entry.Routes);
        // A server that was just started again does not know yet who is there; a proven path does.
        bool online = member.UsedPath is not null || (entry.Online && !member.IsForbidden);
        if (member.Online != online)
            member.Updated = time.GetUtcNow();
        member.MemberId = entry.MemberId;
        member.Name = entry.Name;
        member.Version = entry.SoftwareVersion;
        member.PreferredSuite = entry.PreferredSuite;
        member.KeyNumber = entry.KeyNumber;
        member.IsListedOnline = entry.Online;
        member.Online = online;
        return routes;
    }
}
