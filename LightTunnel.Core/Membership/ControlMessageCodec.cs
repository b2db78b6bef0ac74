using System.Diagnostics.CodeAnalysis;
using System.Formats.Cbor;
using LightTunnel.Addressing;
using LightTunnel.WireGuard;

namespace LightTunnel.Membership;

/// <summary>What became of bytes that should be a message.</summary>
internal enum DecodeResult
{
    /// <summary>A message came out.</summary>
    Message,

    /// <summary>Well-formed, of a type that this version does not know: to be ignored.</summary>
    Unknown,

    /// <summary>No message: the sender is at fault.</summary>
    Malformed,
}

/// <summary>
/// Control messages as CBOR (RFC 8949): a map with small integer keys, key 0 the type; canonical order, definite lengths, no tags.
/// The keys are listed in docs/protocol.md. Keys that are not known are skipped, so that they can be added without a new protocol version.
/// </summary>
internal static class ControlMessageCodec
{
    /// <summary>Longest text for people, characters.</summary>
    public const int MaximumTextLength = 200;

    /// <summary>Longest software version, characters.</summary>
    public const int MaximumVersionLength = 32;

    /// <summary>Longest encoded page of the directory.</summary>
    public const int MaximumPageLength = 1100;

    private enum MessageType
    {
        Register = 1,
        Registered = 2,
        Refused = 3,
        Directory = 4,
        Leave = 5,
        Reachability = 6,
        Introduce = 7,
        Introduction = 8,
        Find = 9,
        Forget = 10,
        List = 11,
        Listing = 12,
        Notice = 13,
    }

    /// <summary>Encodes a message; it always fits in the body of a control frame.</summary>
    /// <exception cref="ArgumentException">A part of the message is out of its bounds: a fault of the caller.</exception>
    public static byte[] Encode(ControlMessage message)
    {
        ArgumentNullException.ThrowIfNull(message);
        var writer = new CborWriter(CborConformanceMode.Canonical);
        switch (message)
        {
            case RegisterMessage register: Write(writer, register); break;
            case RegisteredMessage registered: Write(writer, registered); break;
            case RefusedMessage refused: Write(writer, refused); break;
            case DirectoryMessage directory: DirectoryCodec.Write(writer, directory); break;
            case LeaveMessage leave: Write(writer, leave); break;
            case ReachabilityMessage reachability: IntroductionCodec.Write(writer, (int)MessageType.Reachability, reachability); break;
            case IntroduceMessage introduce: IntroductionCodec.Write(writer, (int)MessageType.Introduce, introduce); break;
            case IntroductionMessage introduction: IntroductionCodec.Write(writer, (int)MessageType.Introduction, introduction); break;
            case FindMessage find: DirectoryCodec.Write(writer, (int)MessageType.Find, find); break;
            case ForgetMessage forget: DirectoryCodec.Write(writer, (int)MessageType.Forget, forget); break;
            case ListMessage list: DirectoryCodec.Write(writer, (int)MessageType.List, list); break;
            case ListingMessage listing: DirectoryCodec.Write(writer, listing); break;
            case NoticeMessage notice: Write(writer, notice); break;
            default: throw new ArgumentException($"{message.GetType().Name} has no encoding.", nameof(message));
        }

        byte[] encoded = writer.Encode();
        if (encoded.Length > ControlFrame.MaximumBodyLength)
            throw new ArgumentException($"The message takes {encoded.Length} bytes; a frame holds {ControlFrame.MaximumBodyLength}.", nameof(message));
        return encoded;
    }

