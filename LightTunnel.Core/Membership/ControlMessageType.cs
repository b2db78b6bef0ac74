using LightTunnel.Membership.Cbor;

namespace LightTunnel.Membership;

/// <summary>A kind of control message: its number on the wire and the record that it is here.</summary>
internal abstract class ControlMessageType(int number)
{
    /// <summary>What stands under key 0.</summary>
    public int Number { get; } = number;

    /// <summary>The message's record.</summary>
    public abstract Type Record { get; }

    /// <summary>The message's fields besides its number.</summary>
    public abstract IReadOnlyList<CborFieldDescription> Fields { get; }

    /// <exception cref="ArgumentException">A part of the message is out of its bounds.</exception>
    public abstract byte[] Encode(ControlMessage message);

    /// <summary>Null when the map is malformed.</summary>
    public abstract ControlMessage? Decode(CborMap map);
}

/// <inheritdoc/>
/// <param name="number">What stands under key 0.</param>
/// <param name="maximumLength">Longest encoding.</param>
/// <typeparam name="T">The message's record.</typeparam>
internal sealed class ControlMessageType<T>(int number, int maximumLength = ControlFrame.MaximumBodyLength) : ControlMessageType(number)
    where T : ControlMessage, ICborRecord<T>
{
    public override Type Record => typeof(T);

    public override IReadOnlyList<CborFieldDescription> Fields => CborRecord.Describe<T>();

    public override byte[] Encode(ControlMessage message)
    {
        byte[] encoded = CborRecord.Encode((T)message, Number);
        if (encoded.Length > maximumLength)
            throw new ArgumentException($"{typeof(T).Name} takes {encoded.Length} bytes, of at most {maximumLength}.", nameof(message));
        return encoded;
    }

    public override ControlMessage? Decode(CborMap map) => CborRecord.TryRead(map, out T? message) ? message : null;
}
