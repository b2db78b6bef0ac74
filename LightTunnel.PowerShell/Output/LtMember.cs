using LightTunnel.Engine.Server;
using LightTunnel.WireGuard;

namespace LightTunnel;

/// <summary>A member of a network as its server knows it, online or not, at one moment. Its text is its name.</summary>
public sealed class LtMember
{
    internal LtMember(MemberStatus status)
    {
        Network = status.Tunnel;
        Name = status.Name;
        Address = status.Addresses.Count == 0 ? null : status.Addresses[0].ToString();
        Addresses = new(status.Addresses.Select(address => address.ToString()));
        Kind = status.IsPlain ? LtMemberKind.WireGuard : LtMemberKind.LightTunnel;
        State = (LtMemberState)status.State;
        Groups = new(status.Groups);
        Invitation = status.Invitation;
        Ephemeral = status.IsEphemeral;
        Expires = status.Expires;
        FirstSeen = status.FirstSeen;
        LastSeen = status.LastSeen;
        Version = status.Version;
        System = status.System;
        EnforcesRules = status.EnforcesRules;
        HasNetworkKey = status.HasNetworkKey;
        Endpoint = status.Endpoint?.ToString();
        PublicKey = status.PublicKey;
        Fingerprint = KeyFingerprint.Of(status.PublicKey);
        BlockedSince = status.BlockedSince;
        BlockedBy = status.BlockedBy;
        Signature = (LtSignature)status.Signature;
        SignedUntil = status.SignedUntil;
    }

    /// <summary>Name of the server.</summary>
    public string Network { get; }

    /// <summary>The member's name.</summary>
    public string Name { get; }

    /// <summary>The member's tunnel address; null for one that was removed while it is kept out.</summary>
    public string? Address { get; }

    /// <summary>All its tunnel addresses, IPv4 and IPv6.</summary>
    public LtList<string> Addresses { get; }

    /// <summary>What it runs: LightTunnel, or a plain WireGuard app, whose packets to others the server can read.</summary>
    public LtMemberKind Kind { get; }

    /// <summary>
    /// Online, Offline, or Blocked: kept out, whether or not it tries to come in. Pending or Denied: no member, but asked to become one.
    /// Expired: its membership has ended.
    /// </summary>
    public LtMemberState State { get; }

    /// <summary>The groups that an admin has put it into, in lower case.</summary>
    public LtList<string> Groups { get; }

    /// <summary>Id of the invitation that it came by (Get-LtInvitation), null for none.</summary>
    public string? Invitation { get; }

    /// <summary>True for one that is forgotten when it has been gone for ten minutes.</summary>
    public bool Ephemeral { get; }

    /// <summary>When its membership ends, or has ended, null for never.</summary>
    public DateTimeOffset? Expires { get; }

    /// <summary>When it joined for the first time, null when that is not known any more.</summary>
    public DateTimeOffset? FirstSeen { get; }

    /// <summary>When it was last known to be online, null when that is not known any more.</summary>
    public DateTimeOffset? LastSeen { get; }

    /// <summary>Its LightTunnel version, null when it was not here since the server was started.</summary>
    public string? Version { get; }

    /// <summary>What it says that it runs on, null when it was not here since the server was started.</summary>
    public string? System { get; }

    /// <summary>
    /// Whether it holds packets against access rules, which one of an older version does not; null when it was not here since the server
    /// was started.
    /// </summary>
    public bool? EnforcesRules { get; }

    /// <summary>
    /// Whether it has the network's key of now (Update-LtNetworkKey); one that has not is known by the key before until the grace period is
    /// over. Null for who is no member.
    /// </summary>
    public bool? HasNetworkKey { get; }

    /// <summary>Outer endpoint at which the server sees it, null while it is not online.</summary>
    public string? Endpoint { get; }

    /// <summary>The member's public key, base64: what it is known by.</summary>
    public string PublicKey { get; }

    /// <summary>The key as people compare it by voice, "7K2M-9QX4-0ABT-C3DE".</summary>
    public string Fingerprint { get; }

    /// <summary>Since when it is kept out, null when it is not.</summary>
    public DateTimeOffset? BlockedSince { get; }

    /// <summary>The user of the server's machine who keeps it out; null when it is not, or that is unknown.</summary>
    public string? BlockedBy { get; }

    /// <summary>How things stand with an admin's signature of it, where members are signed.</summary>
    public LtSignature Signature { get; }

    /// <summary>Until when its signature is good; null for ever, or when there is none.</summary>
    public DateTimeOffset? SignedUntil { get; }

    /// <summary>The name.</summary>
    public override string ToString() => Name;
}
