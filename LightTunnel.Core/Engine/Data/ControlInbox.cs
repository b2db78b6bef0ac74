using System.Buffers;
using System.Collections.Concurrent;
using LightTunnel.Addressing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Data;

/// <summary>What a data thread handed to the control loop.</summary>
internal enum InboxKind
{
    /// <summary>A handshake datagram, from <see cref="InboxItem.Source"/>.</summary>
    Handshake,

    /// <summary>A probe or an answer to one, from <see cref="InboxItem.Source"/>.</summary>
    Probe,

    /// <summary>A decrypted control frame of <see cref="InboxItem.Link"/>.</summary>
    ControlFrame,

    /// <summary>An inner packet for <see cref="InboxItem.Target"/>, whose link is not there yet.</summary>
    Staged,

    /// <summary>The beginning of an inner packet from somebody whom this node does not know.</summary>
    UnknownSource,

    /// <summary>Data begins to flow to or from <see cref="InboxItem.Target"/> after a pause.</summary>
    TrafficStarted,
}

/// <summary>One thing for the control loop to do. The bytes are rented and go back when it is done.</summary>
internal readonly record struct InboxItem(
    InboxKind Kind, byte[]? Buffer, int Length, PathAddress Source = default, Link? Link = null, RouteTarget? Target = null,
    ControlFrameQuota? Intake = null)
{
    /// <summary>The bytes handed over.</summary>
    public ReadOnlySpan<byte> Bytes => Buffer.AsSpan(0, Length);
}

/// <summary>
/// The way from the data threads to the control loop: many writers, one reader, bounded, so that a flood of strangers' handshakes costs
/// neither memory nor the members' turn for ever.
/// </summary>
internal sealed class ControlInbox(int capacity, Action wake)
{
    private readonly ConcurrentQueue<InboxItem> _items = new();
    private int _count;

    /// <summary>Copies the bytes and queues them; false when the inbox is full.</summary>
    public bool TryPost(
        InboxKind kind, ReadOnlySpan<byte> bytes, PathAddress source = default, Link? link = null, RouteTarget? target = null,
        ControlFrameQuota? intake = null)
    {
        if (Interlocked.Increment(ref _count) > capacity)
        {
            Interlocked.Decrement(ref _count);
            return false;
        }

        byte[]? buffer = null;
        if (bytes.Length > 0)
        {
            buffer = ArrayPool<byte>.Shared.Rent(bytes.Length);
            bytes.CopyTo(buffer);
        }

        _items.Enqueue(new InboxItem(kind, buffer, bytes.Length, source, link, target, intake));
        wake();
        return true;
    }

    /// <summary>True when nothing waits.</summary>
    public bool IsEmpty => _items.IsEmpty;

    /// <summary>Takes the next item; give it back with <see cref="Return"/>.</summary>
    public bool TryTake(out InboxItem item) => _items.TryDequeue(out item);

    /// <summary>Ends the work on an item.</summary>
    public void Return(in InboxItem item)
    {
        Interlocked.Decrement(ref _count);
        item.Intake?.Release();
        if (item.Buffer is { } buffer)
            ArrayPool<byte>.Shared.Return(buffer, clearArray: true);
    }
}