    /// <summary>Decodes a message. Never throws, whatever the bytes are.</summary>
    /// <param name="encoded">The body of a data frame.</param>
    /// <param name="message">The message when the result is <see cref="DecodeResult.Message"/>.</param>
    public static DecodeResult Decode(ReadOnlyMemory<byte> encoded, out ControlMessage? message)
    {
        message = null;
        if (encoded.Length > ControlFrame.MaximumBodyLength || !CborMap.TryRead(encoded, out CborMap? map))
            return DecodeResult.Malformed;
        if (!map.TryGetInt(0, 0, int.MaxValue, out int type))
            return DecodeResult.Malformed;
        bool valid = (MessageType)type switch
        {
            MessageType.Register => Take(TryReadRegister(map, out RegisterMessage? register), register, out message),
            MessageType.Registered => Take(TryReadRegistered(map, out RegisteredMessage? registered), registered, out message),
            MessageType.Refused => Take(TryReadRefused(map, out RefusedMessage? refused), refused, out message),
            MessageType.Directory => Take(DirectoryCodec.TryRead(map, out DirectoryMessage? directory), directory, out message),
            MessageType.Leave => Take(TryReadLeave(map, out LeaveMessage? leave), leave, out message),
            MessageType.Reachability => Take(IntroductionCodec.TryRead(map, out ReachabilityMessage? reachability), reachability, out message),
            MessageType.Introduce => Take(IntroductionCodec.TryRead(map, out IntroduceMessage? introduce), introduce, out message),
            MessageType.Introduction => Take(IntroductionCodec.TryRead(map, out IntroductionMessage? introduction), introduction, out message),
            MessageType.Find => Take(DirectoryCodec.TryRead(map, out FindMessage? find), find, out message),
            MessageType.Forget => Take(DirectoryCodec.TryRead(map, out ForgetMessage? forget), forget, out message),
            MessageType.List => Take(DirectoryCodec.TryRead(map, out ListMessage? list), list, out message),
            MessageType.Listing => Take(DirectoryCodec.TryRead(map, out ListingMessage? listing), listing, out message),
            MessageType.Notice => Take(TryReadNotice(map, out NoticeMessage? notice), notice, out message),
            _ => false,
        };
        if (valid)
            return DecodeResult.Message;
        return Enum.IsDefined((MessageType)type) ? DecodeResult.Malformed : DecodeResult.Unknown;
    }

    /// <summary>One entry of the directory, as it stands in a page.</summary>
    /// <exception cref="ArgumentException">A part of the entry is out of its bounds.</exception>
    public static byte[] EncodeEntry(DirectoryEntry entry)
    {
        ArgumentNullException.ThrowIfNull(entry);
        Require(entry.MemberId >= 2, "A client's member id is 2 or above.");
        Require(entry.Addresses.Count is >= 1 and <= ControlMessage.MaximumAddresses, "A member has 1 to 4 addresses.");
        var writer = new CborWriter(CborConformanceMode.Canonical);
        bool hasVersion = entry.SoftwareVersion.Length > 0;
        writer.WriteStartMap(5 + (hasVersion ? 1 : 0) + SuiteCount(entry.PreferredSuite));
        writer.WriteInt32(1);
        writer.WriteUInt32(entry.MemberId);
        writer.WriteInt32(2);
        WriteName(writer, entry.Name);
        writer.WriteInt32(3);
        CborValues.Write(writer, entry.Addresses);
        writer.WriteInt32(4);
        writer.WriteByteString(entry.PublicKey.Bytes);
        writer.WriteInt32(5);
        writer.WriteBoolean(entry.Online);
        if (hasVersion)
        {
            writer.WriteInt32(6);
            WriteVersion(writer, entry.SoftwareVersion);
        }

        WriteSuite(writer, 7, entry.PreferredSuite);
        writer.WriteEndMap();
        return writer.Encode();
    }

    private static bool Take(bool valid, ControlMessage? read, out ControlMessage? message)
    {
        message = valid ? read : null;
        return valid;
    }

    private static void Write(CborWriter writer, RegisterMessage message)
    {
        bool hasVersion = message.SoftwareVersion.Length > 0;
        bool hasOlder = message.Protocols.Oldest != message.Protocols.Newest;
        writer.WriteStartMap(
            4 + (hasVersion ? 1 : 0) + SuiteCount(message.PreferredSuite) + (message.AsksForMembers ? 1 : 0) + (message.Instance != 0 ? 1 : 0) + (hasOlder ? 1 : 0));
        WriteType(writer, MessageType.Register);
        writer.WriteInt32(1);
        writer.WriteInt32(message.Protocols.Newest);
        writer.WriteInt32(2);
        Require(message.Name.Length <= MaximumTextLength, "A name is not longer than other text.");
        writer.WriteTextString(message.Name);
        writer.WriteInt32(3);
        CborValues.Write(writer, RequireFew(message.RequestedAddresses));
        if (hasVersion)
        {
            writer.WriteInt32(4);
            WriteVersion(writer, message.SoftwareVersion);
        }

        WriteSuite(writer, 5, message.PreferredSuite);
        WriteFlag(writer, 6, message.AsksForMembers);
        if (message.Instance != 0)
        {
            writer.WriteInt32(7);
            writer.WriteUInt64(message.Instance);
        }

        if (hasOlder)
        {
            writer.WriteInt32(8);
            writer.WriteInt32(message.Protocols.Oldest);
        }

        writer.WriteEndMap();
    }

