using LightTunnel.Membership.Cbor;
using LightTunnel.WireGuard;

namespace LightTunnel.Membership;

/// <summary>
/// The network has another key from now on. It is told to members only, in their links with the server, and again at each registration
/// until they have said that they have it.
/// </summary>
internal sealed record NetworkKeyMessage : ControlMessage, ICborRecord<NetworkKeyMessage>
{
    /// <summary>Longest time for which former keys are good.</summary>
    public static readonly TimeSpan LongestGrace = TimeSpan.FromDays(3650);

    /// <summary>Which of the network's keys it is.</summary>
    public required int Number { get; init; }

    /// <summary>The key.</summary>
    public required PresharedKey Key { get; init; }

    /// <summary>How long members that do not have it yet are known by the ones before, seconds from now; 0 for no longer.</summary>
    public int FormerSeconds { get; init; }

    /// <inheritdoc/>
    public static NetworkKeyMessage Exchange(CborFields<NetworkKeyMessage> fields) => new()
    {
        Number = fields.Required(1, "number", m => m.Number, FieldKinds.KeyNumber),
        Key = fields.Required(2, "network's key", m => m.Key, FieldKinds.PresharedKey),
        FormerSeconds = fields.Optional(
            3, "seconds of those before", m => m.FormerSeconds, FieldKinds.Number(0, (int)LongestGrace.TotalSeconds)),
    };

    /// <summary>Never the secret.</summary>
    public override string ToString() => $"(network key {Number})";
}

/// <summary>A member has kept the network's key that it was told, where a restart finds it.</summary>
internal sealed record NetworkKeyTakenMessage : ControlMessage, ICborRecord<NetworkKeyTakenMessage>
{
    /// <summary>Which of the network's keys it is.</summary>
    public required int Number { get; init; }

    /// <inheritdoc/>
    public static NetworkKeyTakenMessage Exchange(CborFields<NetworkKeyTakenMessage> fields) => new()
    {
        Number = fields.Required(1, "number", m => m.Number, FieldKinds.KeyNumber),
    };
}
