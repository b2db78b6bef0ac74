using LightTunnel.Access;
using LightTunnel.Addressing;
using LightTunnel.Packets;
using LightTunnel.Tests.Packets;
using LightTunnel.Timing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Access;

/// <summary>
/// Packets at random, against rules at random that change all the while, and beside them a reference that is written down as it is said:
/// each rule and each selector is looked at for each packet, and flows are a dictionary.
/// </summary>
public sealed class RuleReferenceTests
{
    private const int Packets = 1_000_000, PacketsOfRules = 2_500;

    private static readonly string[] s_sides =
    [
        "*", "clients", "server", "group:even", "group:office", "group:none", "m2", "m3", "m4", "m2,m4", "m3,group:even", "10.0.0.3",
        "10.0.0.2/31", "10.0.0.0/29", "fd00::/64", "fd00::3,10.0.0.4", "server,group:office", "192.0.2.0/24",
    ];

    private static readonly string[] s_ports = ["-", "22", "20-30", "22,443", "5000-5003,80", "0-65535"];

    private readonly record struct Sample(byte[] Bytes, IpPacketInfo Info, int SourcePort, int DestinationPort, byte Flags, int IcmpType);

    [Fact]
    public void MillionPackets_AreJudgedAsTheReferenceJudgesThem()
    {
        var random = new Random(13);
        foreach (string own in new[] { "10.0.0.2", RuleNode.Server })
        {
            string[] mine = own == RuleNode.Server ? [own] : [own, "fd00::2"];
            var time = new FakeTimeProvider();
            var node = new RuleNode(time, mine);
            Sample[] samples = [.. Enumerable.Range(0, 4000).Select(_ => Make(random, mine))];
            var flows = new Dictionary<(TunnelAddress, TunnelAddress, int, int, int), bool>();
            // A rule that is about nothing here, so that every peer's packets are looked at from the beginning.
            node.With("Deny Tcp 1 * > *");
            time.Advance(TimeSpan.FromMinutes(10));
            int passed = 0, dropped = 0;
            for (int sent = 0; sent < Packets / 2;)
            {
                AccessRule[] rules = MakeRules(random);
                node.With(rules);
                for (int i = 0; i < PacketsOfRules; i++, sent++)
                {
                    Sample sample = samples[random.Next(samples.Length)];
                    bool isInbound = !mine.Contains(sample.Info.Source.ToString());
                    PeerAccess access = node.Peer(isInbound ? sample.Info.Source : sample.Info.Destination)!;
                    FlowKey last = default;
                    bool passes = access.Admits(sample.Bytes, sample.Info, isInbound, time.Now(), ref last);
                    if (passes != Reference(rules, flows, sample))
                    {
                        Assert.Fail($"At {own}, packet {sent}: {Describe(sample)} {(passes ? "passes" : "is dropped")} by "
                            + string.Join("; ", rules.Select(rule => rule.ToString())));
                    }

                    if (passes)
                        passed++;
                    else
                        dropped++;
                }
            }

            Assert.InRange(passed, Packets / 100, Packets / 2);
            Assert.InRange(dropped, Packets / 100, Packets / 2);
            Assert.Equal(0, node.Node.Flows!.Displaced);
        }
    }

    private static AccessRule[] MakeRules(Random random)
    {
        AccessRule keep = RulePackets.Rule(1, "Deny Tcp 1 * > *");
        return [keep, .. Enumerable.Range(0, random.Next(12)).Select(index =>
        {
            string protocol = random.Next(4) switch { 0 => "Any", 1 => "Tcp", 2 => "Udp", _ => "Icmp" };
            string ports = protocol is "Tcp" or "Udp" ? s_ports[random.Next(s_ports.Length)] : "-";
            return RulePackets.Rule(
                10 + index,
                $"{(random.Next(2) == 0 ? "Allow" : "Deny")} {protocol} {ports} {s_sides[random.Next(s_sides.Length)]} > "
                    + s_sides[random.Next(s_sides.Length)]) with
            {
                Enabled = random.Next(8) != 0,
            };
        })];
    }

    private static Sample Make(Random random, string[] mine)
    {
        int port = random.Next(5) switch { 0 => 22, 1 => 443, 2 => 80, 3 => 25, _ => 5000 + random.Next(4) };
        int other = 5000 + random.Next(4);
        string own = mine[random.Next(mine.Length)];
        bool isIPv6 = own.Contains(':', StringComparison.Ordinal);
        int peerId;
        do
            peerId = random.Next(isIPv6 ? 2 : 1, 6);
        while (mine.Contains($"10.0.0.{peerId}"));
        string peer = isIPv6 ? $"fd00::{peerId}" : $"10.0.0.{peerId}";
        (string source, string destination) = random.Next(2) == 0 ? (own, peer) : (peer, own);
        if (random.Next(2) == 0)
            (port, other) = (other, port);
        byte flags = random.Next(4) switch { 0 => RulePackets.Syn, 1 => RulePackets.SynAck, _ => RulePackets.Ack };
        int type = random.Next(2) == 0 ? (isIPv6 ? 128 : 8) : isIPv6 ? 129 : 0;
        byte[] packet = random.Next(4) switch
        {
            0 => RulePackets.Tcp(source, other, destination, port, flags),
            1 => RulePackets.Udp(source, other, destination, port),
            2 => TestPackets.Icmp(source, destination, type, id: (ushort)(port % 4)),
            _ => TestPackets.Ip(source, destination, 47, new byte[16]),
        };
        return new Sample(packet, RulePackets.Parse(packet), other, port, flags, type);
    }