    private static bool TryReadRegister(CborMap map, [NotNullWhen(true)] out RegisterMessage? message)
    {
        // Version and name may be any: the server refuses them with a reason, whereas something malformed gets no answer at all.
        message = null;
        if (!map.TryGetInt(1, 0, int.MaxValue, out int newest) || !map.TryGetText(2, MaximumTextLength, out string? name)
            || !map.TryGetAddresses(3, 0, ControlMessage.MaximumAddresses, out IReadOnlyList<TunnelAddress>? addresses)
            || !TryGetVersion(map, 4, out string? version) || !TryGetSuite(map, 5, out CipherSuite suite) || !map.TryGetFlag(6, out bool asks))
        {
            return false;
        }

        ulong instance = 0;
        int oldest = newest;
        if ((map.Contains(7) && !map.TryGetUInt64(7, out instance)) || (map.Contains(8) && !map.TryGetInt(8, 0, newest, out oldest)))
            return false;
        message = new RegisterMessage
        {
            Protocols = new ProtocolRange(oldest, newest),
            Name = CborValues.Printable(name, MaximumTextLength),
            RequestedAddresses = addresses,
            SoftwareVersion = version,
            PreferredSuite = suite,
            AsksForMembers = asks,
            Instance = instance,
        };
        return true;
    }

    private static void Write(CborWriter writer, RegisteredMessage message)
    {
        Require(message.MemberId >= 2, "A client's member id is 2 or above.");
        bool hasVersion = message.SoftwareVersion.Length > 0;
        bool hasEndpoint = message.ObservedEndpoint.IsSpecified;
        bool hasObserver = message.ObserverPort != 0;
        bool hasAddresses = hasObserver && message.ObserverAddresses.Count > 0;
        writer.WriteStartMap(
            8 + (hasEndpoint ? 1 : 0) + (message.ClientIsolation ? 1 : 0) + (hasVersion ? 1 : 0) + (hasObserver ? 1 : 0) + (hasAddresses ? 1 : 0)
            + SuiteCount(message.PreferredSuite) + (message.GivenName.Length > 0 ? 1 : 0));
        WriteType(writer, MessageType.Registered);
        writer.WriteInt32(1);
        writer.WriteInt32(message.Protocol);
        writer.WriteInt32(2);
        writer.WriteUInt32(message.MemberId);
        writer.WriteInt32(3);
        WriteName(writer, message.NetworkName);
        writer.WriteInt32(4);
        WriteName(writer, message.ServerName);
        writer.WriteInt32(5);
        CborValues.Write(writer, RequireFew(message.Addresses));
        writer.WriteInt32(6);
        CborValues.Write(writer, RequireFew(message.ServerAddresses));
        writer.WriteInt32(7);
        writer.WriteInt32(message.Mtu);
        if (hasEndpoint)
        {
            writer.WriteInt32(8);
            CborValues.Write(writer, message.ObservedEndpoint);
        }

        WriteFlag(writer, 9, message.ClientIsolation);
        if (hasVersion)
        {
            writer.WriteInt32(10);
            WriteVersion(writer, message.SoftwareVersion);
        }

        if (hasObserver)
        {
            writer.WriteInt32(11);
            writer.WriteInt32(message.ObserverPort);
        }

        if (hasAddresses)
        {
            writer.WriteInt32(12);
            CborValues.Write(writer, RequireFew(message.ObserverAddresses));
        }

        WriteSuite(writer, 13, message.PreferredSuite);
        if (message.GivenName.Length > 0)
        {
            writer.WriteInt32(14);
            WriteName(writer, message.GivenName);
        }

        writer.WriteEndMap();
    }

