using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Engine.Data;
using LightTunnel.Packets;
using LightTunnel.Transport;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Control;

/// <summary>
/// All that the control loop sends goes through here: it is sealed, gets its relay header, is weighed against the budget of what goes to
/// whom may not exist, and becomes an output of the turn. Owned by the control loop.
/// </summary>
/// <param name="plane">Knows the node's id.</param>
/// <param name="unproven">How much may go to whom may not exist.</param>
/// <param name="outputs">Takes what is to be sent.</param>
/// <param name="owner">Who may send.</param>
internal sealed class ControlSender(DataPlane plane, UnprovenBudget unproven, TurnOutputs outputs, ControlThread owner)
{
    /// <summary>True for endpoints that nothing may be sent to at present; null for none.</summary>
    public Predicate<UdpEndpoint>? IsSilentTowards { get; set; }

    /// <summary>Seals a control frame and sends it by the link's path; lost when the link has no keys.</summary>
    public void Frame(Link link, ReadOnlySpan<byte> frame)
    {
        Span<byte> datagram = stackalloc byte[DataPlane.LongestControlDatagram + PacketBatch.Headroom];
        if (link.SealCopy(frame, datagram, TunnelOptions.MinimumMtu, out int written) == SealResult.Sealed)
            Datagram(link.Path, datagram[..written]);
    }

    /// <summary>
    /// Sends a control frame that no router may cut in pieces, with padding behind it to the length of a certain packet. When that is too
    /// long for this machine's own network, it is reported.
    /// </summary>
    /// <param name="link">Seals it.</param>
    /// <param name="frame">The frame.</param>
    /// <param name="length">The packet's length, bytes.</param>
    /// <param name="peer">Whom it goes to, for the report.</param>
    /// <param name="transaction">What its answer is known by, for the report.</param>
    public void WholeFrame(Link link, ReadOnlySpan<byte> frame, int length, Peer? peer = null, uint transaction = 0) =>
        PaddedFrame(link, link.Path, frame, length, new SendQuestion(SendQuestionKind.Whole, peer, transaction));

    /// <summary>Sends a control frame by a certain path, with padding behind it to the length of a certain packet.</summary>
    public void PaddedFrame(Link link, in PathAddress path, ReadOnlySpan<byte> frame, int length, SendQuestion question = default)
    {
        byte[] packet = new byte[Math.Max(length, frame.Length)];
        frame.CopyTo(packet);
        byte[] datagram = new byte[packet.Length + PacketBatch.Headroom];
        if (link.SealCopy(packet, datagram, packet.Length, out int written) == SealResult.Sealed)
            Datagram(path, datagram.AsSpan(0, written), question: question);
    }

    /// <summary>
    /// Sends a sealed datagram by a path, behind a relay header if it is relayed. What goes to whom may not exist has a budget.
    /// </summary>
    /// <param name="path">The path.</param>
    /// <param name="datagram">The datagram.</param>
    /// <param name="isVouched">True when the server sees a member at that address.</param>
    /// <param name="question">What is to be reported of it.</param>
    public void Datagram(in PathAddress path, ReadOnlySpan<byte> datagram, bool isVouched = false, SendQuestion question = default)
    {
        owner.Assert();
        if (!path.Endpoint.IsSpecified || IsSilentTowards?.Invoke(path.Endpoint) == true
            || (path.IsUnproven && !unproven.TryTake(path.Endpoint, isVouched)))
        {
            return;
        }
        Span<byte> header = stackalloc byte[path.IsRelayed ? RelayHeader.Size : 0];
        if (path.IsRelayed)
            new RelayHeader(plane.MemberId, path.RelayedMember).Write(header);
        outputs.Send(path.Handle, header, datagram, question);
    }
}
