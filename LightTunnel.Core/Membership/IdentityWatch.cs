using LightTunnel.Timing;

namespace LightTunnel.Membership;

/// <summary>What becomes of a registration.</summary>
internal enum IdentityVerdict
{
    /// <summary>It is the only one with this identity, as far as anybody knows.</summary>
    Admit,

    /// <summary>Another machine has this identity, as is clear from now on: this one came later.</summary>
    Replace,

    /// <summary>Another machine has this identity, and this one was told to wait.</summary>
    StillReplaced,
}

/// <summary>
/// Server: whether two machines use one member's key pair, as a copied disk or state folder makes them. Each process has a random number of
/// its own. One that ended never comes back; so when two of them took over from each other, and each was heard before it lost its place
/// again, both live. The earlier one stays, the other is told, and left alone by it for a while. A frame that was only late proves nothing,
/// as nobody answers what the server says to it. Owned by the control loop.
/// </summary>
/// <remarks>
/// Without this the two would take each other's place without end, each with half of what is sent to both. The earlier one gets a notice.
/// The later one gets Leave with reason 3, says so in its state and log, and keeps still for <see cref="Wait"/>. An older version has no
/// number, and is not told.
/// </remarks>
/// <param name="time">The clock.</param>
internal sealed class IdentityWatch(TimeProvider time)
{
    /// <summary>How long the later machine waits before it tries again.</summary>
    public static readonly TimeSpan Wait = TimeSpan.FromMinutes(10);

    /// <summary>Its clock may run a little faster than the server's.</summary>
    private static readonly TimeSpan RefusedFor = Wait - TimeSpan.FromSeconds(30);

    private ulong _current;
    private ulong _superseded;
    private ulong _later;
    private ulong _refused;
    private Timestamp _refusedAt;
    private bool _isToldOf = true;

    /// <summary>A process registers in a new conversation.</summary>
    /// <param name="instance">Its number; 0 for an older version, which has none.</param>
    /// <param name="wasAnswered">Whether the one that registered last took the server's answer.</param>
    public IdentityVerdict OnRegister(ulong instance, bool wasAnswered)
    {
        if (instance != 0 && instance == _refused && time.Now() - _refusedAt < RefusedFor)
            return IdentityVerdict.StillReplaced;
        if (instance == 0 || _current == 0 || instance == _current)
        {
            _current = instance;
            return IdentityVerdict.Admit;
        }

        bool isBack = instance == _superseded && wasAnswered;
        if (isBack && instance == _later)
        {
            _refused = instance;
            _refusedAt = time.Now();
            _isToldOf = false;
            (_superseded, _later) = (0, 0);
            return IdentityVerdict.Replace;
        }

        _later = isBack ? _current : 0;
        (_superseded, _current) = (_current, instance);
        return IdentityVerdict.Admit;
    }

    /// <summary>True once for the machine that stays, to be told of the other.</summary>
    public bool TakeNews()
    {
        bool isNews = !_isToldOf;
        _isToldOf = true;
        return isNews;
    }
}
