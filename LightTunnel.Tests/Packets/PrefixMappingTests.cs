using System.Buffers.Binary;
using FsCheck;
using FsCheck.Fluent;
using FsCheck.Xunit;
using LightTunnel.Addressing;
using LightTunnel.Packets;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Packets;

/// <summary>The mapping, beside one that replaces addresses and computes every checksum anew.</summary>
public sealed class PrefixMappingTests
{
    private const string Member = "10.0.0.5", MemberV6 = "fd00::5";

    private static readonly PrefixPair[] Pairs =
    [
        new(Prefix("192.168.1.0/24"), Prefix("10.99.1.0/24")), new(Prefix("172.16.32.0/19"), Prefix("100.64.224.0/19")),
        new(Prefix("192.168.7.7/32"), Prefix("10.99.2.9/32")), new(Prefix("fd11:2233:4454::/47"), Prefix("2001:db8:8000::/47")),
    ];

    private static readonly PrefixMapping Mapping = PrefixMapping.Create(Pairs)!;

    /// <summary>Hosts behind the node, and what members know them as.</summary>
    public static TheoryData<string, string> Hosts => new()
    {
        { "192.168.1.20", "10.99.1.20" }, { "192.168.1.255", "10.99.1.255" }, { "172.16.63.254", "100.64.255.254" },
        { "192.168.7.7", "10.99.2.9" }, { "fd11:2233:4454:1::8", "2001:db8:8000:1::8" },
        { "fd11:2233:4455:ffff::1", "2001:db8:8001:ffff::1" },
    };

    [Theory]
    [MemberData(nameof(Hosts))]
    public void Packets_OfEachProtocol_AreAsIfMadeForTheOtherAddress(string real, string known)
    {
        string member = real.Contains(':', StringComparison.Ordinal) ? MemberV6 : Member;
        foreach (Func<string, string, byte[]> make in (Func<string, string, byte[]>[])
            [
                (from, to) => Udp(from, to, 1000, 53, "question"u8), (from, to) => TransportPackets.Tcp(from, to, 77, "hello"u8),
                (from, to) => Icmp(from, to), (from, to) => Ip(from, to, 132, new byte[12]),
            ])
        {
            Assert.Equal(make(member, real), Inwards(make(member, known)));
            Assert.Equal(make(known, member), Outwards(make(real, member)));
            // The other way round, and what is mapped to nobody, stays.
            Assert.Equal(make(real, member), Inwards(make(real, member)));
            Assert.Equal(make(member, real), Outwards(make(member, real)));
        }
    }

    [Theory]
    [MemberData(nameof(Hosts))]
    public void UdpWithoutAChecksum_StaysSo(string real, string known)
    {
        string member = real.Contains(':', StringComparison.Ordinal) ? MemberV6 : Member;
        Assert.Equal(WithoutSum(member, real), Inwards(WithoutSum(member, known)));
        Assert.Equal(WithoutSum(known, member), Outwards(WithoutSum(real, member)));

        static byte[] WithoutSum(string from, string to)
        {
            byte[] packet = Udp(from, to, 1, 2, new byte[10]);
            packet.AsSpan(packet.Length - 12, 2).Clear();
            return packet;
        }
    }

    [Theory]
    [MemberData(nameof(Hosts))]
    public void UdpChecksum_ThatComesOutAs0_IsItsOtherRepresentation(string real, string known)
    {
        string member = real.Contains(':', StringComparison.Ordinal) ? MemberV6 : Member;
        byte[] payload = [0, 0];
        byte[] expected;
        do
            BinaryPrimitives.WriteUInt16BigEndian(payload, (ushort)(BinaryPrimitives.ReadUInt16BigEndian(payload) + 1));
        while (BinaryPrimitives.ReadUInt16BigEndian((expected = Udp(member, real, 1, 2, payload)).AsSpan(expected.Length - 4)) != 0xFFFF);

        Assert.Equal(expected, Inwards(Udp(member, known, 1, 2, payload)));
        Assert.Equal(Udp(known, member, 1, 2, payload), Outwards(Udp(real, member, 1, 2, payload)));
    }

