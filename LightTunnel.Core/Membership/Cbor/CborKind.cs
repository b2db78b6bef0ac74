using System.Diagnostics.CodeAnalysis;
using System.Formats.Cbor;

namespace LightTunnel.Membership.Cbor;

/// <summary>
/// Which values a field may have and how they stand in CBOR: said once, for who writes, for who reads, and for docs/protocol.md.
/// Never changed after creation. The kinds that our messages are made of are listed in <see cref="FieldKinds"/>.
/// </summary>
internal abstract class CborKind<T>
{
    /// <summary>What the document says of it, bounds included: "text up to 200".</summary>
    public abstract string Description { get; }

    /// <summary>What an optional field means that is not there.</summary>
    public virtual T Absent => default!;

    /// <summary>True for a value that an optional field need not be written for.</summary>
    public virtual bool IsAbsent(T value) => EqualityComparer<T>.Default.Equals(value, Absent);

    /// <summary>False for a value out of bounds, which is neither written nor read.</summary>
    public virtual bool IsValid(T value) => true;

    /// <summary>
    /// Reads a value from bytes that anybody may have written, and moves past it; false when it is none of this kind. May throw whatever
    /// <see cref="CborReader"/> throws of bytes; <see cref="CborMap"/> takes that for false.
    /// </summary>
    public abstract bool TryRead(CborReader reader, [MaybeNullWhen(false)] out T value);

    /// <summary>Writes a value that is within bounds.</summary>
    public abstract void Write(CborWriter writer, T value);
}
