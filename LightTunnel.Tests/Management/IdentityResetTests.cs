using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Management;
using LightTunnel.Membership;
using LightTunnel.Routing;
using LightTunnel.Tests.Configuration;
using LightTunnel.Tests.Membership;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Management;

/// <summary>A copied machine gets a key of its own, and nothing else goes.</summary>
public sealed class IdentityResetTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Run_MakesAnotherKey_AndLosesNothingButTheAddresses()
    {
        byte[] key = [.. Enumerable.Range(1, 32).Select(i => (byte)i)];
        PublicKey server = ControlMessageTests.Key(5);
        var pin = new MemberPin(ControlMessageTests.Key(6), "nas", [Address("10.0.0.20")], new DateOnly(2026, 1, 31));
        using (StateStore store = StateStore.Open(_folder.Path))
        {
            store.Save(new NodeState
            {
                Role = TunnelRole.Client,
                PrivateKey = [.. key],
                LastAddresses = new Dictionary<PublicKey, IReadOnlyList<InterfaceAddress>>
                {
                    [server] = [new InterfaceAddress(Address("10.0.0.7"), 24)],
                },
                PeerPolicies = new Dictionary<PublicKey, PathPolicy> { [server] = PathPolicy.DirectOnly },
                Pins = new Dictionary<PublicKey, IReadOnlyList<MemberPin>> { [server] = [pin] },
            });
            Refused(LightTunnelError.StateInUse, () => IdentityReset.Run(_folder.Path));
        }

        IdentityReset.Run(IdentityReset.FolderOf(null, _folder.Path));

        using StateStore after = StateStore.Open(_folder.Path);
        using NodeState? loaded = after.Load(TunnelRole.Client);
        NodeState state = Assert.IsType<NodeState>(loaded);
        Assert.NotEqual(key, state.PrivateKey);
        Assert.Equal(32, state.PrivateKey.Length);
        Assert.Empty(state.LastAddresses);
        Assert.Equal(PathPolicy.DirectOnly, state.PeerPolicies[server]);
        Assert.Equal(pin.Key, Assert.Single(state.Pins[server]).Key);
    }

    [Fact]
    public void WhatIsNoClientsState_IsRefusedWithARemedy_AndNotChanged()
    {
        Refused(LightTunnelError.NotFound, () => IdentityReset.FolderOf(null, Path.Combine(_folder.Path, "nowhere")));
        Assert.False(Directory.Exists(Path.Combine(_folder.Path, "nowhere")));
        Refused(LightTunnelError.NotFound, () => IdentityReset.FolderOf("no-such-client", null));
        Refused(LightTunnelError.InvalidName, () => IdentityReset.FolderOf("../escape", null));

        using (StateStore store = StateStore.Open(_folder.Path))
        {
            store.Save(new NodeState
            {
                Role = TunnelRole.Server, PrivateKey = new byte[32], NetworkKeys = new NetworkKeySet { Key = new byte[32] },
            });
        }

        byte[] before = File.ReadAllBytes(Path.Combine(_folder.Path, StateStore.FileName));
        Refused(LightTunnelError.InvalidState, () => IdentityReset.Run(_folder.Path));
        Assert.Equal(before, File.ReadAllBytes(Path.Combine(_folder.Path, StateStore.FileName)));
    }

    private static TunnelAddress Address(string text) => TunnelAddress.FromIPAddress(System.Net.IPAddress.Parse(text));

    private static void Refused(LightTunnelError error, Action action)
    {
        LightTunnelException exception = Assert.Throws<LightTunnelException>(action);
        Assert.Equal(error, exception.Error);
        Assert.NotEmpty(exception.RecommendedAction);
    }
}