    private static bool TryReadRegistered(CborMap map, [NotNullWhen(true)] out RegisteredMessage? message)
    {
        message = null;
        if (!map.TryGetInt(1, 1, int.MaxValue, out int protocol) || !map.TryGetUInt32(2, 2, out uint member)
            || !map.TryGetText(3, NodeName.MaximumLength, out string? network) || !NodeName.IsValid(network)
            || !map.TryGetText(4, NodeName.MaximumLength, out string? server) || !NodeName.IsValid(server)
            || !map.TryGetInterfaceAddresses(5, 1, ControlMessage.MaximumAddresses, out IReadOnlyList<InterfaceAddress>? addresses)
            || !map.TryGetAddresses(6, 1, ControlMessage.MaximumAddresses, out IReadOnlyList<TunnelAddress>? serverAddresses)
            || !map.TryGetInt(7, 576, ushort.MaxValue, out int mtu)
            || !map.TryGetEndpoint(8, out UdpEndpoint observed)
            || !map.TryGetFlag(9, out bool isolation) || !TryGetVersion(map, 10, out string? version) || !TryGetSuite(map, 13, out CipherSuite suite))
        {
            return false;
        }

        int observerPort = 0;
        string? given = string.Empty;
        IReadOnlyList<TunnelAddress>? observers = [];
        if ((map.Contains(11) && !map.TryGetInt(11, 1, ushort.MaxValue, out observerPort))
            || (map.Contains(12) && !map.TryGetAddresses(12, 1, ControlMessage.MaximumAddresses, out observers))
            || (map.Contains(14) && !(map.TryGetText(14, NodeName.MaximumLength, out given) && NodeName.IsValid(given))))
        {
            return false;
        }

        message = new RegisteredMessage
        {
            Protocol = protocol,
            MemberId = member,
            NetworkName = network,
            ServerName = server,
            Addresses = addresses,
            ServerAddresses = serverAddresses,
            Mtu = mtu,
            ObservedEndpoint = observed,
            ClientIsolation = isolation,
            SoftwareVersion = version,
            PreferredSuite = suite,
            ObserverPort = observerPort,
            ObserverAddresses = observers,
            GivenName = given,
        };
        return true;
    }

    private static void Write(CborWriter writer, RefusedMessage message)
    {
        writer.WriteStartMap(message.Text.Length > 0 ? 3 : 2);
        WriteType(writer, MessageType.Refused);
        writer.WriteInt32(1);
        writer.WriteInt32((int)message.Reason);
        if (message.Text.Length > 0)
        {
            writer.WriteInt32(2);
            writer.WriteTextString(CborValues.Printable(message.Text, MaximumTextLength));
        }

        writer.WriteEndMap();
    }

    private static bool TryReadRefused(CborMap map, [NotNullWhen(true)] out RefusedMessage? message)
    {
        message = null;
        if (!map.TryGetInt(1, 0, int.MaxValue, out int reason))
            return false;
        string text = string.Empty;
        if (map.Contains(2))
        {
            if (!map.TryGetText(2, MaximumTextLength, out string? written))
                return false;
            text = CborValues.Printable(written, MaximumTextLength);
        }

        message = new RefusedMessage { Reason = Enum.IsDefined((RefusalReason)reason) ? (RefusalReason)reason : RefusalReason.Other, Text = text };
        return true;
    }

    /// <summary>Reads an entry of the directory.</summary>
    public static bool TryReadEntry(CborMap map, [NotNullWhen(true)] out DirectoryEntry? entry)
    {
        entry = null;
        if (!map.TryGetUInt32(1, 2, out uint member) || !map.TryGetText(2, NodeName.MaximumLength, out string? name) || !NodeName.IsValid(name)
            || !map.TryGetAddresses(3, 1, ControlMessage.MaximumAddresses, out IReadOnlyList<TunnelAddress>? addresses)
            || !map.TryGetKey(4, out PublicKey key) || !map.TryGetFlag(5, out bool online) || !TryGetVersion(map, 6, out string? version)
            || !TryGetSuite(map, 7, out CipherSuite suite))
        {
            return false;
        }

        entry = new DirectoryEntry
        {
            MemberId = member,
            Name = name,
            Addresses = addresses,
            PublicKey = key,
            Online = online,
            SoftwareVersion = version,
            PreferredSuite = suite,
        };
        return true;
    }

