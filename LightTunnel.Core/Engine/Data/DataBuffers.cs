using System.Collections.Concurrent;
using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Packets;

namespace LightTunnel.Engine.Data;

/// <summary>What a thread that sends works in.</summary>
internal sealed class OutboundBuffers
{
    private const int Capacity = 128;

    /// <param name="longestPacket">Longest inner packet, bytes.</param>
    /// <param name="superPackets">True when the device hands over super-packets.</param>
    public OutboundBuffers(int longestPacket, bool superPackets)
    {
        LongestPacket = longestPacket;
        SuperPackets = superPackets;
        // A few super-packets are enough to keep both sides busy, and the less memory is worked in, the more of it stays in the cache.
        Packets = superPackets ? new PacketBatch(Capacity, PacketBatch.LongestReceived, 3) : new PacketBatch(Capacity, longestPacket);
        Datagrams = superPackets
            ? new PacketBatch(2 * Capacity, PacketBatch.LongestReceived, 4)
            : new PacketBatch(2 * Capacity, longestPacket + Overheads.PaddedDatagram, Capacity);
        Replies = new PacketBatch(16, TunnelOptions.MinimumMtu);
    }

    /// <summary>Longest inner packet that there is room for, bytes.</summary>
    public int LongestPacket { get; }

    /// <summary>True when there is room for super-packets.</summary>
    public bool SuperPackets { get; }

    /// <summary>Packets from the TUN device.</summary>
    public PacketBatch Packets { get; }

    /// <summary>Datagrams to be sent.</summary>
    public PacketBatch Datagrams { get; }

    /// <summary>Packets back to the TUN device.</summary>
    public PacketBatch Replies { get; }
}

/// <summary>What a thread that receives works in.</summary>
internal sealed class InboundBuffers
{
    private const int Capacity = 64;

    // At most what a PacketCoalescer of a device takes.
    private const int ViewCapacity = 512;

    /// <param name="longestPacket">Longest inner packet, bytes.</param>
    /// <param name="trains">True when the transport hands over trains.</param>
    public InboundBuffers(int longestPacket, bool trains)
    {
        LongestPacket = longestPacket;
        Trains = trains;
        Datagrams = new PacketBatch(Capacity, trains ? PacketBatch.LongestReceived : longestPacket + Overheads.PaddedDatagram);
        Packets = Datagrams.CreateView(ViewCapacity);
        Forward = Datagrams.CreateView(ViewCapacity);
    }

    /// <summary>Longest inner packet that there is room for, bytes.</summary>
    public int LongestPacket { get; }

    /// <summary>True when there is room for trains.</summary>
    public bool Trains { get; }

    /// <summary>What was received.</summary>
    public PacketBatch Datagrams { get; }

    /// <summary>The packets in it, for the TUN device.</summary>
    public PacketBatch Packets { get; }

    /// <summary>The datagrams in it that are to be sent on.</summary>
    public PacketBatch Forward { get; }
}

/// <summary>
/// The buffers of threads that have ended are kept for those to come: they are large and pinned, and a process that starts a tunnel now and
/// then allocates too little else for them to be collected soon.
/// </summary>
internal static class DataBuffers
{
    private static readonly ConcurrentBag<OutboundBuffers> FreeOutbound = [];
    private static readonly ConcurrentBag<InboundBuffers> FreeInbound = [];

    /// <summary>Buffers for a thread that sends.</summary>
    public static OutboundBuffers TakeOutbound(int longestPacket, bool superPackets) =>
        FreeOutbound.TryTake(out OutboundBuffers? free) && free.SuperPackets == superPackets && free.LongestPacket >= longestPacket
            ? free
            : new OutboundBuffers(longestPacket, superPackets);

    /// <summary>Buffers for a thread that receives.</summary>
    public static InboundBuffers TakeInbound(int longestPacket, bool trains) =>
        FreeInbound.TryTake(out InboundBuffers? free) && free.Trains == trains && free.LongestPacket >= longestPacket
            ? free
            : new InboundBuffers(longestPacket, trains);

    /// <summary>Takes back what a thread works in no more.</summary>
    public static void Return(OutboundBuffers buffers)
    {
        buffers.Packets.Clear();
        buffers.Datagrams.Clear();
        FreeOutbound.Add(buffers);
    }

    /// <summary>Takes back what a thread works in no more.</summary>
    public static void Return(InboundBuffers buffers) => FreeInbound.Add(buffers);
}
