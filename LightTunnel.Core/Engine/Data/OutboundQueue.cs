using LightTunnel.Packets;
using LightTunnel.Timing;
using LightTunnel.Transport;
using LightTunnel.Tun;

namespace LightTunnel.Engine.Data;

/// <summary>
/// One queue's packets from the device to the network: a batch is read, sealed and sent, as far as the network takes it, before the next is
/// read. Belongs to one thread.
/// </summary>
/// <remarks>
/// While the network takes nothing more, nothing more is read from the device: what waits, waits there, as programs notice
/// (<see cref="ControlledDelay"/>). What is received goes on meanwhile.
/// </remarks>
internal sealed class OutboundQueue(DataPlane plane, ITunDevice tun, IDatagramTransport transport, int queue)
{
    private readonly OutboundPipeline _path = new(plane, queue % transport.Queues);
    private readonly ControlledDelay _delay = new();
    private OutboundBuffers _buffers = DataBuffers.TakeOutbound(plane.LongestPacket, tun.ReadsSuperPackets);

    // What is done with of the packets, and of the datagrams that those became.
    private int _sealed;
    private int _sent;
    private bool _waited;
    private bool _emptied;
    private Timestamp _read;

    /// <summary>What this queue counted.</summary>
    public PacketCounters Counters => _path.Counters;

    /// <summary>See <see cref="OutboundPipeline.LongestRoundTrip"/>.</summary>
    public long LongestRoundTrip => _path.LongestRoundTrip;

    /// <summary>The queue of the transport that datagrams leave by.</summary>
    public int TransportQueue { get; } = queue % transport.Queues;

    /// <summary>True when everything is sent and more may be read.</summary>
    public bool IsDone => _sealed == _buffers.Packets.Count && _sent == _buffers.Datagrams.Count;

    /// <summary>What packets are read into, once <see cref="IsDone"/>; then follows <see cref="Begin"/>.</summary>
    public PacketBatch Packets => _buffers.Packets;

    /// <summary>Begins to work on what was read.</summary>
    public void Begin()
    {
        _read = plane.Now;
        _emptied = !Packets.IsFull;
        _waited = false;
        _sealed = 0;
        for (int i = 0; i < Packets.Count && _delay.TakeDrop(_read); i++)
        {
            Packets[i].Length = 0;
            Counters.Drop(DropReason.SlowNetwork);
        }
    }

    /// <summary>Does everything that is to be done with the packets, or as much as the network takes.</summary>
    /// <returns>False when something is left for the next call, which does no good before there is room.</returns>
    public bool TrySend()
    {
        while (!IsDone)
        {
            if (_sent == _buffers.Datagrams.Count)
            {
                _sealed = _path.Process(_buffers.Packets, _sealed, _buffers.Datagrams, _buffers.Replies);
                _sent = 0;
                for (int i = 0; i < _buffers.Replies.Count; i++)
                    tun.Write(_buffers.Replies.Packet(i));
            }

            _sent = transport.TrySend(_buffers.Datagrams, _sent, TransportQueue);
            if (_sent < _buffers.Datagrams.Count)
            {
                _waited = true;
                return false;
            }
        }

        var roundTrip = new TimeSpan(_path.LongestRoundTrip);
        _delay.NoteRoundTrip(roundTrip);
        transport.NoteRoundTrip(roundTrip, TransportQueue);
        _delay.Note(_waited, _emptied, _read, _waited ? plane.Now : _read);
        // A client learns of the network's MTU when it has joined: what the first buffers are too small for is lost once.
        if (_buffers.LongestPacket < plane.LongestPacket)
            _buffers = DataBuffers.TakeOutbound(plane.LongestPacket, tun.ReadsSuperPackets);
        (_sealed, _sent) = (_buffers.Packets.Count, _buffers.Datagrams.Count);
        return true;
    }

    /// <summary>Gives the memory back.</summary>
    public void Return() => DataBuffers.Return(_buffers);
}
