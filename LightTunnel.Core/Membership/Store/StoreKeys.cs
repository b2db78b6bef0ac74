using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using LightTunnel.Addressing;
using LightTunnel.WireGuard;

namespace LightTunnel.Membership.Store;

/// <summary>
/// What entries are about, by their keys: <c>n</c> the network, <c>m/2</c> a member, <c>k/&lt;public key&gt;</c> and <c>a/10.0.0.2</c> the
/// id of the member that has that key or address; <c>i/1f2e3d4c</c> an invitation; <c>w/&lt;public key&gt;</c> a machine that waits for
/// approval. Those of keys and addresses are there to be absent: that
/// is what a new lease expects. <c>r/&lt;public key&gt;</c> says that the key is kept out; <c>p/20</c> is an access rule.
/// </summary>
internal static class StoreKeys
{
    /// <summary>The network itself.</summary>
    public const string Network = "n";

    private const string MemberPrefix = "m/";
    private const string BlockPrefix = "r/";
    private const string InvitationPrefix = "i/";
    private const string ApplicantPrefix = "w/";
    private const string RulePrefix = "p/";

    /// <summary>A member.</summary>
    public static string Member(uint memberId) => string.Create(CultureInfo.InvariantCulture, $"{MemberPrefix}{memberId}");

    /// <summary>Who has a public key.</summary>
    public static string Owner(PublicKey key) => $"k/{key}";

    /// <summary>Who has a tunnel address.</summary>
    public static string Owner(TunnelAddress address) => $"a/{address}";

    /// <summary>That a public key is kept out.</summary>
    public static string Block(in PublicKey key) => $"{BlockPrefix}{key}";

    /// <summary>The key that an entry keeps out; false for an entry of another kind.</summary>
    public static bool TryReadBlock([NotNullWhen(true)] string? key, out PublicKey blocked) => TryReadKey(key, BlockPrefix, out blocked);

    /// <summary>A machine that waits for approval, or was denied.</summary>
    public static string Applicant(in PublicKey key) => $"{ApplicantPrefix}{key}";

    /// <summary>The machine that waits for approval; false for an entry of another kind.</summary>
    public static bool TryReadApplicant([NotNullWhen(true)] string? key, out PublicKey machine) =>
        TryReadKey(key, ApplicantPrefix, out machine);

    /// <summary>An invitation.</summary>
    public static string Invitation(uint id) => string.Create(CultureInfo.InvariantCulture, $"{InvitationPrefix}{id:x8}");

    /// <summary>The invitation that an entry is about; false for an entry of another kind.</summary>
    public static bool TryReadInvitation([NotNullWhen(true)] string? key, out uint id)
    {
        id = 0;
        return key?.StartsWith(InvitationPrefix, StringComparison.Ordinal) == true
            && uint.TryParse(key.AsSpan(InvitationPrefix.Length), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out id)
            && Invitation(id) == key;
    }

    /// <summary>An access rule.</summary>
    public static string Rule(int number) => string.Create(CultureInfo.InvariantCulture, $"{RulePrefix}{number}");

    /// <summary>The access rule that an entry is about; false for an entry of another kind.</summary>
    public static bool TryReadRule([NotNullWhen(true)] string? key, out int number)
    {
        number = 0;
        return key?.StartsWith(RulePrefix, StringComparison.Ordinal) == true
            && int.TryParse(key.AsSpan(RulePrefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out number)
            && Rule(number) == key;
    }

    /// <summary>The member that an entry is about; false for an entry of another kind.</summary>
    public static bool TryReadMember([NotNullWhen(true)] string? key, out uint memberId)
    {
        memberId = 0;
        return key?.StartsWith(MemberPrefix, StringComparison.Ordinal) == true
            && uint.TryParse(key.AsSpan(MemberPrefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out memberId)
            && Member(memberId) == key;
    }

    private static bool TryReadKey([NotNullWhen(true)] string? key, string prefix, out PublicKey read)
    {
        read = default;
        return key?.StartsWith(prefix, StringComparison.Ordinal) == true
            && PublicKey.TryParse(key[prefix.Length..], out read)
            && $"{prefix}{read}" == key;
    }
}
