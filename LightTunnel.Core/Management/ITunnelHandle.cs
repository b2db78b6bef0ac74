using LightTunnel.Diagnostics;
using LightTunnel.Engine;
using LightTunnel.Membership;

namespace LightTunnel.Management;

/// <summary>
/// A tunnel that runs on this machine, in this process or another: everything that commands ask of it. All members may be called from any thread.
/// </summary>
public interface ITunnelHandle
{
    /// <summary>The tunnel's name on this machine.</summary>
    string Name { get; }

    /// <summary>Server or client.</summary>
    TunnelRole Role { get; }

    /// <summary>True when the tunnel runs in this process.</summary>
    bool IsLocal { get; }

    /// <summary>Process that runs the tunnel.</summary>
    int ProcessId => Environment.ProcessId;

    /// <summary>The tunnel as a whole, now.</summary>
    Task<TunnelStatus> GetStatusAsync(CancellationToken cancellationToken);

    /// <summary>Every peer, the server included, ordered by address.</summary>
    Task<IReadOnlyList<PeerStatus>> GetPeersAsync(CancellationToken cancellationToken);

    /// <summary>Every route, ordered by destination.</summary>
    Task<IReadOnlyList<RouteStatus>> GetRoutesAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Log entries that are kept in memory, oldest first: those after <paramref name="afterSequence"/> (0 for all), of
    /// <paramref name="minimumLevel"/> or above, and of those the last <paramref name="tail"/>.
    /// </summary>
    Task<IReadOnlyList<LogEntry>> ReadLogAsync(long afterSequence, LogLevel minimumLevel, int tail, CancellationToken cancellationToken);

    /// <summary>Like <see cref="ReadLogAsync"/>, but waits until there is at least one such entry or the tunnel stops (then empty).</summary>
    Task<IReadOnlyList<LogEntry>> WaitForLogAsync(long afterSequence, LogLevel minimumLevel, CancellationToken cancellationToken);

    /// <summary>
    /// Changes that are kept in memory, oldest first: those after <paramref name="afterSequence"/> (0 for all), and of those the last
    /// <paramref name="tail"/>.
    /// </summary>
    Task<IReadOnlyList<TunnelChange>> ReadChangesAsync(long afterSequence, int tail, CancellationToken cancellationToken);

    /// <summary>Like <see cref="ReadChangesAsync"/>, but waits until there is at least one such change or the tunnel stops (then empty).</summary>
    Task<IReadOnlyList<TunnelChange>> WaitForChangesAsync(long afterSequence, CancellationToken cancellationToken);

    /// <summary>Makes an invitation; only a server can. The text is a secret: who holds it may join.</summary>
    /// <param name="endpoints">"host:port" at which the server is reached; empty for those it was started with.</param>
    /// <param name="expires">When the invitation ends, or null for never.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <exception cref="LightTunnelException">An endpoint is mistyped, or there is none at all.</exception>
    Task<InvitationText> CreateInvitationAsync(IReadOnlyList<string> endpoints, DateTimeOffset? expires, CancellationToken cancellationToken);

    /// <summary>Says goodbye to the peers and takes the tunnel down; returns when interface and socket are gone. Idempotent.</summary>
    Task StopAsync(CancellationToken cancellationToken);

    /// <summary>Completes when the tunnel has stopped, with the exception that ended it if it failed.</summary>
    Task WaitForStopAsync(CancellationToken cancellationToken);
}

/// <summary>An invitation and what may be shown of it.</summary>
/// <param name="Text">The one line to send: a secret.</param>
/// <param name="Network">Name of the network.</param>
/// <param name="Prefixes">The network's prefixes.</param>
/// <param name="Endpoints">"host:port" of the server.</param>
/// <param name="ServerKey">The server's public key, base64.</param>
/// <param name="Expires">When it ends, or null for never.</param>
public sealed record InvitationText(
    string Text, string Network, IReadOnlyList<string> Prefixes, IReadOnlyList<string> Endpoints, string ServerKey, DateTimeOffset? Expires)
{
    /// <summary>Never the secret.</summary>
    public override string ToString() => $"(invitation to {Network})";
}
