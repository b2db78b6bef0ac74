using LightTunnel.Diagnostics;
using LightTunnel.PortMapping;
using LightTunnel.Timing;
using LightTunnel.Transport;
using LightTunnel.Tun;
using LightTunnel.WireGuard.Ciphers;

namespace LightTunnel.Engine.Control;

/// <summary>What a node stands on; replaced piece by piece in tests.</summary>
/// <param name="Time">The clock.</param>
/// <param name="Tun">The virtual interface.</param>
/// <param name="Transport">The UDP socket.</param>
/// <param name="Log">The tunnel's log.</param>
internal sealed record NodeServices(TimeProvider Time, ITunDevice Tun, IDatagramTransport Transport, TunnelLog Log)
{
    /// <summary>Clocks of files may be a little ahead.</summary>
    private static readonly TimeSpan ClockTolerance = TimeSpan.FromSeconds(2);

    private readonly Timestamp _made = Time.Now();
    private readonly DateTimeOffset _wallWhenMade = Time.GetUtcNow();

    /// <summary>
    /// What the jitter of waiting times comes from, never a secret; the control loop's alone when it is not the shared one.
    /// </summary>
    public Random Jitter { get; init; } = Random.Shared;

    /// <summary>Has the router forward a port to the node; a client's.</summary>
    public IPortMapper PortMapper { get; init; } = new NoPortMapper();

    /// <summary>When the node's identity was in use before, by the clock of that time; null when it was not, or nobody knows.</summary>
    public DateTimeOffset? LastUsed { get; init; }

    /// <summary>The time, but never earlier than before, wherever the clock is set: what tells others that something is new.</summary>
    public DateTimeOffset RisingNow
    {
        get
        {
            DateTimeOffset now = Time.GetUtcNow();
            DateTimeOffset rising = (LastUsed > _wallWhenMade ? LastUsed.Value : _wallWhenMade) + (Time.Now() - _made);
            return now > rising ? now : rising;
        }
    }

    /// <summary>
    /// True when the clock is behind the time at which the identity was in use already: it was set back, and others may take
    /// handshakes for old ones.
    /// </summary>
    public bool IsClockBehind => LastUsed - Time.GetUtcNow() > ClockTolerance;

    /// <summary>Runs what may wait for the system, beside the control loop.</summary>
    public Action<Action> Background { get; init; } = work =>
        ThreadPool.UnsafeQueueUserWorkItem(static work => work(), work, preferLocal: false);

    /// <summary>True when this machine's processor is fast at AEGIS-256.</summary>
    public bool HasAesInstructions { get; init; } = Aegis256.Fastest.IsFast;
}