    [Theory]
    [MemberData(nameof(Hosts))]
    public void SuperPacket_WhoseChecksumIsOpen_IsCutIntoWholeSegments(string real, string known)
    {
        string member = real.Contains(':', StringComparison.Ordinal) ? MemberV6 : Member;
        byte[] payload = TransportPackets.RandomBytes(new Random(3), 5000);
        byte[] packet = TransportPackets.Tcp(real, member, 9, payload);
        PacketOffload offload = TransportPackets.LeaveOpen(packet, 1300);
        byte[] expected = TransportPackets.Tcp(known, member, 9, payload);
        TransportPackets.LeaveOpen(expected, 1300);

        Assert.True(IpPacket.TryParse(packet, out IpPacketInfo info));
        Mapping.MapOutwards(packet, ref info, isOpen: true);

        Assert.Equal(Address(known), info.Source);
        Assert.Equal(expected, packet);
        foreach (byte[] segment in TransportPackets.Cut(packet, offload))
            TransportPackets.AssertWhole(segment);
    }

    [Theory]
    [MemberData(nameof(Hosts))]
    public void IcmpErrors_AreMappedWithWhatTheyQuote_HoweverShort(string real, string known)
    {
        bool isIPv4 = !real.Contains(':', StringComparison.Ordinal);
        string member = isIPv4 ? Member : MemberV6, router = isIPv4 ? "203.0.113.1" : "2001:db8:ffff::1";
        foreach (Func<string, string, byte[]> make in (Func<string, string, byte[]>[])
            [
                (from, to) => Udp(from, to, 1000, 53, "question"u8), (from, to) => TransportPackets.Tcp(from, to, 77, "hello"u8),
                (from, to) => Icmp(from, to),
            ])
        {
            int most = make(member, real).Length;
            int headers = isIPv4 ? 20 : 40;
            foreach (int quoted in (int[])[headers + 8, headers + 16, headers + 18, most])
            {
                int length = Math.Min(quoted, most);
                // A member refuses what a host sent; a router behind this node, or the host, refuses what a member sent.
                byte[] sent = make(real, member)[..length], sentAs = make(known, member)[..length];
                byte[] got = make(member, real)[..length], gotAs = make(member, known)[..length];
                Assert.Equal(Error(member, real, sent), Inwards(Error(member, known, sentAs)));
                Assert.Equal(Error(known, member, gotAs), Outwards(Error(real, member, got)));
                Assert.Equal(Error(router, member, gotAs), Outwards(Error(router, member, got)));
            }
        }
    }

    [Fact]
    public void Fragments_HaveTheChecksumOfTheWholePacketInTheFirst_AndNoneElsewhere()
    {
        byte[] first = Udp(Member, "10.99.1.20", 1000, 53, new byte[64]), later = Udp(Member, "10.99.1.20", 1000, 53, new byte[64]);
        byte[] expectedFirst = Udp(Member, "192.168.1.20", 1000, 53, new byte[64]);
        byte[] expectedLater = [.. Ip(Member, "192.168.1.20", IpPacket.ProtocolUdp, later.AsSpan(20))];
        foreach ((byte[] packet, ushort flags) in
            ((byte[], ushort)[])[(first, 0x2000), (expectedFirst, 0x2000), (later, 9), (expectedLater, 9)])
        {
            BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(6), flags);
            SealHeader(packet);
        }

