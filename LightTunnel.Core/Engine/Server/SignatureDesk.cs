using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Membership;
using LightTunnel.Membership.Signing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Server;

/// <summary>
/// Takes admins' signatures of members, from whoever brings them: they are checked, stored with the lease, and told to everybody. The
/// server has no say in them. Owned by the control loop.
/// </summary>
/// <param name="node">The node.</param>
/// <param name="options">What the server is to be.</param>
/// <param name="leases">The members.</param>
/// <param name="admission">Brings changes into the store.</param>
internal sealed class SignatureDesk(Node node, ServerOptions options, Leases leases, Admission admission)
{
    /// <summary>The network's signing keys; none where members are not signed.</summary>
    public SigningTrust Trust { get; } = new(node.Links.PublicKey, options.SigningKeys);

    /// <summary>A client brings a signature: it is answered when that is in the store, or why it will not be.</summary>
    public void OnBrought(ServedClient peer, SignMessage message)
    {
        ClientSession session = peer.Session!;
        if (!peer.MayBringSignatures())
        {
            Answer(SignOutcome.TooMany, "Too many of this member's signatures were none: it has to wait.");
            return;
        }

        // What everybody can see in the directory costs nothing when it is brought again.
        if (leases.ByKey(message.Member)?.Signature is { } before && before.Equals(message.Signature) && Trust.IsRequired)
        {
            Answer(SignOutcome.Taken, string.Empty);
            return;
        }

        try
        {
            Check(message.Member, message.Signature);
        }
        catch (LightTunnelException refusal)
        {
            peer.NoteFalseSignature();
            node.Log.Security(
                SecurityEvent.SignatureRefused, peer.Key.ToString(),
                $"{peer.Name} at {peer.Path.Endpoint} brought a signature that is none: {refusal.Message}");
            Answer(SignOutcome.Refused, refusal.Message);
            return;
        }

        _ = CommitAsync(
            message.Member, message.Signature, $"brought by {peer.Name}", () => Answer(SignOutcome.Taken, string.Empty),
            failure => Answer(SignOutcome.Refused, failure.Message));

        void Answer(SignOutcome outcome, string text)
        {
            if (peer.Session == session)
                session.Send(new SignAnswerMessage { Question = message.Question, Outcome = outcome, Text = text });
            node.Hurry(peer);
        }
    }

    /// <summary>An admin of this machine brings a signature; the task completes when it lasts.</summary>
    /// <exception cref="LightTunnelException">It is none of the member as it is, or cannot be saved.</exception>
    public Task SignAsync(PublicKey member, MemberSignature signature, string by)
    {
        Check(member, signature);
        return CommitAsync(member, signature, $"on this machine by {LocalUsers.Shown(by)}", null, null);
    }

    private void Check(in PublicKey member, MemberSignature signature)
    {
        if (!Trust.IsRequired)
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidSignature, $"'{options.Name}' has no signing keys, and takes no signatures.",
                "Start the server with -RequireSignedMembers and -SigningKey.") { Target = options.Name };
        }

        leases.CheckSignature(member, signature, Trust, node.Time.GetUtcNow());
    }

    private Task CommitAsync(
        PublicKey member, MemberSignature signature, string how, Action? done, Action<LightTunnelException>? failed)
    {
        Task committed = admission.ChangeAsync(new OwnerChange(
            "its members", now => now.Sign(member, signature, Trust, node.Time.GetUtcNow()), member,
            () =>
            {
                Tell(member, signature, how);
                done?.Invoke();
            },
            failed));
        node.Wake();
        return committed;
    }

    private void Tell(in PublicKey member, MemberSignature signature, string how)
    {
        if (leases.ByKey(member) is not { } lease)
            return; // Another server has ended it in the meantime.
        string signer = $"signing key {Trust.SignerOf(signature)?.Fingerprint}";
        string until = signature.Expires is { } expires ? FormattableString.Invariant($" until {expires:u}") : string.Empty;
        node.Log.Audit(
            AuditAction.MemberSigned, signer, lease.Name, member.ToString(),
            $"{lease.Name} ({string.Join(", ", lease.Addresses)}) with the key {member} was signed by the {signer}{until}, {how}");
    }
}
