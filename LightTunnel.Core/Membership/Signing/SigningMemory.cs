using LightTunnel.WireGuard;

namespace LightTunnel.Membership.Signing;

/// <summary>What a client keeps of one network whose members are signed.</summary>
/// <param name="Keys">The signing keys that it was given, pinned from then on.</param>
/// <param name="Seen">When the latest signature of each member was made that it has seen: older ones are not taken any more.</param>
internal sealed record SigningMemory(
    IReadOnlyList<SigningPublicKey> Keys, IReadOnlyList<KeyValuePair<PublicKey, DateTimeOffset>> Seen)
{
    /// <summary>Of a network whose members are not signed.</summary>
    public static SigningMemory None { get; } = new([], []);
}
