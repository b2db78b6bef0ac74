using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Engine;
using LightTunnel.Engine.Client;
using LightTunnel.Engine.Control;
using LightTunnel.Internet.Fakes;
using LightTunnel.Management;
using LightTunnel.Membership;
using LightTunnel.Membership.Store;
using LightTunnel.Transport;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>Where the network's key alone admits somebody, with a server's own state file: nobody has to join again.</summary>
public sealed class KeyOnlyNetworkTests : IDisposable
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private readonly string _folder = Directory.CreateTempSubdirectory("lt-keys").FullName;
    private readonly string _networkKey = PresharedKey.Generate().Reveal();
    private readonly LocalEngine _engine = new(new TunnelEnvironment(
        TimeProvider.System, new InMemoryTunDeviceFactory(), new UdpTransportFactory(), new SystemNameResolver(),
        new SystemLocalAddresses()));

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(false, null, false)]
    [InlineData(false, true, true)]
    [InlineData(true, null, true)]
    [InlineData(true, false, false)]
    public async Task KeyOfTheNetwork_IsEnough_WhereItAlwaysWas_OrIsAllowed(bool isOld, bool? allowed, bool admits)
    {
        (ITunnelHandle server, int port, string key) = await StartAsync(null);
        InvitationText text = await server.CreateInvitationAsync(new InvitationRequest([$"127.0.0.1:{port}"], MaxUses: 1), Cancellation);
        ITunnelHandle member = await _engine.ConnectAsync(
            new ClientSettings
            {
                Name = "member", Invitation = new Secret(text.Text), StatePath = Path.Combine(_folder, "member"),
            },
            prepared: null, Cancellation);
        InvitationStatus used = Assert.Single(await server.GetInvitationsAsync(Cancellation));
        Assert.Equal((text.Id, InvitationState.UsedUp, 1), (used.Id, used.State, used.Uses));
        Assert.Equal(["member"], used.Members);
        await member.StopAsync(Cancellation);
        await server.StopAsync(Cancellation);
        if (isOld)
            WriteAsAnEarlierVersion(Path.Combine(_folder, "hub"));

        (server, port, _) = await StartAsync(allowed);
        member = await _engine.ConnectAsync(ByKey("member", port, key), prepared: null, Cancellation);
        if (admits)
        {
            ITunnelHandle other = await _engine.ConnectAsync(ByKey("other", port, key), prepared: null, Cancellation);
            await other.StopAsync(Cancellation);
        }
        else
        {
            LightTunnelException refusal = await Assert.ThrowsAsync<LightTunnelException>(
                () => _engine.ConnectAsync(ByKey("other", port, key), prepared: null, Cancellation));
            Assert.Equal(LightTunnelError.InvitationRefused, refusal.Error);
        }

        Assert.Equal(isOld ? 0 : 1, (await server.GetInvitationsAsync(Cancellation)).Count);
        await member.StopAsync(Cancellation);
        await server.StopAsync(Cancellation);
    }

    [Fact]
    public async Task Client_HasNoInvitations()
    {
        (ITunnelHandle server, int port, string key) = await StartAsync(true);
        ITunnelHandle client = await _engine.ConnectAsync(ByKey("client", port, key), prepared: null, Cancellation);
        foreach (Func<Task> question in (Func<Task>[])
            [
                () => client.GetInvitationsAsync(Cancellation), () => client.RemoveInvitationAsync("00000001", "root", Cancellation),
                () => client.CreateInvitationAsync(new InvitationRequest(["a.example:1"]), Cancellation),
            ])
        {
            Assert.Equal(LightTunnelError.InvalidOption, (await Assert.ThrowsAsync<LightTunnelException>(question)).Error);
        }

        foreach (string id in (string[])["00000001", "1", "nonsense", string.Empty])
        {
            LightTunnelException none = await Assert.ThrowsAsync<LightTunnelException>(
                () => server.RemoveInvitationAsync(id, "root", Cancellation));
            Assert.Equal(LightTunnelError.NotFound, none.Error);
        }

        await client.StopAsync(Cancellation);
        await server.StopAsync(Cancellation);
    }

    private async Task<(ITunnelHandle Server, int Port, string Key)> StartAsync(bool? allowKeyOnly)
    {
        ITunnelHandle server = await _engine.StartServerAsync(
            new ServerSettings
            {
                Name = "keyed-hub", Address = ["10.78.0.1/24"], ListenPort = 0, NetworkKey = new Secret(_networkKey),
                AllowKeyOnly = allowKeyOnly, StatePath = Path.Combine(_folder, "hub"),
            },
            prepared: null, Cancellation);
        TunnelStatus status = await server.GetStatusAsync(Cancellation);
        return (server, status.ListenPort, status.PublicKey);
    }

    private ClientSettings ByKey(string name, int port, string serverKey) => new()
    {
        Name = name, Server = [$"127.0.0.1:{port}"], ServerKey = serverKey, NetworkKey = new Secret(_networkKey),
        StatePath = Path.Combine(_folder, name),
    };

    /// <summary>The network's entry does not speak of invitations, and there are none.</summary>
    private static void WriteAsAnEarlierVersion(string folder)
    {
        using StateStore store = StateStore.Open(folder);
        using NodeState state = store.Load(TunnelRole.Server)!;
        byte[]? network = state.Network.Entries.Single(entry => entry.Key == StoreKeys.Network).Value;
        Assert.True(LeaseCodec.TryReadNetwork(network, out string? name, out uint next, out bool isInvitedOnly));
        Assert.True(isInvitedOnly);
        store.Save(state with { Network = LeaseCodec.ToContents(name, next, LeaseCodec.ReadAll(state.Network)) });
    }
}
