using LightTunnel.Access;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Probing;
using LightTunnel.Engine.Server;
using LightTunnel.Membership;
using LightTunnel.Routing;

namespace LightTunnel.Management;

/// <summary>
/// A tunnel that runs on this machine, in this process or another: everything that commands ask of it. All members may be called
/// from any thread.
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

    /// <summary>
    /// What the tunnel was started with, as a configuration file that starts it again, as the same node, elsewhere and later: a secret.
    /// </summary>
    Task<SettingsText> GetSettingsAsync(CancellationToken cancellationToken);

    /// <summary>Every peer that this node knows, the server included, ordered by address.</summary>
    Task<IReadOnlyList<PeerStatus>> GetPeersAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Peers, ordered by address, among them all that the text names: a name or a tunnel address, in which * stands for any characters and
    /// ? for one. A client of a large network knows those that it deals with, and asks its server for the others.
    /// </summary>
    /// <exception cref="LightTunnelException">The server does not answer.</exception>
    Task<IReadOnlyList<PeerStatus>> FindPeersAsync(string text, CancellationToken cancellationToken);

    /// <summary>Every route, ordered by destination.</summary>
    Task<IReadOnlyList<RouteStatus>> GetRoutesAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Offers and takes other networks behind nodes from now on, until the tunnel stops; what it was started with is not changed elsewhere.
    /// </summary>
    /// <exception cref="LightTunnelException">Something in it is wrong: then nothing is changed.</exception>
    Task SetRoutesAsync(RouteSettingsChange change, CancellationToken cancellationToken);

    /// <summary>
    /// Log entries that are kept in memory, oldest first: those after <paramref name="afterSequence"/> (0 for all), of
    /// <paramref name="minimumLevel"/> or above, and of those the last <paramref name="tail"/>.
    /// </summary>
    Task<IReadOnlyList<LogEntry>> ReadLogAsync(long afterSequence, LogLevel minimumLevel, int tail, CancellationToken cancellationToken);

    /// <summary>
    /// What matters for security, kept apart so that nothing else pushes it out: the last <paramref name="tail"/> entries, oldest first.
    /// </summary>
    Task<IReadOnlyList<LogEntry>> ReadSecurityLogAsync(int tail, CancellationToken cancellationToken);

    /// <summary>
    /// Like <see cref="ReadLogAsync"/>, but waits until there is at least one such entry or the tunnel stops (then empty).
    /// </summary>
    Task<IReadOnlyList<LogEntry>> WaitForLogAsync(long afterSequence, LogLevel minimumLevel, CancellationToken cancellationToken);

    /// <summary>
    /// What was done to the network's members, oldest first: entries after <paramref name="afterSequence"/> (0 for all), and of those the
    /// last <paramref name="tail"/>; from before the tunnel was started as well. None but on a server.
    /// </summary>
    Task<IReadOnlyList<AuditEntry>> ReadAuditAsync(long afterSequence, int tail, CancellationToken cancellationToken);

    /// <summary>
    /// Like <see cref="ReadAuditAsync"/>, but waits until there is at least one such entry or the tunnel stops (then empty).
    /// </summary>
    Task<IReadOnlyList<AuditEntry>> WaitForAuditAsync(long afterSequence, CancellationToken cancellationToken);

    /// <summary>
    /// Changes that are kept in memory, oldest first: those after <paramref name="afterSequence"/> (0 for all), and of those the last
    /// <paramref name="tail"/>.
    /// </summary>
    Task<IReadOnlyList<TunnelChange>> ReadChangesAsync(long afterSequence, int tail, CancellationToken cancellationToken);

    /// <summary>
    /// Like <see cref="ReadChangesAsync"/>, but waits until there is at least one such change or the tunnel stops (then empty).
    /// </summary>
    Task<IReadOnlyList<TunnelChange>> WaitForChangesAsync(long afterSequence, CancellationToken cancellationToken);

    /// <summary>Makes an invitation; only a server can. The text is a secret: who holds it may join.</summary>
    /// <param name="request">What it is to be.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <exception cref="LightTunnelException">An endpoint is mistyped, or there is none at all; or it cannot be saved.</exception>
    Task<InvitationText> CreateInvitationAsync(InvitationRequest request, CancellationToken cancellationToken);

    /// <summary>Every invitation that the server keeps, the newest last; only a server has any.</summary>
    Task<IReadOnlyList<InvitationStatus>> GetInvitationsAsync(CancellationToken cancellationToken);

    /// <summary>Takes an invitation back: it admits nobody from then on. Idempotent; only a server can.</summary>
    /// <param name="id">What names it.</param>
    /// <param name="by">The local user who does.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <exception cref="LightTunnelException">There is no such invitation, or it cannot be saved.</exception>
    Task RemoveInvitationAsync(string id, string by, CancellationToken cancellationToken);

    /// <summary>
    /// Tries to reach a peer directly, measures the path that it is reached by, and tells everything that was tried. Not
    /// direct is no error.
    /// </summary>
    /// <param name="request">What to do.</param>
    /// <param name="progress">Told of each step; may be null. Called from any thread.</param>
    /// <param name="cancellationToken">Ends the test.</param>
    /// <exception cref="LightTunnelException">There is no such peer.</exception>
    Task<PeerTestReport> TestPeerAsync(PeerTestRequest request, IProgress<TestProgress>? progress, CancellationToken cancellationToken);

    /// <summary>Finds out what the network between this node and its server, and before it, lets pass; only a client can.</summary>
    /// <param name="timeout">How long answers of the server are waited for.</param>
    /// <param name="progress">Told of each step; may be null. Called from any thread.</param>
    /// <param name="cancellationToken">Ends the test.</param>
    /// <exception cref="LightTunnelException">The tunnel is a server.</exception>
    Task<NetworkTestReport> TestNetworkAsync(TimeSpan timeout, IProgress<TestProgress>? progress, CancellationToken cancellationToken);

    /// <summary>Says which paths to a peer may be used, for now and after a restart; only a client can.</summary>
    /// <param name="publicKey">The peer's public key, base64.</param>
    /// <param name="policy">The policy, or null for that of the network.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <exception cref="LightTunnelException">There is no such peer, or its path is no matter of choice.</exception>
    Task SetPeerPolicyAsync(string publicKey, PathPolicy? policy, CancellationToken cancellationToken);

    /// <summary>Believes that a member whose key has changed is the one that it says, from now on; only a client can.</summary>
    /// <param name="publicKey">The key that it has now, base64.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <exception cref="LightTunnelException">No member of that key waits to be confirmed.</exception>
    Task ConfirmMemberAsync(string publicKey, CancellationToken cancellationToken);

    /// <summary>
    /// Brings an admin's signature of a member to the network's server, which checks it and tells everybody; returns when it lasts.
    /// </summary>
    /// <param name="publicKey">The member's public key, base64.</param>
    /// <param name="signature">The signature (<see cref="MemberSigner"/>).</param>
    /// <param name="by">The local user who does, for the server's log.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <exception cref="LightTunnelException">The server does not take it, is not there, or it cannot be saved.</exception>
    Task SignMemberAsync(string publicKey, string signature, string by, CancellationToken cancellationToken);

    /// <summary>Every member of the network, online or not, and every key that is kept out; only a server can.</summary>
    /// <exception cref="LightTunnelException">The tunnel is a client.</exception>
    Task<IReadOnlyList<MemberStatus>> GetMembersAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Makes a plain WireGuard client a member, and gives its configuration, which is told this once; only a server can.
    /// </summary>
    /// <param name="request">What it is to be.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <exception cref="LightTunnelException">
    /// Name, key or address are wrong or another's, the server does not know where it is reached, or it cannot be saved.
    /// </exception>
    Task<WireGuardClientText> CreateWireGuardClientAsync(WireGuardClientRequest request, CancellationToken cancellationToken);

    /// <summary>Changes something about a member; only a server can. Returns when the change lasts and is acted upon.</summary>
    /// <exception cref="LightTunnelException">There is no such member, it cannot be saved, or the tunnel is a client.</exception>
    Task ChangeMemberAsync(MemberChange change, CancellationToken cancellationToken);

    /// <summary>
    /// Gives the network another key, and tells it to all members that are here; only a server can. Returns when that lasts, and those who
    /// are here have it, or after some seconds.
    /// </summary>
    /// <exception cref="LightTunnelException">It cannot be saved, or the tunnel is a client.</exception>
    Task<NetworkKeyReport> UpdateNetworkKeyAsync(NetworkKeyRequest request, CancellationToken cancellationToken);

    /// <summary>A server's access rules, all of them; a client's, those that concern it, as it was told them.</summary>
    Task<IReadOnlyList<RuleStatus>> GetRulesAsync(CancellationToken cancellationToken);

    /// <summary>Changes access rules, all that is asked for or nothing; only a server can. Returns when the change lasts.</summary>
    /// <returns>The numbers of the rules that are new or others now.</returns>
    /// <exception cref="LightTunnelException">Something in it is wrong, it cannot be saved, or the tunnel is a client.</exception>
    Task<IReadOnlyList<int>> ChangeRulesAsync(RuleChange change, CancellationToken cancellationToken);

    /// <summary>What access rules say to a connection, for each family of addresses; only a server can.</summary>
    /// <exception cref="LightTunnelException">There is no such member, or the tunnel is a client.</exception>
    Task<IReadOnlyList<RuleVerdict>> TestRuleAsync(RuleQuestion question, CancellationToken cancellationToken);

    /// <summary>Says goodbye to the peers and takes the tunnel down; returns when interface and socket are gone. Idempotent.</summary>
    Task StopAsync(CancellationToken cancellationToken);

    /// <summary>Completes when the tunnel has stopped, with the exception that ended it if it failed.</summary>
    Task WaitForStopAsync(CancellationToken cancellationToken);
}

/// <summary>An invitation and what may be shown of it.</summary>
/// <param name="Id">What the server names it by.</param>
/// <param name="Text">The one line to send: a secret.</param>
/// <param name="Network">Name of the network.</param>
/// <param name="Prefixes">The network's prefixes.</param>
/// <param name="Endpoints">"host:port" of the server.</param>
/// <param name="ServerKey">The server's public key, base64.</param>
/// <param name="Expires">When it ends, or null for never.</param>
/// <param name="MaxUses">How many may join by it; 0 for any number.</param>
/// <param name="Name">What it is for; empty for nothing.</param>
public sealed record InvitationText(
    string Id, string Text, string Network, IReadOnlyList<string> Prefixes, IReadOnlyList<string> Endpoints, string ServerKey,
    DateTimeOffset? Expires, int MaxUses, string Name)
{
    /// <summary>Never the secret.</summary>
    public override string ToString() => $"(invitation to {Network})";
}

/// <summary>A tunnel's settings as <see cref="Configuration.ConfigurationWriter"/> writes them, with their secrets.</summary>
/// <param name="Text">The file's text: a secret.</param>
public sealed record SettingsText(string Text)
{
    /// <summary>Never the secret.</summary>
    public override string ToString() => "(settings of a tunnel)";
}
