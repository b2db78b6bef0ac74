using LightTunnel.Diagnostics;

namespace LightTunnel;

/// <summary>One change of who may be in a network, or of what its members may do, as its server's audit log has it.</summary>
public sealed class LtAuditEntry
{
    internal LtAuditEntry(AuditEntry entry)
    {
        Time = entry.Time;
        Action = (LtAuditAction)entry.Action;
        By = entry.By;
        Subject = entry.Subject;
        PublicKey = entry.PublicKey;
        Network = entry.Tunnel;
        Message = entry.Message;
        Sequence = entry.Sequence;
    }

    /// <summary>When it was done.</summary>
    public DateTimeOffset Time { get; }

    /// <summary>What was done.</summary>
    public LtAuditAction Action { get; }

    /// <summary>The user of the server's machine who did it; null when nobody did: the network itself, as it was told to.</summary>
    public string? By { get; }

    /// <summary>What it was done to: a member's name, an invitation's id.</summary>
    public string Subject { get; }

    /// <summary>The member's public key, base64; null when it was done to no member.</summary>
    public string? PublicKey { get; }

    /// <summary>Name of the network.</summary>
    public string Network { get; }

    /// <summary>All of it as a sentence.</summary>
    public string Message { get; }

    /// <summary>Number of the entry, rising by one while the server runs.</summary>
    public long Sequence { get; }

    /// <summary>Time and what was done.</summary>
    public override string ToString() => FormattableString.Invariant($"{Time.LocalDateTime:yyyy-MM-dd HH:mm:ss} {Message}");
}
