namespace LightTunnel.WindowsNetwork;

/// <summary>A network that Windows has identified.</summary>
/// <param name="Id">By what Windows knows it.</param>
/// <param name="Category">What it is taken for; null for a domain's, which nobody may change.</param>
internal sealed record IdentifiedNetwork(Guid Id, NetworkCategory? Category);

/// <summary>
/// The networks of this machine's adapters, as <see cref="WindowsPresence"/> uses them; replaced in tests. Every call may wait for a
/// service, and throws what <see cref="WindowsTrouble"/> has words for.
/// </summary>
internal interface INetworkList
{
    /// <summary>The network that an adapter is in; null while Windows has not identified it.</summary>
    IdentifiedNetwork? Find(Guid adapter);

    /// <summary>Says what the network of an adapter is to be taken for.</summary>
    void SetCategory(Guid adapter, NetworkCategory category);
}