    private static bool Reference(
        AccessRule[] rules, Dictionary<(TunnelAddress, TunnelAddress, int, int, int), bool> flows, in Sample sample)
    {
        IpPacketInfo info = sample.Info;
        bool hasPorts = info.Protocol is IpPacket.ProtocolTcp or IpPacket.ProtocolUdp;
        bool isEcho = info.Protocol is IpPacket.ProtocolIcmp or IpPacket.ProtocolIcmpV6;
        int id = isEcho ? sample.DestinationPort % 4 : 0;
        int from = hasPorts ? sample.SourcePort : id, to = hasPorts ? sample.DestinationPort : id;
        (TunnelAddress, TunnelAddress, int, int, int) there = (info.Source, info.Destination, info.Protocol, from, to);
        (TunnelAddress, TunnelAddress, int, int, int) back = (info.Destination, info.Source, info.Protocol, to, from);
        bool opens = (info.Protocol == IpPacket.ProtocolTcp && sample.Flags == RulePackets.Syn)
            || (isEcho && sample.IcmpType is 8 or 128);

        bool goesOn = (info.Protocol == IpPacket.ProtocolTcp && !opens) || (isEcho && !opens);
        bool? ended = null;
        bool isMine = flows.ContainsKey(there);
        if (isMine || flows.ContainsKey(back))
        {
            ended = isMine
                ? !IsAllowed(rules, info.Source, info.Destination, info.Protocol, sample.DestinationPort)
                : !IsAllowed(rules, info.Destination, info.Source, info.Protocol, sample.SourcePort);
            if (ended == true && goesOn)
                return false;
            if (ended == false && (isMine || !opens))
                return true;
        }

        bool isBegunHere = info.Protocol != IpPacket.ProtocolTcp || opens || sample.SourcePort >= sample.DestinationPort;
        bool isAllowed = isBegunHere
            ? IsAllowed(rules, info.Source, info.Destination, info.Protocol, sample.DestinationPort)
            : IsAllowed(rules, info.Destination, info.Source, info.Protocol, sample.SourcePort);
        if (!isAllowed)
            return false;
        // What has ended is not gone on with from its other side: that may only send.
        if (ended == true && isMine != isBegunHere && !opens)
            return true;
        flows.Remove(there);
        flows.Remove(back);
        flows[isBegunHere ? there : back] = true;
        return true;
    }

    private static bool IsAllowed(AccessRule[] rules, TunnelAddress source, TunnelAddress destination, byte protocol, int port)
    {
        RuleProtocol named = protocol switch
        {
            IpPacket.ProtocolTcp => RuleProtocol.Tcp,
            IpPacket.ProtocolUdp => RuleProtocol.Udp,
            IpPacket.ProtocolIcmp or IpPacket.ProtocolIcmpV6 => RuleProtocol.Icmp,
            _ => RuleProtocol.Any,
        };
        foreach (AccessRule rule in rules.OrderBy(rule => rule.Number))
        {
            if (rule.Enabled && (rule.Protocol == RuleProtocol.Any || rule.Protocol == named)
                && (rule.Ports.Count == 0 || rule.Ports.Any(range => port >= range.First && port <= range.Last))
                && rule.From.Any(selector => IsAbout(selector, source)) && rule.To.Any(selector => IsAbout(selector, destination)))
            {
                return rule.Action == RuleAction.Allow;
            }
        }

        return true;
    }

    private static bool IsAbout(RuleSelector selector, TunnelAddress address)
    {
        bool isServer = address.ToString() == RuleNode.Server;
        RuleSubject? member = RuleNode.Members.FirstOrDefault(one => one.Addresses.Contains(address));
        return selector.Kind switch
        {
            SelectorKind.Everybody => true,
            SelectorKind.Clients => !isServer,
            SelectorKind.Server => isServer,
            SelectorKind.Group => member?.Groups.Contains(selector.Name) == true,
            SelectorKind.Member => member?.MemberId == selector.MemberId,
            SelectorKind.Prefix => selector.Prefix.Contains(address),
            _ => false,
        };
    }

    private static string Describe(in Sample sample) =>
        $"{sample.Info.Source}:{sample.SourcePort} > {sample.Info.Destination}:{sample.DestinationPort} of protocol "
            + $"{sample.Info.Protocol}, flags {sample.Flags}, type {sample.IcmpType}";
}
