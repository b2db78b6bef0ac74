using System.Net;
using LightTunnel.Membership.Signing;

namespace LightTunnel.Engine.Server;

/// <summary>How things stand with a member.</summary>
public enum MemberState
{
    /// <summary>The server hears it.</summary>
    Online,

    /// <summary>It is not there.</summary>
    Offline,

    /// <summary>An admin keeps it out.</summary>
    Blocked,

    /// <summary>It is no member yet, and waits until an admin approves it.</summary>
    Pending,

    /// <summary>It asked to become a member, and an admin denied it.</summary>
    Denied,

    /// <summary>Its membership has ended.</summary>
    Expired,
}

/// <summary>A member of a network, as its server knows it: online or not.</summary>
public sealed record MemberStatus
{
    /// <summary>Name of the server's tunnel.</summary>
    public required string Tunnel { get; init; }

    /// <summary>The member's name.</summary>
    public required string Name { get; init; }

    /// <summary>Its tunnel addresses; none for one that is kept out and has given up its lease.</summary>
    public required IReadOnlyList<IPAddress> Addresses { get; init; }

    /// <summary>Its public key, base64: what it is known by.</summary>
    public required string PublicKey { get; init; }

    /// <summary>True for a plain WireGuard client.</summary>
    public bool IsPlain { get; init; }

    /// <summary>How things stand with it.</summary>
    public required MemberState State { get; init; }

    /// <summary>The groups that it is in.</summary>
    public IReadOnlyList<string> Groups { get; init; } = [];

    /// <summary>The id of the invitation that it came by; null for none.</summary>
    public string? Invitation { get; init; }

    /// <summary>True for one whose lease ends when it has been gone for a while.</summary>
    public bool IsEphemeral { get; init; }

    /// <summary>When its membership ends, or has ended; null for never.</summary>
    public DateTimeOffset? Expires { get; init; }

    /// <summary>When its key first registered, null when that is not known any more.</summary>
    public DateTimeOffset? FirstSeen { get; init; }

    /// <summary>When it was last known to be online; null when that is not known any more.</summary>
    public DateTimeOffset? LastSeen { get; init; }

    /// <summary>Its LightTunnel version; null when it was not here since the server was started.</summary>
    public string? Version { get; init; }

    /// <summary>What it runs on; null when it was not here since the server was started, or does not tell.</summary>
    public string? System { get; init; }

    /// <summary>
    /// Whether it holds packets against access rules; null when it was not here since the server was started. One of an older version does
    /// not: only who sends to it does.
    /// </summary>
    public bool? EnforcesRules { get; init; }

    /// <summary>
    /// Whether it has the network's key of now; while it has not, it is known by the one before. Null for who is no member.
    /// </summary>
    public bool? HasNetworkKey { get; init; }

    /// <summary>How things stand with an admin's signature of it.</summary>
    public SignatureState Signature { get; init; }

    /// <summary>That signature as text; null for none.</summary>
    public string? SignatureText { get; init; }

    /// <summary>Until when its signature is good; null for ever, or when there is none.</summary>
    public DateTimeOffset? SignedUntil { get; init; }

    /// <summary>Where the server sees it, null while it is not online.</summary>
    public IPEndPoint? Endpoint { get; init; }

    /// <summary>Since when it is kept out, null when it is not.</summary>
    public DateTimeOffset? BlockedSince { get; init; }

    /// <summary>The user who keeps it out; null when it is not, or that is unknown.</summary>
    public string? BlockedBy { get; init; }
}

/// <summary>What an admin does to a member.</summary>
public enum MemberChangeKind
{
    /// <summary>Keeps it out.</summary>
    Block,

    /// <summary>Lets it in again.</summary>
    Unblock,

    /// <summary>Ends its lease.</summary>
    Remove,

    /// <summary>Gives it another name, other addresses or groups.</summary>
    Set,

    /// <summary>Makes a member of a machine that waits.</summary>
    Approve,

    /// <summary>Makes no member of a machine that waits.</summary>
    Deny,
}

/// <summary>A change that an admin makes.</summary>
/// <param name="Kind">What is done.</param>
/// <param name="PublicKey">The member's public key, base64.</param>
/// <param name="By">The user who does it, for the log.</param>
public sealed record MemberChange(MemberChangeKind Kind, string PublicKey, string By)
{
    /// <summary>The name to be set; null for none.</summary>
    public string? Name { get; init; }

    /// <summary>The addresses to be set; null for none.</summary>
    public IReadOnlyList<string>? Addresses { get; init; }

    /// <summary>The groups to be set, and no others; null for none.</summary>
    public IReadOnlyList<string>? Groups { get; init; }

    /// <summary>How long it is a member from now on, zero for no end of its own; null for no change.</summary>
    public TimeSpan? ExpiresIn { get; init; }

    /// <summary>Networks behind it that are approved; null for none.</summary>
    public IReadOnlyList<string>? ApproveRoutes { get; init; }

    /// <summary>Networks behind it that are denied; null for none.</summary>
    public IReadOnlyList<string>? DenyRoutes { get; init; }
}
