using LightTunnel.Membership.Cbor;

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
/// Control messages as CBOR (RFC 8949): a map with small integer keys, key 0 the type. Each message says its other keys itself
/// (<see cref="ICborRecord{TSelf}.Exchange"/>); docs/protocol.md lists them. Keys that are not known are skipped, so that they can be
/// added without a new protocol version.
/// </summary>
internal static class ControlMessageCodec
{
    private static readonly CborKind<int> TypeKind = FieldKinds.Number(0, int.MaxValue);

    /// <summary>Every kind of message with its number.</summary>
    public static IReadOnlyList<ControlMessageType> Types { get; } =
    [
        new ControlMessageType<RegisterMessage>(1),
        new ControlMessageType<RegisteredMessage>(2),
        new ControlMessageType<RefusedMessage>(3),
        new ControlMessageType<DirectoryMessage>(4, DirectoryMessage.MaximumLength),
        new ControlMessageType<LeaveMessage>(5),
        new ControlMessageType<ReachabilityMessage>(6),
        new ControlMessageType<IntroduceMessage>(7),
        new ControlMessageType<IntroductionMessage>(8),
        new ControlMessageType<FindMessage>(9),
        new ControlMessageType<ForgetMessage>(10),
        new ControlMessageType<ListMessage>(11),
        new ControlMessageType<ListingMessage>(12),
        new ControlMessageType<NoticeMessage>(13),
        new ControlMessageType<RulesMessage>(14, RulesMessage.MaximumLength),
        new ControlMessageType<NetworkKeyMessage>(15),
        new ControlMessageType<NetworkKeyTakenMessage>(16),
        new ControlMessageType<SignMessage>(20),
        new ControlMessageType<SignAnswerMessage>(21),
        new ControlMessageType<SignatureMessage>(22),
        new ControlMessageType<RoutesMessage>(30),
    ];

    private static readonly Dictionary<int, ControlMessageType> ByNumber = Types.ToDictionary(type => type.Number);

    private static readonly Dictionary<Type, ControlMessageType> ByRecord = Types.ToDictionary(type => type.Record);

    /// <summary>Encodes a message; it always fits in the body of a control frame.</summary>
    /// <exception cref="ArgumentException">A part of the message is out of its bounds: a fault of the caller.</exception>
    public static byte[] Encode(ControlMessage message)
    {
        ArgumentNullException.ThrowIfNull(message);
        return ByRecord[message.GetType()].Encode(message);
    }

    /// <summary>Decodes a message. Never throws, whatever the bytes are.</summary>
    /// <param name="encoded">The body of a data frame.</param>
    /// <param name="message">The message when the result is <see cref="DecodeResult.Message"/>.</param>
    public static DecodeResult Decode(ReadOnlyMemory<byte> encoded, out ControlMessage? message)
    {
        message = null;
        if (encoded.Length > ControlFrame.MaximumBodyLength
            || !CborMap.TryRead(encoded, out CborMap? map) || !map.TryGet(CborRecord.TypeKey, TypeKind, out int number))
        {
            return DecodeResult.Malformed;
        }

        if (!ByNumber.TryGetValue(number, out ControlMessageType? type))
            return DecodeResult.Unknown;
        message = type.Decode(map);
        return message is null ? DecodeResult.Malformed : DecodeResult.Message;
    }
}
