using System.Buffers.Binary;
using LightTunnel.Access;
using LightTunnel.Addressing;
using LightTunnel.Packets;
using LightTunnel.Tests.Packets;
using Xunit;

namespace LightTunnel.Tests.Access;

/// <summary>Packets and rules for tests of rules, as short as they are thought.</summary>
internal static class RulePackets
{
    public const byte Syn = 0x02, Rst = 0x04, Ack = 0x10, SynAck = Syn | Ack;

    public static byte[] Tcp(string source, int sourcePort, string destination, int destinationPort, byte flags)
    {
        byte[] segment = new byte[20];
        BinaryPrimitives.WriteUInt16BigEndian(segment, (ushort)sourcePort);
        BinaryPrimitives.WriteUInt16BigEndian(segment.AsSpan(2), (ushort)destinationPort);
        segment[12] = 0x50;
        segment[13] = flags;
        return TestPackets.Ip(source, destination, IpPacket.ProtocolTcp, segment);
    }

    public static byte[] Udp(string source, int sourcePort, string destination, int destinationPort) =>
        TestPackets.Udp(source, destination, (ushort)sourcePort, (ushort)destinationPort, "body"u8);

    /// <summary>An error that the destination's side of a packet answers it with.</summary>
    public static byte[] ErrorAbout(byte[] packet)
    {
        IpPacketInfo info = Parse(packet);
        byte[] error = new byte[IcmpErrors.MaximumLength];
        int length = IcmpErrors.WriteUnreachable(packet, UnreachableReason.HostUnreachable, info.Destination, error);
        Assert.NotEqual(0, length);
        return error[..length];
    }

    /// <summary>An IPv4 packet cut in two, the first part of so many bytes of payload.</summary>
    public static (byte[] First, byte[] Second) Cut(byte[] packet, int at, ushort id = 7)
    {
        byte[] first = packet[..(20 + at)], second = [.. packet[..20], .. packet[(20 + at)..]];
        Head(first, 0x2000);
        Head(second, (ushort)(at / 8));
        return (first, second);

        void Head(byte[] part, ushort fragment)
        {
            BinaryPrimitives.WriteUInt16BigEndian(part.AsSpan(2), (ushort)part.Length);
            BinaryPrimitives.WriteUInt16BigEndian(part.AsSpan(4), id);
            BinaryPrimitives.WriteUInt16BigEndian(part.AsSpan(6), fragment);
            TestPackets.SealHeader(part);
        }
    }

    public static IpPacketInfo Parse(byte[] packet)
    {
        Assert.True(IpPacket.TryParse(packet, out IpPacketInfo info));
        return info;
    }

    public static TunnelAddress Address(string text) => TestPackets.Address(text);

    public static RuleSelector Selector(string text)
    {
        Assert.True(RuleSelector.TryParse(text, out RuleSelector selector), text);
        return selector;
    }

    public static PortRange[] Ports(string text) => [.. text.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(part =>
    {
        Assert.True(PortRange.TryParse(part, out PortRange range), part);
        return range;
    })];

    /// <summary>"Deny Tcp 22,80-89 a,b > c": an action, a protocol, ports or "-", and two sides. A member is told by "m2".</summary>
    public static AccessRule Rule(int number, string text)
    {
        string[] words = text.Split(' ');
        return new AccessRule
        {
            Number = number,
            Action = Enum.Parse<RuleAction>(words[0]),
            Protocol = Enum.Parse<RuleProtocol>(words[1]),
            Ports = words[2] == "-" ? [] : Ports(words[2]),
            From = Side(words[3]),
            To = Side(words[5]),
        };

        static RuleSelector[] Side(string side) => [.. side.Split(',').Select(one =>
            one.Length == 2 && one[0] == 'm' ? RuleSelector.OfMember(one, (uint)(one[1] - '0')) : Selector(one))];
    }

    public static AccessRule[] Rules(params string[] texts) => [.. texts.Select((text, index) => Rule((index + 1) * 10, text))];
}
