using BenchmarkDotNet.Attributes;
using LightTunnel.Access;
using LightTunnel.Addressing;
using LightTunnel.Packets;
using LightTunnel.Timing;

namespace LightTunnel.Benchmarks.Access;

/// <summary>What access rules cost a packet, or a super-packet: nothing but one question where a peer is forbidden nothing.</summary>
public class RuleBenchmarks
{
    private static readonly TunnelAddress Own = TunnelAddress.FromIPv4(0x0A00_0002), Peer = TunnelAddress.FromIPv4(0x0A00_0003);

    private readonly byte[][] _flows = [.. Enumerable.Range(0, 256).Select(flow => Packet((ushort)(5000 + flow), 443, 0x10))];
    private readonly byte[] _denied = Packet(5000, 9, 0x02);
    private readonly byte[] _new = Packet(5000, 443, 0x02);
    private IpPacketInfo _info;
    private PeerAccess? _access;
    private Timestamp _now;
    private FlowKey _last;
    private int _next;

    /// <summary>Rules about the two, before the one that allows the connection.</summary>
    [Params(0, 100, 4000)]
    public int Rules { get; set; }

    [GlobalSetup]
    public void Fill()
    {
        _now = TimeProvider.System.Now();
        if (!IpPacket.TryParse(_new, out _info))
            throw new InvalidOperationException("The packet is none.");
        if (Rules == 0)
            return;
        var set = new AddressSet([IpPrefix.Host(Peer)]);
        NodeRule[] rules =
        [
            .. Enumerable.Range(1, Rules - 1).Select(number => (Number: number, Port: (ushort)(10_000 + number)))
                .Select(one => Rule(one.Number, RuleAction.Deny, [new PortRange(one.Port, one.Port)])),
            Rule(Rules, RuleAction.Allow, [new PortRange(443, 443)]),
            Rule(Rules + 1, RuleAction.Deny, []),
        ];
        var node = new NodeAccessRules(TimeProvider.System, () => 1);
        node.Take(new NodeRules(rules, new Dictionary<uint, AddressSet> { [1] = set }));
        _access = node.For([IpPrefix.Host(Peer)], isServer: false, null);
        foreach (byte[] packet in _flows)
            Admits(packet, default);

        static NodeRule Rule(int number, RuleAction action, PortRange[] ports) => new()
        {
            Number = number, Action = action, Protocol = RuleProtocol.Tcp, Ports = ports, Sets = [1],
        };
    }

    /// <summary>Neighbours are of one flow.</summary>
    [Benchmark(Baseline = true)]
    public bool SameFlow() => _access is null || _access.Admits(_flows[0], _info, isInbound: true, _now, ref _last);

    /// <summary>Each packet is of another one of 256 flows.</summary>
    [Benchmark]
    public bool AnotherFlow() => Admits(_flows[_next++ & 255], default);

    /// <summary>A packet that asks for a connection.</summary>
    [Benchmark]
    public bool NewFlow()
    {
        _new[21] = (byte)_next;
        _new[20] = (byte)(_next++ >> 8);
        return Admits(_new, default);
    }

    /// <summary>A packet that no rule but the last one fits.</summary>
    [Benchmark]
    public bool Denied() => Admits(_denied, default);

    private bool Admits(byte[] packet, FlowKey last) =>
        _access is null || _access.Admits(packet, _info, isInbound: true, _now, ref last);

    private static byte[] Packet(ushort sourcePort, ushort destinationPort, byte flags)
    {
        byte[] packet = new byte[40];
        packet[0] = 0x45;
        packet[3] = 40;
        packet[9] = IpPacket.ProtocolTcp;
        Peer.WriteTo(packet.AsSpan(12));
        Own.WriteTo(packet.AsSpan(16));
        (packet[20], packet[21]) = ((byte)(sourcePort >> 8), (byte)sourcePort);
        (packet[22], packet[23]) = ((byte)(destinationPort >> 8), (byte)destinationPort);
        packet[32] = 0x50;
        packet[33] = flags;
        return packet;
    }
}
