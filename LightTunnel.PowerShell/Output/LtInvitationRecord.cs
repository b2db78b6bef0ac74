using LightTunnel.Management;

namespace LightTunnel;

/// <summary>Whether an invitation admits anybody.</summary>
public enum LtInvitationState
{
    /// <summary>It does.</summary>
    Active,

    /// <summary>As many as it may have come by it.</summary>
    UsedUp,

    /// <summary>Its time is over.</summary>
    Expired,

    /// <summary>It was taken back.</summary>
    Removed,
}

/// <summary>
/// An invitation that a server has made, and what became of it. The secret is not in it: the server does not know it. Its text is its id.
/// </summary>
public sealed class LtInvitationRecord
{
    internal LtInvitationRecord(InvitationStatus status)
    {
        Network = status.Network;
        Id = status.Id;
        Name = status.Name;
        State = (LtInvitationState)status.State;
        Uses = status.Uses;
        MaxUses = status.MaxUses == 0 ? null : status.MaxUses;
        Created = status.Created;
        Expires = status.Expires;
        LastUsed = status.LastUsed;
        Removed = status.Removed;
        MadeBy = status.MadeBy;
        Groups = new(status.Groups);
        Addresses = new(status.Addresses.Select(address => address.ToString()));
        Ephemeral = status.IsEphemeral;
        Members = new(status.Members);
    }

    /// <summary>Name of the server.</summary>
    public string Network { get; }

    /// <summary>What the invitation is named by.</summary>
    public string Id { get; }

    /// <summary>What it is for, as New-LtInvitation -Name said; empty for nothing.</summary>
    public string Name { get; }

    /// <summary>Whether it admits anybody.</summary>
    public LtInvitationState State { get; }

    /// <summary>How many joined by it.</summary>
    public int Uses { get; }

    /// <summary>How many may, or null for any number.</summary>
    public int? MaxUses { get; }

    /// <summary>When it was made.</summary>
    public DateTimeOffset Created { get; }

    /// <summary>When it ends, or null for never.</summary>
    public DateTimeOffset? Expires { get; }

    /// <summary>When somebody last joined by it, or null for never.</summary>
    public DateTimeOffset? LastUsed { get; }

    /// <summary>When it was taken back, or null.</summary>
    public DateTimeOffset? Removed { get; }

    /// <summary>The user who made it.</summary>
    public string MadeBy { get; }

    /// <summary>The groups that who comes by it is put into.</summary>
    public LtList<string> Groups { get; }

    /// <summary>The addresses that who comes by it gets; none for any.</summary>
    public LtList<string> Addresses { get; }

    /// <summary>True when who comes by it is forgotten when it has been gone for ten minutes.</summary>
    public bool Ephemeral { get; }

    /// <summary>Names of the members that came by it and are members still.</summary>
    public LtList<string> Members { get; }

    /// <summary>The id.</summary>
    public override string ToString() => Id;
}
