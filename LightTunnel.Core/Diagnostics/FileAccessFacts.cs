namespace LightTunnel.Diagnostics;

/// <summary>
/// One right that an access list of Windows gives; what it denies is not looked at, so that more may seem to be given than is.
/// </summary>
/// <param name="Identity">To whom, "S-1-1-0".</param>
/// <param name="Rights">The access mask.</param>
/// <param name="IsInheritedOnly">True for what counts below the folder only, not for itself.</param>
internal readonly record struct AccessGrant(string Identity, uint Rights, bool IsInheritedOnly = false);

/// <summary>For what a folder or file of Windows is judged.</summary>
internal enum AccessPlace
{
    /// <summary>
    /// The root of a volume: as on the way, but nobody can delete it or give it another name, so that right counts for nothing. Volumes for
    /// data give it to all users.
    /// </summary>
    Root,

    /// <summary>A folder on the way to the one that is used: others may put things into it, but not take the next one away.</summary>
    OnTheWay,

    /// <summary>The folder that is used: others may not change it.</summary>
    Folder,

    /// <summary>A file that is used: others may not change it.</summary>
    File,
}

/// <summary>
/// What Windows says of who owns a folder or file, and who may do what with it; and what that means. The same judgement as on Linux: the
/// owner, whoever may write, and whoever may replace what leads there must be this user or an administrator.
/// </summary>
/// <remarks>
/// Trusted are this user, Administrators, SYSTEM, TrustedInstaller, and accounts that administer everywhere (Administrator, Domain Admins).
/// On the way to the folder others may add things, as in <c>C:\ProgramData</c>, but not replace what is there; a link (symbolic, junction,
/// mount point) is refused wherever it is, and so are files with a second name. What an access list denies is not reckoned with. The
/// judgement is tested with lists as Windows has them; that Windows was asked rightly (<see cref="WindowsAccess"/>) was not tried there.
/// </remarks>
/// <param name="Owner">Its owner, "S-1-5-32-544"; null when there is none.</param>
/// <param name="Grants">Its access list; null when it has none, which lets everybody do everything.</param>
internal sealed record FileAccessFacts(string? Owner, IReadOnlyList<AccessGrant>? Grants)
{
    private const string Administrators = "S-1-5-32-544", LocalSystem = "S-1-5-18", CreatorOwner = "S-1-3-0", OwnerRights = "S-1-3-4";

    /// <summary>Owns what Windows itself installed.</summary>
    private const string TrustedInstaller = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464";

    // Access masks (winnt.h). On folders, to write data is to add a file, and to append is to add a folder.
    private const uint ReadData = 0x1, WriteData = 0x2, AppendData = 0x4, WriteExtended = 0x10, DeleteChild = 0x40, WriteAttributes = 0x100,
        Delete = 0x1_0000, ChangePermissions = 0x4_0000, TakeOwnership = 0x8_0000, GenericAll = 0x1000_0000, GenericWrite = 0x4000_0000,
        GenericRead = 0x8000_0000;

    private const uint Replaces = DeleteChild | Delete | ChangePermissions | TakeOwnership | GenericAll;
    private const uint Changes = WriteData | AppendData | WriteExtended | WriteAttributes | GenericWrite | Replaces;

    // Of accounts of a domain or machine, those that are administrators everywhere: Administrator, Domain Admins, Enterprise Admins.
    private const string Accounts = "S-1-5-21-";
    private static readonly string[] AdministratorAccounts = ["-500", "-512", "-519"];

    private static readonly Dictionary<string, string> Names = new()
    {
        ["S-1-1-0"] = "Everyone",
        ["S-1-5-2"] = "NETWORK",
        ["S-1-5-4"] = "INTERACTIVE",
        ["S-1-5-7"] = "ANONYMOUS LOGON",
        ["S-1-5-11"] = "Authenticated Users",
        ["S-1-5-32-545"] = "Users",
        ["S-1-5-32-546"] = "Guests",
    };

    /// <summary>Why this cannot be trusted, to follow its path: "belongs to another user (S-1-5-21-...)"; null when it can.</summary>
    /// <param name="place">What it is.</param>
    /// <param name="user">The user that this process acts as, "S-1-5-21-...".</param>
    public string? FaultOf(AccessPlace place, string user)
    {
        if (Owner is null)
            return "belongs to nobody";
        // The owner may change the list, whatever it says now.
        if (!IsTrusted(Owner, user))
            return $"belongs to another user ({NameOf(Owner)})";
        if (Grants is null)
            return "has no access list, so everybody may write to it";
        uint rights = place switch
        {
            AccessPlace.Root => Replaces & ~Delete,
            AccessPlace.OnTheWay => Replaces,
            _ => Changes,
        };
        return WhoMay(rights, user) is { } other ? $"may be changed by {NameOf(other)}" : null;
    }

    /// <summary>
    /// Who else may change it, "Users (S-1-5-32-545)"; null when nobody may. Without a list it lies where there are none (FAT), which
    /// is not counted.
    /// </summary>
    public string? OtherWriter(string user) => WhoMay(Changes, user) is { } other ? NameOf(other) : null;

    /// <summary>Who else may read it, as above.</summary>
    public string? OtherReader(string user) => WhoMay(ReadData | GenericRead | GenericAll, user) is { } other ? NameOf(other) : null;

    private string? WhoMay(uint rights, string user)
    {
        foreach (AccessGrant grant in Grants ?? [])
        {
            if (!grant.IsInheritedOnly && (grant.Rights & rights) != 0 && !IsTrusted(grant.Identity, user)
                && grant.Identity is not (CreatorOwner or OwnerRights))
            {
                return grant.Identity;
            }
        }

        return null;
    }

    private static bool IsTrusted(string identity, string user) =>
        identity == user || identity is Administrators or LocalSystem or TrustedInstaller
        || (identity.StartsWith(Accounts, StringComparison.Ordinal)
            && AdministratorAccounts.Any(account => identity.EndsWith(account, StringComparison.Ordinal)));

    private static string NameOf(string identity) => Names.TryGetValue(identity, out string? name) ? $"{name} ({identity})" : identity;
}
