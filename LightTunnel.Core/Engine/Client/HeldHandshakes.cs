using LightTunnel.Addressing;

namespace LightTunnel.Engine.Client;

/// <summary>
/// Handshakes of members that the directory does not tell of yet, kept until it does: a few, the newest. Owned by the control loop.
/// </summary>
internal sealed class HeldHandshakes
{
    private const int Capacity = 32;

    private readonly Queue<(byte[] Datagram, PathAddress Source)> _held = new();

    /// <summary>Keeps a copy of the datagram.</summary>
    public void Hold(ReadOnlySpan<byte> datagram, in PathAddress source)
    {
        if (_held.Count == Capacity)
            _held.Dequeue();
        _held.Enqueue((datagram.ToArray(), source));
    }

    /// <summary>Takes all that are held; what is held again meanwhile waits for the next time.</summary>
    public (byte[] Datagram, PathAddress Source)[] TakeAll()
    {
        (byte[], PathAddress)[] all = [.. _held];
        _held.Clear();
        return all;
    }
}
