using LightTunnel.Addressing;
using LightTunnel.Timing;

namespace LightTunnel.Traversal;

/// <summary>
/// The sockets beside the node's own that one attempt has for itself: fresh ones, as a NAT gives each another port. Owned by
/// the control loop.
/// </summary>
internal sealed class AttemptSockets
{
    private Timestamp _until = Timestamp.Never;

    /// <summary>How many the attempt needs, 0 when there is none or it is over.</summary>
    public int Wanted { get; private set; }

    /// <summary>Those that are open, in the order of the plan's; none until the owner has opened them, or when there was no room.</summary>
    public IReadOnlyList<LocalEnd> Opened { get; private set; } = [];

    /// <summary>An attempt begins, which needs so many until then.</summary>
    public void Begin(int wanted, Timestamp until)
    {
        Wanted = wanted;
        Opened = [];
        IsOpening = false;
        _until = until;
    }

    /// <summary>True while the owner has them opened: the attempt's plan waits for that.</summary>
    public bool IsOpening { get; private set; }

    /// <summary>The owner has them opened.</summary>
    public void Await() => IsOpening = true;

    /// <summary>The owner has opened them.</summary>
    public void Assign(IReadOnlyList<LocalEnd> opened)
    {
        Opened = opened;
        IsOpening = false;
    }

    /// <summary>A path was found, or nothing is waited for any more.</summary>
    public void End() => Begin(0, Timestamp.Never);

    /// <summary>Ends the attempt when its time is over.</summary>
    public void Expire(Timestamp now)
    {
        if (now > _until)
            End();
    }

    /// <summary>The plan's n-th socket, where the node's own is 0; false when there is none.</summary>
    public bool TryFind(int planned, out LocalEnd socket)
    {
        bool isFurther = planned > 0 && planned <= Opened.Count;
        socket = isFurther ? Opened[planned - 1] : default;
        return isFurther || planned == 0;
    }
}
