using System.Runtime.Versioning;

namespace LightTunnel.WindowsNetwork;

/// <summary>The Network List Manager (netlistmgr.h).</summary>
[SupportedOSPlatform("windows")]
internal sealed class WindowsNetworkList : INetworkList
{
    private static readonly Guid ManagerClass = new("DCB00C01-570F-4A9B-8D69-199FDBA5723B");

    /// <inheritdoc/>
    public IdentifiedNetwork? Find(Guid adapter) => FindNetwork(adapter) is { } network
        ? new IdentifiedNetwork(network.GetNetworkId(), ToCategory(network.GetCategory()))
        : null;

    /// <inheritdoc/>
    public void SetCategory(Guid adapter, NetworkCategory category) => FindNetwork(adapter)?.SetCategory((int)category);

    internal static NetworkCategory? ToCategory(int category) =>
        category is (int)NetworkCategory.Public or (int)NetworkCategory.Private ? (NetworkCategory)category : null;

    private static INetwork? FindNetwork(Guid adapter)
    {
        IEnumNetworkConnections connections = ComObjects.Create<INetworkListManager>(ManagerClass).GetNetworkConnections();
        while (connections.Next(1, out INetworkConnection? connection, out _) == 0 && connection is not null)
        {
            if (connection.GetAdapterId() == adapter)
                return connection.GetNetwork();
        }

        return null;
    }
}
