using LightTunnel.Addressing;

namespace LightTunnel.WireGuard;

/// <summary>What a link wants done or has to tell.</summary>
internal enum LinkOutputKind
{
    /// <summary>An initiation or a keepalive goes to the peer, by whatever path there is for the link.</summary>
    Message,

    /// <summary>
    /// A response or a cookie reply goes back to where a message came from, or claims to have come from. The destination is
    /// <see cref="PathAddress.IsUnproven"/> unless that is where the link's peer is known to be.
    /// </summary>
    Reply,

    /// <summary>
    /// There are new keys that both sides are known to have, the first or after a rekey: as initiator, the response was accepted; as
    /// responder, the first message under the new keys was authentic. Once what waits is sealed, <see cref="Link.ConfirmKeys"/> is to be
    /// called.
    /// </summary>
    SessionEstablished,

    /// <summary>
    /// A handshake was given up after <see cref="LinkTimers.RekeyAttemptTime"/>, or the keys were zeroed after three times
    /// <see cref="LinkTimers.RejectAfterTime"/>.
    /// </summary>
    SessionLost,

    /// <summary>
    /// The path leads to another address now, as an authentic message came from there, or claims to have: to be asked whether the peer
    /// receives what is sent there, after which <see cref="Link.Prove"/> is to be called.
    /// </summary>
    PathDoubted,
}

/// <summary>One thing that a link wants done or has to tell.</summary>
/// <param name="Kind">What.</param>
/// <param name="Link">Whose; null for a reply.</param>
/// <param name="Destination">Where a reply goes.</param>
/// <param name="Datagram">What is to be sent, of messages and replies.</param>
internal readonly record struct LinkOutput(LinkOutputKind Kind, Link? Link, PathAddress Destination, byte[] Datagram);

/// <summary>An unknown peer has proven its static key: may a link be made for it?</summary>
/// <param name="initiator">The peer's key.</param>
/// <param name="source">Where its message came from.</param>
/// <param name="keys">The pre-shared keys to use with it.</param>
internal delegate bool StrangerCheck(in PublicKey initiator, in PathAddress source, out LinkKeys keys);
