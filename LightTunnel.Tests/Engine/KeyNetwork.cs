using LightTunnel.Configuration;
using LightTunnel.Engine.Server;
using LightTunnel.Membership;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>What an admin does to the key of a simulated network, and who has which.</summary>
internal static class KeyNetwork
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    /// <summary>Begins a change of the network's key.</summary>
    public static Task<NetworkKeyReport> BeginKeyChange(this SimulatedNetwork network, TimeSpan grace)
    {
        Task<NetworkKeyReport>? changing = null;
        network.Server.Node.Post(
            () => changing = ((ServerRole)network.Server.Node.Role).NetworkKey.ChangeAsync(new NetworkKeyRequest(grace, "admin")));
        network.Settle();
        return changing!;
    }

    /// <summary>Changes the network's key, and does not wait for anybody to hear of it.</summary>
    public static NetworkKeyReport ChangeKey(this SimulatedNetwork network, TimeSpan grace)
    {
        Task<NetworkKeyReport> changing = network.BeginKeyChange(grace);
        // Who waits for it does so beside the simulated network, in real time.
        Assert.True(((IAsyncResult)changing).AsyncWaitHandle.WaitOne(Patience));
        return changing.GetAwaiter().GetResult();
    }

    /// <summary>The report with who has the key by now.</summary>
    public static NetworkKeyReport Followers(this SimulatedNetwork network, NetworkKeyReport report) =>
        ((ServerRole)network.Server.Node.Role).NetworkKey.Complete(report);

    /// <summary>Whether the server knows that a member has the network's key of now.</summary>
    public static bool HasKey(this SimulatedNetwork network, string member) =>
        network.Administration().List().Single(one => one.Name == member).HasNetworkKey == true;

    /// <summary>Which of the network's keys the server has.</summary>
    public static int KeyNumber(this SimulatedNetwork network) => network.Server.Node.NetworkKeys.Number;

    /// <summary>A network key as a node that has only that one keeps it.</summary>
    public static MemoryKeyStore Keys(this PresharedKey key) => new(new NetworkKeySet { Key = key.Bytes.ToArray() });

    /// <summary>The network's key of now, as an invitation has it.</summary>
    public static PresharedKey CurrentKey(this SimulatedNetwork network) => new(network.KeyStore.Keys.Key);

    /// <summary>What the node's link with another was last agreed on with.</summary>
    public static int AgreedWith(this SimulatedNode node, string peer) => node.Peer(peer).Link!.AgreedKeyNumber;

    /// <summary>Somebody who comes by an invitation.</summary>
    public static Func<ClientOptions, ClientOptions> By(InvitationToken token) => options => options with { Invitation = token };
}
