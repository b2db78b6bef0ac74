using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Formats.Cbor;
using System.Globalization;
using System.Net;
using System.Numerics;
using System.Text;
using LightTunnel.Access;
using LightTunnel.Addressing;
using LightTunnel.Membership.Cbor;
using LightTunnel.WireGuard;

namespace LightTunnel.Membership;

/// <summary>The kinds of values that control messages and invitations are made of; docs/protocol.md says how each looks.</summary>
internal static class FieldKinds
{
    private const int PortLength = 2;
    private const int IPv4Prefix = 160;

    /// <summary>True or false.</summary>
    public static CborKind<bool> Flag { get; } = new CborFlag();

    /// <summary>Any number of 64 bits.</summary>
    public static CborKind<ulong> AnyUInt64 { get; } = new CborNumber<ulong>(0, ulong.MaxValue);

    /// <summary>Any number of 32 bits.</summary>
    public static CborKind<uint> AnyUInt32 { get; } = new CborNumber<uint>(0, uint.MaxValue);

    /// <summary>The id of a member that is no server.</summary>
    public static CborKind<uint> ClientId { get; } = new CborNumber<uint>(Leases.FirstClientId, uint.MaxValue);

    /// <summary>A valid <see cref="NodeName"/>.</summary>
    public static CborKind<string> Name { get; } = new NameKind();

    /// <summary>Groups of members, as <see cref="GroupName"/> keeps them.</summary>
    public static CborKind<IReadOnlyList<string>> Groups { get; } = Array(new GroupKind(), 0, GroupName.MostOfAMember);

    /// <summary>A sentence or name for a person.</summary>
    public static CborKind<string> Text { get; } = new TextKind(200);

    /// <summary>A version of the software, for people.</summary>
    public static CborKind<string> Version { get; } = new TextKind(32);

    /// <summary>A name or address with wildcards.</summary>
    public static CborKind<string> Pattern { get; } = new TextKind(NodeName.MaximumLength);

    /// <summary>A cipher suite; WireGuard's when it is unknown or not told.</summary>
    public static CborKind<CipherSuite> Suite { get; } = OneOf(CipherSuite.WireGuard);

    /// <summary>A member's public key.</summary>
    public static CborKind<PublicKey> Key { get; } =
        new CborBytes<PublicKey>("key", PublicKey.Size, static (key, to) => Copy(key.Bytes, to), TryReadKey);

    /// <summary>A pre-shared key, 32 bytes: a secret.</summary>
    public static CborKind<PresharedKey> PresharedKey { get; } = new CborBytes<PresharedKey>(
        "pre-shared key", WireGuard.PresharedKey.Size, static (key, to) => Copy(key.Bytes, to), TryReadPresharedKey);

    /// <summary>Which of a network's keys: the server counts its changes.</summary>
    public static CborKind<int> KeyNumber { get; } = Number(0, int.MaxValue);

    /// <summary>An address in a tunnel, of either family.</summary>
    public static CborKind<TunnelAddress> Address { get; } =
        new CborBytes<TunnelAddress>("address", 16, static (address, to) => address.WriteTo(to), TryReadAddress);

    /// <summary>An address with the length of its prefix.</summary>
    public static CborKind<InterfaceAddress> InterfaceAddress { get; } =
        new CborBytes<InterfaceAddress>("address/length", 16 + 1, WriteInterfaceAddress, TryReadInterfaceAddress);

    /// <summary>A prefix of addresses in a tunnel; an address is the prefix of itself.</summary>
    public static CborKind<IpPrefix> Prefix { get; } = new CborConverted<InterfaceAddress, IpPrefix>(
        InterfaceAddress,
        static prefix => new InterfaceAddress(prefix.Network, prefix.Length),
        static read => read.Prefix);

    /// <summary>
    /// A prefix without the bytes that are not of it: its length, to which 160 is added for IPv4, and as many bytes as it has.
    /// </summary>
    public static CborKind<IpPrefix> ShortPrefix { get; } =
        new CborBytes<IpPrefix>("short prefix", 1 + 16, WriteShortPrefix, TryReadShortPrefix);

    /// <summary>The networks behind one node.</summary>
    public static CborKind<IReadOnlyList<IpPrefix>> Routes { get; } = Array(ShortPrefix, 0, MemberRoutes.MaximumCount);

    /// <summary>A range of ports: the first in the upper 16 bits, the last in the lower.</summary>
    public static CborKind<PortRange> Ports { get; } = new CborConverted<uint, PortRange>(
        AnyUInt32,
        static range => ((uint)range.First << 16) | range.Last,
        static read => new PortRange((ushort)(read >> 16), (ushort)read));

