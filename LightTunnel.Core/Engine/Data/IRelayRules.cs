using LightTunnel.Addressing;

namespace LightTunnel.Engine.Data;

/// <summary>
/// What a node passes on for others, and from whom it takes what others passed on. Asked by data threads, for every train: answers from
/// what was published.
/// </summary>
internal interface IRelayRules
{
    /// <summary>True when datagrams from there may carry a relay header for this node.</summary>
    bool IsRelay(in PathAddress sender);

    /// <summary>Where a datagram goes that is to be passed on; false when this node does not pass it on.</summary>
    bool TryFindTarget(in RelayHeader header, in PathAddress sender, out PathAddress destination);

    /// <summary>A datagram was passed on.</summary>
    void NoteRelayed(in RelayHeader header);
}

/// <summary>Nothing is passed on.</summary>
internal sealed class NothingRelayed : IRelayRules
{
    /// <inheritdoc/>
    public bool IsRelay(in PathAddress sender) => false;

    /// <inheritdoc/>
    public bool TryFindTarget(in RelayHeader header, in PathAddress sender, out PathAddress destination)
    {
        destination = default;
        return false;
    }

    /// <inheritdoc/>
    public void NoteRelayed(in RelayHeader header)
    {
    }
}