        Assert.Equal(expectedFirst, Inwards(first));
        Assert.Equal(expectedLater, Inwards(later));
    }

    [Fact]
    public void IPv6Extensions_AreSkipped_AlsoInWhatIsQuoted()
    {
        byte[] plain = Udp("2001:db8:8000:1::8", MemberV6, 1, 2, "data"u8), expected = Udp("fd11:2233:4454:1::8", MemberV6, 1, 2, "data"u8);
        byte[] quoted = WithExtensions(plain), expectedQuoted = WithExtensions(expected);
        Assert.Equal(
            Error(MemberV6, "fd11:2233:4454:1::8", expectedQuoted), Inwards(Error(MemberV6, "2001:db8:8000:1::8", quoted)));
        Assert.Equal(quoted, Outwards([.. expectedQuoted]));

        static byte[] WithExtensions(byte[] packet)
        {
            // Destination options, and a fragment header of a first fragment.
            byte[] extensions = [44, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0, 1, 1, 2, 3, 4];
            byte[] result = [.. packet[..40], .. extensions, .. packet[40..]];
            result[6] = 60;
            BinaryPrimitives.WriteUInt16BigEndian(result.AsSpan(4), (ushort)(result.Length - 40));
            return result;
        }
    }

    [Fact]
    public void Checksum_ThatIsWrong_StaysWrong()
    {
        byte[] packet = Udp(Member, "10.99.1.20", 1000, 53, "question"u8);
        packet[^1] ^= 1;
        byte[] mapped = Inwards(packet);
        Assert.True(IpPacket.TryParse(mapped, out IpPacketInfo info));
        uint pseudo = InternetChecksum.PseudoHeaderSum(info.Source, info.Destination, 17, mapped.Length - 20);
        Assert.False(InternetChecksum.IsValid(mapped.AsSpan(20), pseudo));
        Assert.True(InternetChecksum.IsValid(mapped.AsSpan(0, 20)));
    }

    /// <summary>Any pair of prefixes, any addresses, any payload: as if everything were computed anew.</summary>
    [Property(MaxTest = 2000)]
    public Property Mapping_IsWhatComputingAnewGives() => Prop.ForAll(
        Gen.Choose(0, int.MaxValue).ToArbitrary(),
        seed =>
        {
            var random = new Random(seed);
            bool isIPv4 = random.Next(2) == 0;
            int length = random.Next(1, isIPv4 ? 33 : 129);
            var pair = new PrefixPair(new IpPrefix(Any(random, isIPv4), length), new IpPrefix(Any(random, isIPv4), length));
            if (PrefixMapping.Create([pair]) is not { } mapping)
                return;
            string member = Any(random, isIPv4).ToString();
            UInt128 rest = Any(random, isIPv4).Bits & ~IpPrefix.MaskOf(length);
            string known = TunnelAddress.FromBits(pair.As.Network.Bits | rest, isIPv4).ToString();
            string real = TunnelAddress.FromBits(pair.Real.Network.Bits | rest, isIPv4).ToString();
            byte[] payload = TransportPackets.RandomBytes(random, random.Next(40));
            ushort port = (ushort)random.Next(ushort.MaxValue);
            int kind = random.Next(3);
            Assert.Equal(Make(member, real), Map(mapping, Make(member, known), isInwards: true));
            // A destination that lies in the network itself would be mapped in what is quoted only.
            Assert.Equal(Make(known, member), Map(mapping, Make(real, member), isInwards: false));

            byte[] Make(string from, string to) => kind switch
            {
                0 => Udp(from, to, port, 53, payload),
                1 => TransportPackets.Tcp(from, to, port, payload),
                _ => Icmp(from, to, id: port),
            };
        });

    [Fact]
    public void HostileBytes_NeverGoOutsideThePacket()
    {
        var random = new Random(Fuzz.Seed(11));
        byte[][] seeds =
        [
            Udp(Member, "10.99.1.20", 1000, 53, new byte[40]), TransportPackets.Tcp("192.168.1.3", Member, 5, new byte[20]),
            Error(Member, "10.99.1.20", Udp("10.99.1.20", Member, 1, 2, new byte[30])),
            Error("192.168.1.3", Member, TransportPackets.Tcp(Member, "192.168.1.3", 1, new byte[30])),
            Error(MemberV6, "2001:db8:8000::1", Udp("2001:db8:8000::1", MemberV6, 1, 2, new byte[30])),
            Udp("fd11:2233:4454::1", MemberV6, 1, 2, new byte[30]),
        ];
        for (int i = 0; i < Fuzz.Count(20_000); i++)
        {
            byte[] packet = [.. seeds[i % seeds.Length]];
            for (int change = random.Next(6); change >= 0; change--)
                packet[random.Next(Math.Min(packet.Length, 100))] = (byte)random.Next(256);
            packet = packet[..random.Next(packet.Length + 1)];
            // What lies behind the packet is somebody else's.
            byte[] memory = [.. packet, .. new byte[32]];
            if (!IpPacket.TryParse(memory.AsSpan(0, packet.Length), out IpPacketInfo info))
                continue;
            Mapping.MapInwards(memory.AsSpan(0, packet.Length), info);
            IpPacketInfo outwards = info;
            Mapping.MapOutwards(memory.AsSpan(0, packet.Length), ref outwards, isOpen: (i & 1) == 0);
            Assert.Equal(new byte[32], memory[packet.Length..]);
            Assert.True(IpPacket.TryParse(memory.AsSpan(0, packet.Length), out IpPacketInfo after));
            Assert.Equal((info.TotalLength, info.HeaderLength, info.Protocol), (after.TotalLength, after.HeaderLength, after.Protocol));
        }
    }

    [Fact]
    public void Mapping_CostsNoAllocation()
    {
        byte[] packet = Udp(Member, "10.99.1.20", 1000, 53, new byte[1200]);
        byte[] error = Error(Member, "10.99.1.20", Udp("10.99.1.20", Member, 1, 2, []));
        Assert.True(IpPacket.TryParse(packet, out IpPacketInfo info));
        Assert.True(IpPacket.TryParse(error, out IpPacketInfo errorInfo));
        Allocation.AssertNone(warmUp: 200, count: 1000, () =>
        {
            Mapping.MapInwards(packet, info);
            Mapping.MapInwards(error, errorInfo);
            IpPacketInfo copy = info;
            Mapping.MapOutwards(packet, ref copy, isOpen: false);
        });
    }

    [Theory]
    [InlineData("192.168.1.0/24", "10.99.1.0/25")]
    [InlineData("192.168.1.0/24", "fd00::/24")]
    public void Create_UnlikePrefixes_IsRefused(string real, string known) =>
        Assert.Throws<ArgumentException>(() => PrefixMapping.Create([new PrefixPair(Prefix(real), Prefix(known))]));

    [Fact]
    public void Create_OverlappingPrefixes_AreRefused_AndNothingToMapIsNoMapping()
    {
        PrefixPair home = new(Prefix("192.168.1.0/24"), Prefix("10.99.1.0/24"));
        Assert.Throws<ArgumentException>(() => PrefixMapping.Create([home, home with { Real = Prefix("192.168.2.0/24") }]));
        Assert.Throws<ArgumentException>(() => PrefixMapping.Create([home, home with { As = Prefix("10.99.2.0/24") }]));
        Assert.Null(PrefixMapping.Create([new PrefixPair(home.Real, home.Real)]));
        Assert.Null(PrefixMapping.Create([]));
    }

    private static byte[] Inwards(byte[] packet) => Map(Mapping, packet, isInwards: true);

    private static byte[] Outwards(byte[] packet) => Map(Mapping, packet, isInwards: false);

    private static byte[] Map(PrefixMapping mapping, byte[] packet, bool isInwards)
    {
        Assert.True(IpPacket.TryParse(packet, out IpPacketInfo info));
        if (isInwards)
            mapping.MapInwards(packet, info);
        else
            mapping.MapOutwards(packet, ref info, isOpen: false);
        Assert.True(IpPacket.TryReadSource(packet, out TunnelAddress source));
        Assert.Equal(source, info.Source);
        return packet;
    }

    private static TunnelAddress Any(Random random, bool isIPv4) =>
        TunnelAddress.FromBytes(TransportPackets.RandomBytes(random, isIPv4 ? 4 : 16));

    private static byte[] Error(string from, string to, byte[] quoted)
    {
        bool isIPv4 = Address(from).IsIPv4;
        byte[] message = [(byte)(isIPv4 ? 3 : 1), 1, 0, 0, 0, 0, 0, 0, .. quoted];
        byte protocol = isIPv4 ? IpPacket.ProtocolIcmp : IpPacket.ProtocolIcmpV6;
        uint pseudo = isIPv4 ? 0 : InternetChecksum.PseudoHeaderSum(Address(from), Address(to), protocol, message.Length);
        BinaryPrimitives.WriteUInt16BigEndian(message.AsSpan(2), InternetChecksum.Compute(message, pseudo));
        return Ip(from, to, protocol, message);
    }
}