    private static void Write(CborWriter writer, LeaveMessage message)
    {
        writer.WriteStartMap(2);
        WriteType(writer, MessageType.Leave);
        writer.WriteInt32(1);
        writer.WriteInt32((int)message.Reason);
        writer.WriteEndMap();
    }

    private static bool TryReadLeave(CborMap map, [NotNullWhen(true)] out LeaveMessage? message)
    {
        message = null;
        if (!map.TryGetInt(1, 0, int.MaxValue, out int reason))
            return false;
        message = new LeaveMessage { Reason = Enum.IsDefined((LeaveReason)reason) ? (LeaveReason)reason : LeaveReason.Other };
        return true;
    }

    private static void Write(CborWriter writer, NoticeMessage message)
    {
        writer.WriteStartMap(message.Subject.Length > 0 ? 3 : 2);
        WriteType(writer, MessageType.Notice);
        writer.WriteInt32(1);
        writer.WriteInt32((int)message.Kind);
        if (message.Subject.Length > 0)
        {
            writer.WriteInt32(2);
            writer.WriteTextString(CborValues.Printable(message.Subject, MaximumTextLength));
        }

        writer.WriteEndMap();
    }

    private static bool TryReadNotice(CborMap map, [NotNullWhen(true)] out NoticeMessage? message)
    {
        message = null;
        string? subject = string.Empty;
        if (!map.TryGetInt(1, 0, int.MaxValue, out int kind) || (map.Contains(2) && !map.TryGetText(2, MaximumTextLength, out subject)))
            return false;
        message = new NoticeMessage
        {
            Kind = Enum.IsDefined((NoticeKind)kind) ? (NoticeKind)kind : NoticeKind.Other,
            Subject = CborValues.Printable(subject, MaximumTextLength),
        };
        return true;
    }

    private static void WriteType(CborWriter writer, MessageType type)
    {
        writer.WriteInt32(0);
        writer.WriteInt32((int)type);
    }

    private static void WriteFlag(CborWriter writer, int key, bool value)
    {
        if (!value)
            return;
        writer.WriteInt32(key);
        writer.WriteBoolean(true);
    }

    private static void WriteName(CborWriter writer, string name)
    {
        Require(NodeName.IsValid(name), "A name is 1 to 63 letters, digits, '-', '_' and '.'.");
        writer.WriteTextString(name);
    }

    private static void WriteVersion(CborWriter writer, string version) =>
        writer.WriteTextString(CborValues.Printable(version, MaximumVersionLength));

    private static bool TryGetVersion(CborMap map, int key, [NotNullWhen(true)] out string? version)
    {
        version = string.Empty;
        if (!map.Contains(key))
            return true;
        if (!map.TryGetText(key, MaximumVersionLength, out version))
            return false;
        version = CborValues.Printable(version, MaximumVersionLength);
        return true;
    }

    private static int SuiteCount(CipherSuite suite) => suite == CipherSuite.WireGuard ? 0 : 1;

    private static void WriteSuite(CborWriter writer, int key, CipherSuite suite)
    {
        if (suite == CipherSuite.WireGuard)
            return;
        writer.WriteInt32(key);
        writer.WriteInt32((int)suite);
    }

    private static bool TryGetSuite(CborMap map, int key, out CipherSuite suite)
    {
        suite = CipherSuite.WireGuard;
        if (!map.Contains(key))
            return true;
        if (!map.TryGetInt(key, 0, int.MaxValue, out int value))
            return false;
        if (Enum.IsDefined((CipherSuite)value))
            suite = (CipherSuite)value;
        return true;
    }

    private static IReadOnlyList<T> RequireFew<T>(IReadOnlyList<T> addresses)
    {
        Require(addresses.Count <= ControlMessage.MaximumAddresses, "A message carries at most 4 addresses.");
        return addresses;
    }

    private static void Require(bool condition, string what)
    {
        if (!condition)
            throw new ArgumentException(what);
    }
}
