using LightTunnel.Access;
using LightTunnel.Addressing;
using LightTunnel.Packets;
using LightTunnel.Timing;
using Microsoft.Extensions.Time.Testing;

namespace LightTunnel.Tests.Access;

/// <summary>
/// A small network's rules as one node of it holds packets against them: the server 10.0.0.1, members m2 (10.0.0.2 and fd00::2) to m5, of
/// which even ones are in the group "even" and m2 and m3 in "office".
/// </summary>
internal sealed class RuleNode
{
    public const string Server = "10.0.0.1";

    private readonly string[] _own;
    private readonly NodeAccessRules _node;
    private readonly Dictionary<string, PeerAccess?> _peers = [];

    public RuleNode(FakeTimeProvider time, params string[] own)
    {
        Time = time;
        _own = own;
        _node = new NodeAccessRules(time, () => 1);
    }

    public static RuleSubject[] Members { get; } = [.. Enumerable.Range(2, 4).Select(id => new RuleSubject(
        (uint)id, [.. Groups(id)], [RulePackets.Address($"10.0.0.{id}"), RulePackets.Address($"fd00::{id}")]))];

    public FakeTimeProvider Time { get; }

    public RuleResolver Resolver { get; } = new();

    public NodeAccessRules Node => _node;

    public RuleNode With(params string[] rules) => With(RulePackets.Rules(rules));

    public RuleNode With(AccessRule[] rules)
    {
        Resolver.Resolve(rules, Members, [RulePackets.Address(Server)]);
        _node.Take(Resolver.For([.. _own.Select(RulePackets.Address)]));
        foreach (RuleSubject member in Members.Append(new RuleSubject(1, [], [RulePackets.Address(Server)])))
        {
            PeerAccess? before = _peers.GetValueOrDefault(member.Addresses[0].ToString());
            PeerAccess? made = _node.For([.. member.Addresses.Select(IpPrefix.Host)], member.MemberId == 1, before);
            foreach (TunnelAddress address in member.Addresses)
                _peers[address.ToString()] = made;
        }

        return this;
    }

    public PeerAccess? Peer(string address) => _peers[address];

    public PeerAccess? Peer(TunnelAddress address) => _peers[address.ToString()];

    /// <summary>Whether a packet from or to this node passes.</summary>
    public bool Passes(byte[] packet)
    {
        IpPacketInfo info = RulePackets.Parse(packet);
        bool isInbound = !_own.Contains(info.Source.ToString());
        FlowKey last = default;
        return Peer(isInbound ? info.Source : info.Destination) is not { } access
            || access.Admits(packet, info, isInbound, Time.Now(), ref last);
    }

    private static IEnumerable<string> Groups(int id)
    {
        if (id % 2 == 0)
            yield return "even";
        if (id <= 3)
            yield return "office";
    }
}
