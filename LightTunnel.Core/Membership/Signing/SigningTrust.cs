using LightTunnel.Addressing;
using LightTunnel.WireGuard;

namespace LightTunnel.Membership.Signing;

/// <summary>How things stand with a member's signature.</summary>
public enum SignatureState
{
    /// <summary>Nobody asks for one.</summary>
    NotRequired,

    /// <summary>An admin has signed the member as it is.</summary>
    Valid,

    /// <summary>There is none.</summary>
    Missing,

    /// <summary>It is of another key than the network's.</summary>
    OtherKey,

    /// <summary>It does not fit: the member has another name or address than was signed, is of another network, or it is forged.</summary>
    Mismatch,

    /// <summary>Its time is over.</summary>
    Expired,

    /// <summary>A later one of the same member was seen already.</summary>
    Outdated,

    /// <summary>It was not looked at yet, as there are very many at once.</summary>
    Unchecked,
}

/// <summary>What is told of a signature's state.</summary>
internal static class SignatureStates
{
    /// <summary>The rest of a sentence that begins with a member's name.</summary>
    public static string Sentence(this SignatureState state) => state switch
    {
        SignatureState.Missing => "is not signed by an admin",
        SignatureState.OtherKey => "is signed by another key than the network's",
        SignatureState.Mismatch => "is not what an admin has signed: it has another name, address or kind, or the signature is forged",
        SignatureState.Expired => "has a signature whose time is over",
        SignatureState.Unchecked => "has a signature that was not looked at yet",
        SignatureState.Outdated => "comes with a signature that is older than one that was seen before",
        _ => "is signed by an admin",
    };
}

/// <summary>
/// By whose signatures a node takes members of a network: the server's key, which stands for the network, and the public halves of admins'
/// signing keys, any of which suffices. Immutable, and without state: any thread.
/// </summary>
/// <param name="serverKey">The server's public key.</param>
/// <param name="keys">The signing keys; none when no signatures are asked for.</param>
internal sealed class SigningTrust(PublicKey serverKey, IReadOnlyList<SigningPublicKey> keys)
{
    /// <summary>The signing keys.</summary>
    public IReadOnlyList<SigningPublicKey> Keys => keys;

    /// <summary>True when only signed members are taken.</summary>
    public bool IsRequired => keys.Count > 0;

    /// <summary>How things stand with a member that is told of.</summary>
    public SignatureState Check(DirectoryEntry entry, DateTimeOffset now) =>
        Check(entry.PublicKey, entry.Name, entry.Addresses, entry.IsPlain, entry.Signature, now);

    /// <summary>How things stand with a member; costs some 100 µs where there is a signature by a key of these.</summary>
    /// <param name="member">Its public key.</param>
    /// <param name="name">Its name.</param>
    /// <param name="addresses">Its addresses.</param>
    /// <param name="isPlain">Whether it is a plain WireGuard client.</param>
    /// <param name="signature">Its signature, or null for none.</param>
    /// <param name="now">The present.</param>
    public SignatureState Check(
        in PublicKey member, string name, IReadOnlyList<TunnelAddress> addresses, bool isPlain, MemberSignature? signature,
        DateTimeOffset now)
    {
        if (!IsRequired)
            return SignatureState.NotRequired;
        if (signature is null)
            return SignatureState.Missing;
        if (SignerOf(signature) is null)
            return SignatureState.OtherKey;
        if (addresses.Count > ControlMessage.MaximumAddresses)
            return SignatureState.Mismatch;
        byte[] message = new MemberStatement
        {
            ServerKey = serverKey,
            PublicKey = member,
            Name = name,
            Addresses = addresses,
            IsPlain = isPlain,
            Issued = signature.Issued,
            Expires = signature.Expires,
        }.ToSign();
        // Two keys may begin with the same bytes.
        if (!keys.Any(key => key.Hint == signature.Hint && key.HasSigned(message, signature.Proof)))
            return SignatureState.Mismatch;
        return signature.Expires <= now ? SignatureState.Expired : SignatureState.Valid;
    }

    /// <summary>The key that a signature says it is of; null for none of these.</summary>
    public SigningPublicKey? SignerOf(MemberSignature signature) =>
        signature.IsKnown ? keys.FirstOrDefault(key => key.Hint == signature.Hint) : null;
}
