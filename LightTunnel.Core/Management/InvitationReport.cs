using System.Net;
using LightTunnel.Diagnostics;
using LightTunnel.Membership;

namespace LightTunnel.Management;

/// <summary>What an invitation is to be.</summary>
/// <param name="Endpoints">"host:port" at which the server is reached; empty for those it was started with.</param>
/// <param name="Expires">When it ends, or null for never.</param>
/// <param name="MaxUses">How many may join by it; 0 for any number.</param>
/// <param name="Name">What it is for, for people; empty for nothing.</param>
/// <param name="MadeBy">Who makes it, for people.</param>
public sealed record InvitationRequest(
    IReadOnlyList<string> Endpoints, DateTimeOffset? Expires = null, int MaxUses = 0, string Name = "", string MadeBy = "")
{
    /// <summary>The groups that who comes by it is put into.</summary>
    public IReadOnlyList<string> Groups { get; init; } = [];

    /// <summary>The addresses that who comes by it gets; none for any.</summary>
    public IReadOnlyList<string> Addresses { get; init; } = [];

    /// <summary>True when who comes by it is a member only while it is there.</summary>
    public bool IsEphemeral { get; init; }
}

/// <summary>An invitation that a server has made, and what became of it; without its secret.</summary>
public sealed record InvitationStatus
{
    /// <summary>Name of the server.</summary>
    public required string Network { get; init; }

    /// <summary>What it is named by: 8 digits.</summary>
    public required string Id { get; init; }

    /// <summary>What it is for; empty for nothing.</summary>
    public required string Name { get; init; }

    /// <summary>Whether it admits anybody.</summary>
    public required InvitationState State { get; init; }

    /// <summary>When it was made.</summary>
    public required DateTimeOffset Created { get; init; }

    /// <summary>When it ends, or null for never.</summary>
    public DateTimeOffset? Expires { get; init; }

    /// <summary>How many joined by it.</summary>
    public int Uses { get; init; }

    /// <summary>How many may; 0 for any number.</summary>
    public int MaxUses { get; init; }

    /// <summary>When somebody last joined by it, or null for never.</summary>
    public DateTimeOffset? LastUsed { get; init; }

    /// <summary>When it was taken back, or null.</summary>
    public DateTimeOffset? Removed { get; init; }

    /// <summary>Who made it.</summary>
    public string MadeBy { get; init; } = string.Empty;

    /// <summary>Names of the members that came by it and are members still.</summary>
    public IReadOnlyList<string> Members { get; init; } = [];

    /// <summary>The groups that who comes by it is put into.</summary>
    public IReadOnlyList<string> Groups { get; init; } = [];

    /// <summary>The addresses that who comes by it gets; none for any.</summary>
    public IReadOnlyList<IPAddress> Addresses { get; init; } = [];

    /// <summary>True when who comes by it is a member only while it is there.</summary>
    public bool IsEphemeral { get; init; }
}

/// <summary>Makes of what a server keeps what its owner is shown.</summary>
internal static class InvitationReport
{
    public static InvitationStatus Of(string network, InvitationRecord record, IEnumerable<Lease> members, DateTimeOffset now) => new()
    {
        Network = network,
        Id = InvitationRecord.TextOf(record.Id),
        Name = record.Name,
        State = record.StateAt(now),
        Created = record.Created,
        Expires = record.Expires,
        Uses = record.Uses,
        MaxUses = record.MaxUses,
        LastUsed = record.LastUsed,
        Removed = record.Removed,
        MadeBy = record.MadeBy,
        Groups = record.Groups,
        Addresses = [.. record.Addresses.Select(address => address.ToIPAddress())],
        IsEphemeral = record.IsEphemeral,
        Members = [.. members.Select(member => member.Name).Order(StringComparer.OrdinalIgnoreCase)],
    };

    /// <summary>Reads an id.</summary>
    /// <exception cref="LightTunnelException">NotFound: no invitation can have it.</exception>
    public static uint ReadId(string text) =>
        Membership.Store.StoreKeys.TryReadInvitation($"i/{text.ToLowerInvariant()}", out uint id)
            ? id
            : throw new LightTunnelException(
                LightTunnelError.NotFound, $"There is no invitation '{text}'.", "Get-LtInvitation shows those that there are.")
                {
                    Target = text,
                };
}
