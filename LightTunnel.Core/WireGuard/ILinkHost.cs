using LightTunnel.Addressing;

namespace LightTunnel.WireGuard;

/// <summary>What a <see cref="LinkTable"/> asks of the node it belongs to. All on the control loop, except <see cref="Wake"/>.</summary>
internal interface ILinkHost
{
    /// <summary>Sends an initiation or a keepalive by whatever path the host has for the link.</summary>
    void Send(Link link, ReadOnlySpan<byte> datagram);

    /// <summary>Sends a response or a cookie reply back to where the message came from, or claims to.</summary>
    /// <param name="destination">Where it goes. <see cref="PathAddress.IsUnproven"/> unless that is where the link's peer is
    /// known to be.</param>
    /// <param name="datagram">The message.</param>
    void Reply(in PathAddress destination, ReadOnlySpan<byte> datagram);

    /// <summary>
    /// True when somebody with keys has shown not long ago to receive what is sent to that address: strangers who forge sources do not keep
    /// it from agreeing on new ones.
    /// </summary>
    bool IsProven(in PathAddress source) => false;

    /// <summary>
    /// The link's path leads to another address now, as an authentic message came from there, or claims to have: to be asked whether it is
    /// received there, after which <see cref="Link.Prove"/> is to be called.
    /// </summary>
    void PathDoubted(Link link)
    {
    }

    /// <summary>An unknown peer has proven its static key: may a link be made for it?</summary>
    /// <param name="initiator">The peer's key.</param>
    /// <param name="source">Where its message came from.</param>
    /// <param name="presharedKey">The pre-shared key to use with it, null for none; not owned by the link.</param>
    bool TryAdmit(in PublicKey initiator, in PathAddress source, out PresharedKey? presharedKey);

    /// <summary>The suite of the handshake that this node is about to begin.</summary>
    CipherSuite SuiteFor(Link link);

    /// <summary>
    /// The link has new keys that both sides are known to have, the first or after a rekey. As initiator: the response was accepted, and
    /// what is sealed in this call saves a keepalive. As responder: the first message under the new keys was authenticated.
    /// </summary>
    void SessionEstablished(Link link);

    /// <summary>
    /// A handshake was given up after <see cref="LinkTimers.RekeyAttemptTime"/>, or the keys were zeroed after three times
    /// <see cref="LinkTimers.RejectAfterTime"/>.
    /// </summary>
    void SessionLost(Link link);

    /// <summary>Any thread: please call <see cref="LinkTable.RunTimers"/> soon. Called at most once until that runs.</summary>
    void Wake();
}
