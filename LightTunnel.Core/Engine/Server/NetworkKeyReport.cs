namespace LightTunnel.Engine.Server;

/// <summary>An admin wants another key for the network.</summary>
/// <param name="GracePeriod">How long members that do not have it yet are known by the one before; zero for no longer.</param>
/// <param name="By">The user who does it, for the log.</param>
public sealed record NetworkKeyRequest(TimeSpan GracePeriod, string By);

/// <summary>What came of a change of the network's key. The keys are not in it.</summary>
public sealed record NetworkKeyReport
{
    /// <summary>Name of the server's tunnel.</summary>
    public required string Tunnel { get; init; }

    /// <summary>When the key was changed.</summary>
    public required DateTimeOffset Changed { get; init; }

    /// <summary>Until when members are known by the key before; null when they are not from now on.</summary>
    public DateTimeOffset? GraceEnds { get; init; }

    /// <summary>Members that have the key, by their names.</summary>
    public IReadOnlyList<string> MembersFollowed { get; init; } = [];

    /// <summary>Members that do not have it yet.</summary>
    public IReadOnlyList<string> MembersWaiting { get; init; } = [];

    /// <summary>Those of them that are here, and run a version that takes no other key.</summary>
    public IReadOnlyList<string> MembersOutdated { get; init; } = [];

    /// <summary>The ids of invitations that ended with the key before, as their text has it.</summary>
    public IReadOnlyList<string> InvitationsEnded { get; init; } = [];

    /// <summary>Plain WireGuard clients, whose configurations have the key before.</summary>
    public IReadOnlyList<string> WireGuardClients { get; init; } = [];

    /// <summary>True when the server was started with a key that somebody gave, where the one before still stands.</summary>
    public bool IsKeyConfigured { get; init; }
}
