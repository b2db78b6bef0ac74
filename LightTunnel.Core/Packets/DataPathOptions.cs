namespace LightTunnel.Packets;

/// <summary>Ways in which a system lets many packets be handed over at once. Which of them are used is found out at run time.</summary>
[Flags]
public enum Offloads
{
    /// <summary>Every packet by itself.</summary>
    None = 0,

    /// <summary>
    /// The TUN device takes and gives TCP segments many at a time (virtio headers, TSO); a Wintun adapter takes them as one long segment.
    /// </summary>
    TunTcp = 1,

    /// <summary>The TUN device does the same for UDP (USO, Linux 6.2). Needs <see cref="TunTcp"/>.</summary>
    TunUdp = 2,

    /// <summary>Many datagrams of one size to one receiver are sent as one message (UDP_SEGMENT; UDP_SEND_MSG_SIZE on Windows).</summary>
    UdpSend = 4,

    /// <summary>
    /// Many datagrams of one size from one sender are received as one message (UDP_GRO; UDP_RECV_MAX_COALESCED_SIZE on Windows).
    /// </summary>
    UdpReceive = 8,

    /// <summary>Whatever the system has.</summary>
    All = TunTcp | TunUdp | UdpSend | UdpReceive,
}

/// <summary>How the data path is built.</summary>
internal sealed record DataPathOptions
{
    /// <summary>Most queues, each of which has threads of its own.</summary>
    public const int MaximumQueues = 16;

    /// <summary>Everything that the system has, and as many queues as its processors can feed.</summary>
    public static readonly DataPathOptions Default = new();

    /// <summary>What may be used.</summary>
    public Offloads Offloads { get; init; } = Offloads.All;

    /// <summary>Pairs of a TUN queue and a socket, each worked on by threads of its own; 1 where the system has no such thing.</summary>
    public int Queues { get; init; } = DefaultQueues(Environment.ProcessorCount);

    /// <summary>
    /// 2 lets a queue send and receive side by side; 1 saves changes between threads where there are not the processors to run them.
    /// </summary>
    public int ThreadsPerQueue { get; init; } = Environment.ProcessorCount <= 2 ? 1 : 2;

    /// <summary>
    /// One queue for two processors, as it keeps two threads busy, but not more than 8: beyond that the memory costs more than the threads
    /// bring. Up to four processors have one queue: what the tunnel carries must be worked on as well.
    /// </summary>
    public static int DefaultQueues(int processors) => processors <= 4 ? 1 : Math.Min(processors / 2, 8);
}
