using System.Runtime.Versioning;

namespace LightTunnel.WindowsNetwork;

/// <summary>The Network List Manager (netlistmgr.h).</summary>
[SupportedOSPlatform("windows")]
internal sealed class WindowsNetworkList : INetworkList
{
    private static readonly Guid ManagerClass = new("DCB00C01-570F-4A9B-8D69-199FDBA5723B");

    /// <inheritdoc/>
    public IdentifiedNetwork? Find(Guid adapter) =>
        Ask(adapter, network => new IdentifiedNetwork(network.GetNetworkId(), ToCategory(network.GetCategory())));

    /// <inheritdoc/>
    public void SetCategory(Guid adapter, NetworkCategory category) =>
        Ask(adapter, network =>
        {
            network.SetCategory((int)category);
            return true;
        });

    internal static NetworkCategory? ToCategory(int category) =>
        category is (int)NetworkCategory.Public or (int)NetworkCategory.Private ? (NetworkCategory)category : null;

    /// <summary>What the network of an adapter is asked; the default where the adapter has none.</summary>
    private static T? Ask<T>(Guid adapter, Func<INetwork, T> question)
    {
        using Owned<INetworkListManager> manager = ComObjects.Create<INetworkListManager>(ManagerClass);
        using var connections = new Owned<IEnumNetworkConnections>(manager.Value.GetNetworkConnections());
        while (connections.Value.Next(1, out INetworkConnection? next, out _) == 0 && next is not null)
        {
            using var connection = new Owned<INetworkConnection>(next);
            if (connection.Value.GetAdapterId() != adapter)
                continue;
            using var network = new Owned<INetwork>(connection.Value.GetNetwork());
            return question(network.Value);
        }

        return default;
    }
}