    /// <summary>An address and port of UDP.</summary>
    public static CborKind<UdpEndpoint> Endpoint { get; } = new EndpointKind();

    /// <summary>An endpoint at which a node may be reachable.</summary>
    public static CborKind<Candidate> Candidate { get; } =
        new CborBytes<Candidate>(
            "candidate", Addressing.Candidate.MaximumSize, static (candidate, to) => candidate.Write(to), Addressing.Candidate.TryRead);

    /// <summary>How the NAT before a node behaves.</summary>
    public static CborKind<NatBehaviour> NatBehaviour { get; } =
        new CborBytes<NatBehaviour>(
            "NAT's behaviour", Addressing.NatBehaviour.MaximumSize, static (nat, to) => nat.Write(to), Addressing.NatBehaviour.TryRead);

    /// <summary>A time in units of 100 ns from the beginning of the year 1, UTC.</summary>
    public static CborKind<DateTimeOffset> Time { get; } = new CborConverted<ulong, DateTimeOffset>(
        Number(0UL, (ulong)DateTimeOffset.MaxValue.UtcTicks),
        static time => (ulong)time.UtcTicks,
        static ticks => new DateTimeOffset((long)ticks, TimeSpan.Zero));

    /// <summary>A time in seconds since 1970, UTC.</summary>
    public static CborKind<DateTimeOffset> Seconds { get; } = new CborConverted<ulong, DateTimeOffset>(
        Number(0UL, (ulong)DateTimeOffset.MaxValue.ToUnixTimeSeconds()),
        static time => (ulong)time.ToUnixTimeSeconds(),
        static seconds => DateTimeOffset.FromUnixTimeSeconds((long)seconds));

    /// <summary>A number within bounds.</summary>
    public static CborKind<T> Number<T>(T minimum, T maximum)
        where T : struct, IBinaryInteger<T>, IMinMaxValue<T> => new CborNumber<T>(minimum, maximum);

    /// <summary>A duration as a number of milliseconds.</summary>
    public static CborKind<TimeSpan> Milliseconds(TimeSpan maximum) => new CborConverted<int, TimeSpan>(
        Number(0, (int)maximum.TotalMilliseconds),
        static time => (int)time.TotalMilliseconds,
        static number => TimeSpan.FromMilliseconds(number));

    /// <summary>A value of an enumeration; what this version does not know stands for the one given.</summary>
    public static CborKind<T> OneOf<T>(T unknown)
        where T : struct, Enum => new CborEnum<T>(unknown);

    /// <summary>An array of so many items.</summary>
    public static CborKind<IReadOnlyList<T>> Array<T>(CborKind<T> item, int minimum, int maximum) =>
        new CborArray<T>(item, minimum, maximum);

    /// <summary>An array of so many items, of which those are left out that this version does not know.</summary>
    public static CborKind<IReadOnlyList<T>> ArrayOfKnown<T>(CborKind<T> item, int maximum) =>
        new CborArray<T>(item, 0, maximum, skipsUnknown: true);

    /// <summary>A value, or null for none.</summary>
    public static CborKind<T?> OrNone<T>(CborKind<T> kind)
        where T : struct => new CborNullable<T>(kind);

    /// <summary>
    /// The text without control characters and cut to a length, so that a remote node cannot forge lines of a log or a terminal.
    /// </summary>
    private static string Printable(string text, int maximumLength)
    {
        var result = new StringBuilder(Math.Min(text.Length, maximumLength));
        foreach (Rune rune in text.EnumerateRunes())
        {
            if (result.Length + rune.Utf16SequenceLength > maximumLength)
                break;
            bool printable = Rune.GetUnicodeCategory(rune) is not (UnicodeCategory.Control or UnicodeCategory.Format
                or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.Surrogate);
            result.Append(printable ? rune.ToString() : " ");
        }

        return result.ToString();
    }

    private static int Copy(ReadOnlySpan<byte> bytes, Span<byte> destination)
    {
        bytes.CopyTo(destination);
        return bytes.Length;
    }

    private static bool TryReadKey(ReadOnlySpan<byte> bytes, out PublicKey key)
    {
        bool valid = bytes.Length == PublicKey.Size;
        key = valid ? new PublicKey(bytes) : default;
        return valid;
    }

    private static bool TryReadPresharedKey(ReadOnlySpan<byte> bytes, [NotNullWhen(true)] out PresharedKey? key)
    {
        key = bytes.Length == WireGuard.PresharedKey.Size ? new PresharedKey(bytes) : null;
        return key is not null;
    }

