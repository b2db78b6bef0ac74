using LightTunnel.Engine.Server;

namespace LightTunnel;

/// <summary>What came of a change of a network's key. The keys are not in it. Its text is the network's name.</summary>
public sealed class LtNetworkKeyChange
{
    internal LtNetworkKeyChange(NetworkKeyReport report)
    {
        Network = report.Tunnel;
        Changed = report.Changed;
        GraceEnds = report.GraceEnds;
        MembersFollowed = new(report.MembersFollowed);
        MembersWaiting = new(report.MembersWaiting);
        MembersOutdated = new(report.MembersOutdated);
        InvitationsEnded = new(report.InvitationsEnded);
        WireGuardClients = new(report.WireGuardClients);
    }

    /// <summary>Name of the server.</summary>
    public string Network { get; }

    /// <summary>When the key was changed.</summary>
    public DateTimeOffset Changed { get; }

    /// <summary>Until when members come in by the old key, null when they do not from now on.</summary>
    public DateTimeOffset? GraceEnds { get; }

    /// <summary>Members that have the new key.</summary>
    public LtList<string> MembersFollowed { get; }

    /// <summary>Members that do not have it yet: mostly as they are offline.</summary>
    public LtList<string> MembersWaiting { get; }

    /// <summary>Those of them that are online, and run a version that takes no other key.</summary>
    public LtList<string> MembersOutdated { get; }

    /// <summary>Ids of invitations that admit nobody any more, as they have the old key in them.</summary>
    public LtList<string> InvitationsEnded { get; }

    /// <summary>Plain WireGuard clients, which need new configurations.</summary>
    public LtList<string> WireGuardClients { get; }

    /// <summary>The network's name.</summary>
    public override string ToString() => Network;
}
