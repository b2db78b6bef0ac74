using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Server;
using LightTunnel.Membership;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>What tests of plain WireGuard clients do to a simulated network.</summary>
internal static class PlainNetwork
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    /// <summary>Every address that members of the tests' networks have.</summary>
    private static readonly IReadOnlyList<TunnelAddress> Everybody =
        [.. Enumerable.Range(1, 20).Select(number => TunnelAddress.FromIPAddress(IPAddress.Parse($"10.0.0.{number}")))];

    /// <summary>What an admin does to members, at the server.</summary>
    public static MemberAdministration Administration(this SimulatedNetwork network) =>
        ((ServerRole)network.Server.Node.Role).Administration;

    /// <summary>An admin makes a plain client.</summary>
    public static async Task<Lease> MakePlainAsync(this SimulatedNetwork network, PublicKey key, string name, params string[] addresses)
    {
        Task<Lease>? making = null;
        network.Server.Node.Post(() => making = network.Administration().MakePlainAsync(
            key, name, [.. addresses.Select(address => TunnelAddress.FromIPAddress(IPAddress.Parse(address)))], "admin"));
        network.Settle();
        return await making!.WaitAsync(Patience, TestContext.Current.CancellationToken);
    }

    /// <summary>An admin changes a member.</summary>
    public static void Change(this SimulatedNetwork network, MemberChangeKind kind, PublicKey key)
    {
        Task? changed = null;
        network.Server.Node.Post(
            () => changed = network.Administration().ChangeAsync(new MemberChange(kind, key.ToString(), "admin")));
        network.Settle();
        Assert.True(changed!.IsCompletedSuccessfully);
    }

    /// <summary>An admin makes a plain client, and its owner switches it on somewhere.</summary>
    public static async Task<SimulatedNode> AddPlainAsync(this SimulatedNetwork network, string name, string? host = null)
    {
        PrivateKey identity = network.NewKey();
        Lease lease = await network.MakePlainAsync(identity.PublicKey, name);
        return network.AddPlain(name, identity, lease.Addresses[0], host);
    }

    /// <summary>A plain client that has its configuration already.</summary>
    public static SimulatedNode AddPlain(
        this SimulatedNetwork network, string name, PrivateKey identity, TunnelAddress address, string? host = null,
        PresharedKey? presharedKey = null)
    {
        presharedKey ??= ClientPresharedKey.Derive(network.NetworkKey, network.ServerKey, identity.PublicKey);
        return network.Add(name, host ?? $"198.51.200.{network.Nodes.Count}", 0, services => new Node(
            identity, new PresharedKeyRing(presharedKey), CipherPolicy.WireGuard, services,
            node => new PlainClientRole(
                node, network.ServerKey, presharedKey,
                new UdpEndpoint(IPAddress.Parse(SimulatedNetwork.ServerHost), SimulatedNetwork.ServerPort),
                new InterfaceAddress(address, 32), Everybody.Where(other => other != address))));
    }

    /// <summary>The plain client's own side.</summary>
    public static PlainClientRole Plain(this SimulatedNode node) => (PlainClientRole)node.Node.Role;

    /// <summary>A packet from one gets to the other.</summary>
    public static void AssertPasses(this SimulatedNetwork network, SimulatedNode from, SimulatedNode to, TimeSpan? within = null)
    {
        to.TakeReceived();
        from.Send(to.Address, "passes");
        bool passed = network.RunUntil(() => to.TakeReceived().Contains("passes"), within ?? TimeSpan.FromSeconds(5));
        Assert.True(passed, $"{from.Name} to {to.Name}");
    }
}
