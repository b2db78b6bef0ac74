using LightTunnel.Membership;
using LightTunnel.Membership.Signing;
using LightTunnel.WireGuard;
using static LightTunnel.Tests.Membership.ControlMessageTests;

namespace LightTunnel.Tests.Membership;

/// <summary>Signing keys and signatures that are always the same.</summary>
internal static class SigningSamples
{
    public static DateTimeOffset Issued { get; } = new(2026, 5, 1, 10, 0, 0, TimeSpan.Zero);

    /// <summary>The network that is signed for.</summary>
    public static PublicKey Server { get; } = Key(99);

    /// <summary>An admin's key by its number.</summary>
    public static SigningKey Admin(byte number = 1)
    {
        byte[] seed = new byte[SigningKey.Size];
        seed[0] = number;
        return new SigningKey(seed);
    }

    public static SigningPublicKey AdminsKey(byte number = 1) => Admin(number).PublicKey;

    public static MemberStatement Statement(DirectoryEntry entry, DateTimeOffset? issued = null, DateTimeOffset? expires = null) => new()
    {
        ServerKey = Server, PublicKey = entry.PublicKey, Name = entry.Name, Addresses = entry.Addresses, IsPlain = entry.IsPlain,
        Issued = issued ?? Issued, Expires = expires,
    };

    /// <summary>The entry, signed by an admin.</summary>
    public static DirectoryEntry Signed(
        DirectoryEntry entry, byte admin = 1, DateTimeOffset? issued = null, DateTimeOffset? expires = null) =>
        entry with { Signature = MemberSignature.Make(Admin(admin), Statement(entry, issued, expires)) };

    public static DirectoryEntry Entry(int number, string name, string address) => new()
    {
        MemberId = (uint)number, Name = name, Addresses = [Address(address)], PublicKey = Key(number), Online = true,
    };
}
