using LightTunnel.Membership.Cbor;
using LightTunnel.Membership.Signing;
using LightTunnel.WireGuard;

namespace LightTunnel.Membership;

/// <summary>
/// A client brings an admin's signature of a member, itself or another. Who brings it does not matter: the signature says whose it is.
/// </summary>
internal sealed record SignMessage : ControlMessage, ICborRecord<SignMessage>
{
    /// <summary>Comes back with the answer.</summary>
    public required uint Question { get; init; }

    /// <summary>The member that was signed.</summary>
    public required PublicKey Member { get; init; }

    /// <summary>The signature.</summary>
    public required MemberSignature Signature { get; init; }

    /// <inheritdoc/>
    public static SignMessage Exchange(CborFields<SignMessage> fields) => new()
    {
        Question = fields.Required(1, "question", m => m.Question, FieldKinds.AnyUInt32),
        Member = fields.Required(2, "member", m => m.Member, FieldKinds.Key),
        Signature = fields.Required(3, "signature", m => m.Signature, MemberSignature.Kind)!,
    };
}

/// <summary>What became of a signature; the values are those on the wire.</summary>
internal enum SignOutcome
{
    /// <summary>It is not taken, for a reason that only the text tells.</summary>
    Refused = 0,

    /// <summary>It lasts, and others are told.</summary>
    Taken = 1,

    /// <summary>Too many that were none came from this client: it has to wait.</summary>
    TooMany = 2,
}

/// <summary>The server has looked at a <see cref="SignMessage"/>.</summary>
internal sealed record SignAnswerMessage : ControlMessage, ICborRecord<SignAnswerMessage>
{
    public required uint Question { get; init; }

    public required SignOutcome Outcome { get; init; }

    /// <summary>One sentence for a person; cut short when it is longer than <see cref="FieldKinds.Text"/> may be.</summary>
    public string Text { get; init; } = string.Empty;

    /// <inheritdoc/>
    public static SignAnswerMessage Exchange(CborFields<SignAnswerMessage> fields) => new()
    {
        Question = fields.Required(1, "question", m => m.Question, FieldKinds.AnyUInt32),
        Outcome = fields.Required(2, "outcome", m => m.Outcome, FieldKinds.OneOf(SignOutcome.Refused)),
        Text = fields.Optional(3, "text", m => m.Text, FieldKinds.Text),
    };
}

/// <summary>The client itself was signed since it registered: the directory tells it of others only.</summary>
internal sealed record SignatureMessage : ControlMessage, ICborRecord<SignatureMessage>
{
    public required MemberSignature Signature { get; init; }

    /// <inheritdoc/>
    public static SignatureMessage Exchange(CborFields<SignatureMessage> fields) => new()
    {
        Signature = fields.Required(1, "signature", m => m.Signature, MemberSignature.Kind)!,
    };
}
