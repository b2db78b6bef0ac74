using System.Globalization;
using LightTunnel.WireGuard;

namespace LightTunnel.Membership;

/// <summary>
/// Who has which name: nobody has another's, nor the server's own, in whatever case, as commands take members by name. Who asks for one
/// that is taken gets it with a number behind it. Owned by the control loop.
/// </summary>
/// <param name="serverName">The server's own name, or null for none.</param>
internal sealed class MemberNames(string? serverName)
{
    /// <summary>
    /// Numbers that are tried from 1; then the member's own number is, which hardly anybody has in a name, however many ask for one.
    /// </summary>
    private const uint LastSmallNumber = 99;

    private readonly Dictionary<string, PublicKey> _owners = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>The member that has a name; null for none, and for the server.</summary>
    public PublicKey? OwnerOf(string name) => _owners.TryGetValue(name, out PublicKey owner) ? owner : null;

    /// <summary>Gives a member the name that it asks for, or the nearest one, and takes its present one back.</summary>
    /// <param name="member">The member.</param>
    /// <param name="memberId">The member's number.</param>
    /// <param name="asked">The name asked for.</param>
    /// <param name="current">The name that the member has, or null.</param>
    public string Give(PublicKey member, uint memberId, string asked, string? current)
    {
        string given = IsFree(asked, member) ? asked
            : current is not null && IsNumbered(current, asked) ? current : Numbered(member, memberId, asked);
        if (current is not null)
            Release(current, member);
        _owners[given] = member;
        return given;
    }

    /// <summary>Gives a member exactly this name, which is free, and takes its present one back.</summary>
    public void Rename(PublicKey member, string current, string name)
    {
        Release(current, member);
        _owners[name] = member;
    }

    /// <summary>Takes a member's name back.</summary>
    public void Release(string name, PublicKey member)
    {
        if (OwnerOf(name) == member)
            _owners.Remove(name);
    }

    /// <summary>True for a name that a member has or could have.</summary>
    public bool IsFree(string name, PublicKey member) =>
        !IsServers(name) && (!_owners.TryGetValue(name, out PublicKey owner) || owner == member);

    private bool IsServers(string name) => string.Equals(name, serverName, StringComparison.OrdinalIgnoreCase);

    private static bool IsNumbered(string name, string asked)
    {
        int dash = name.LastIndexOf('-');
        return dash > 0 && uint.TryParse(name.AsSpan(dash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out uint number)
            && string.Equals(name, WithNumber(asked, number), StringComparison.OrdinalIgnoreCase);
    }

    private string Numbered(PublicKey member, uint memberId, string asked)
    {
        for (uint number = 1; ; number = number == LastSmallNumber ? Math.Max(memberId, number + 1) : number + 1)
        {
            string name = WithNumber(asked, number);
            if (IsFree(name, member))
                return name;
        }
    }

    private static string WithNumber(string asked, uint number)
    {
        string end = string.Create(CultureInfo.InvariantCulture, $"-{number}");
        return string.Concat(asked.AsSpan(0, Math.Min(asked.Length, NodeName.MaximumLength - end.Length)), end);
    }
}