    private static bool TryReadAddress(ReadOnlySpan<byte> bytes, out TunnelAddress address)
    {
        bool valid = bytes.Length is 4 or 16;
        address = valid ? TunnelAddress.FromBytes(bytes) : default;
        return valid;
    }

    /// <summary>The address followed by one byte of prefix length.</summary>
    private static int WriteInterfaceAddress(InterfaceAddress address, Span<byte> destination)
    {
        int length = address.Address.WriteTo(destination);
        destination[length] = (byte)address.PrefixLength;
        return length + 1;
    }

    private static bool TryReadInterfaceAddress(ReadOnlySpan<byte> bytes, out InterfaceAddress address)
    {
        address = default;
        if (bytes.Length == 0 || !TryReadAddress(bytes[..^1], out TunnelAddress read) || bytes[^1] > read.BitLength)
            return false;
        address = new InterfaceAddress(read, bytes[^1]);
        return true;
    }

    private static int WriteShortPrefix(IpPrefix prefix, Span<byte> destination)
    {
        Span<byte> network = stackalloc byte[16];
        prefix.Network.WriteTo(network);
        int length = (prefix.Length + 7) / 8;
        destination[0] = (byte)(prefix.Length + (prefix.Network.IsIPv4 ? IPv4Prefix : 0));
        network[..length].CopyTo(destination[1..]);
        return 1 + length;
    }

    private static bool TryReadShortPrefix(ReadOnlySpan<byte> bytes, out IpPrefix prefix)
    {
        prefix = default;
        if (bytes.Length == 0)
            return false;
        bool isIPv4 = bytes[0] >= IPv4Prefix;
        int length = isIPv4 ? bytes[0] - IPv4Prefix : bytes[0];
        int most = isIPv4 ? 4 : 16;
        if (length > most * 8 || bytes.Length != 1 + ((length + 7) / 8))
            return false;
        Span<byte> network = stackalloc byte[most];
        network.Clear();
        bytes[1..].CopyTo(network);
        TunnelAddress address = TunnelAddress.FromBytes(network);
        prefix = new IpPrefix(address, length);
        return prefix.Network == address;
    }

    /// <summary>The address followed by two bytes of port.</summary>
    private static int WriteEndpoint(UdpEndpoint endpoint, Span<byte> destination)
    {
        endpoint.Address.TryWriteBytes(destination, out int length);
        BinaryPrimitives.WriteUInt16BigEndian(destination[length..], endpoint.Port);
        return length + PortLength;
    }

    private static bool TryReadEndpoint(ReadOnlySpan<byte> bytes, out UdpEndpoint endpoint)
    {
        endpoint = default;
        if (bytes.Length is not (4 + PortLength or 16 + PortLength))
            return false;
        endpoint = new UdpEndpoint(new IPAddress(bytes[..^PortLength]), BinaryPrimitives.ReadUInt16BigEndian(bytes[^PortLength..]));
        return true;
    }

    private sealed class EndpointKind() : CborBytes<UdpEndpoint>("endpoint", 16 + PortLength, WriteEndpoint, TryReadEndpoint)
    {
        public override bool IsAbsent(UdpEndpoint value) => !value.IsSpecified;
    }

    private sealed class NameKind : CborKind<string>
    {
        public override string Description => "name";

        public override string Absent => string.Empty;

        public override bool IsValid(string value) => NodeName.IsValid(value);

        public override bool TryRead(CborReader reader, [MaybeNullWhen(false)] out string value)
        {
            value = reader.ReadTextString();
            return IsValid(value);
        }

        public override void Write(CborWriter writer, string value) => writer.WriteTextString(value);
    }

    private sealed class GroupKind : CborKind<string>
    {
        public override string Description => "group";

        public override string Absent => string.Empty;

        public override bool IsValid(string value) => GroupName.IsValid(value);

        public override bool TryRead(CborReader reader, [MaybeNullWhen(false)] out string value)
        {
            value = reader.ReadTextString();
            return IsValid(value);
        }

        public override void Write(CborWriter writer, string value) => writer.WriteTextString(value);
    }

    /// <summary>Text that is shown to people: cleaned by who writes it, as a courtesy, and by who reads it, to be sure.</summary>
    private sealed class TextKind(int maximumLength) : CborKind<string>
    {
        public override string Description => $"text up to {maximumLength}";

        public override string Absent => string.Empty;

        public override bool TryRead(CborReader reader, [MaybeNullWhen(false)] out string value)
        {
            string read = reader.ReadTextString();
            value = read.Length <= maximumLength ? Printable(read, maximumLength) : null;
            return value is not null;
        }

        public override void Write(CborWriter writer, string value) => writer.WriteTextString(Printable(value, maximumLength));
    }
}
