using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Engine;
using LightTunnel.Engine.Client;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Server;
using LightTunnel.Internet.Fakes;
using LightTunnel.Management;
using LightTunnel.Membership;
using LightTunnel.Transport;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>A network's key that is changed, with the nodes' own state files, and with keys that people have written down.</summary>
public sealed class KeptNetworkKeyTests : IDisposable
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private readonly string _folder = Directory.CreateTempSubdirectory("lt-key").FullName;
    private readonly LocalEngine _engine = new(new TunnelEnvironment(
        TimeProvider.System, new InMemoryTunDeviceFactory(), new UdpTransportFactory(), new SystemNameResolver(),
        new SystemLocalAddresses()));

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>
    /// All are told at once; then all are started again, as they were started before: with the key, and with the invitation, that are
    /// worth nothing any more.
    /// </summary>
    [Fact]
    public async Task FormerKey_IsInNoState_AndWhoIsStartedWithItGoesOnWithTheNextOne()
    {
        string written = PresharedKey.Generate().Reveal();
        (ITunnelHandle server, int port) = await StartAsync(written);
        string line = await InviteAsync(server, port);
        ITunnelHandle member = await _engine.ConnectAsync(By("member", line), prepared: null, Cancellation);

        NetworkKeyReport report = await server.UpdateNetworkKeyAsync(new NetworkKeyRequest(TimeSpan.Zero, "root"), Cancellation);
        Assert.Equal(["member"], report.MembersFollowed);
        Assert.Empty(report.MembersWaiting);
        Assert.Single(report.InvitationsEnded);
        Assert.Null(report.GraceEnds);
        Assert.True(report.IsKeyConfigured);
        Assert.True((await server.GetMembersAsync(Cancellation))[0].HasNetworkKey);

        // What a service of it would be started with has the key of now.
        Assert.DoesNotContain(written, (await server.GetSettingsAsync(Cancellation)).Text, StringComparison.Ordinal);
        Assert.DoesNotContain(written, (await member.GetSettingsAsync(Cancellation)).Text, StringComparison.Ordinal);
        await member.StopAsync(Cancellation);
        await server.StopAsync(Cancellation);
        foreach (string name in new[] { "hub", "member" })
        {
            Assert.DoesNotContain(
                written, await File.ReadAllTextAsync(Path.Combine(_folder, name, StateStore.FileName), Cancellation),
                StringComparison.Ordinal);
        }

        (server, port) = await StartAsync(written, port);
        TunnelStatus status = await server.GetStatusAsync(Cancellation);
        Assert.Contains("was changed since", status.LastError, StringComparison.Ordinal);
        Assert.Contains("networkKey", status.LastError, StringComparison.Ordinal);
        Assert.Contains(await server.ReadAuditAsync(0, int.MaxValue, Cancellation), entry => entry.Action == AuditAction.NetworkKeyChanged);
        member = await _engine.ConnectAsync(By("member", line), prepared: null, Cancellation);
        await member.StopAsync(Cancellation);
        member = await _engine.ConnectAsync(
            new ClientSettings
            {
                Name = "member", Server = [$"127.0.0.1:{port}"], ServerKey = status.PublicKey, NetworkKey = new Secret(written),
                StatePath = Path.Combine(_folder, "member"),
            },
            prepared: null, Cancellation);
        Assert.Contains(
            await member.ReadLogAsync(0, LogLevel.Warning, int.MaxValue, Cancellation),
            entry => entry.Message.Contains("was changed since", StringComparison.Ordinal));
        await member.StopAsync(Cancellation);

        LightTunnelException outsider = await Assert.ThrowsAsync<LightTunnelException>(
            () => _engine.ConnectAsync(By("outsider", line), prepared: null, Cancellation));
        Assert.Equal(LightTunnelError.InvalidKey, outsider.Error);
        ITunnelHandle invited = await _engine.ConnectAsync(By("invited", await InviteAsync(server, port)), prepared: null, Cancellation);
        await invited.StopAsync(Cancellation);
        await server.StopAsync(Cancellation);
    }

    /// <summary>A key that nobody knows is meant: it is the network's from then on, and invitations of before end.</summary>
    [Fact]
    public async Task UnknownKey_ThatTheServerIsStartedWith_IsTheNetworks()
    {
        (ITunnelHandle server, int port) = await StartAsync(PresharedKey.Generate().Reveal());
        await InviteAsync(server, port);
        await server.StopAsync(Cancellation);
        string other = PresharedKey.Generate().Reveal();
        (server, _) = await StartAsync(other);
        Assert.Contains(
            await server.ReadLogAsync(0, LogLevel.Warning, int.MaxValue, Cancellation),
            entry => entry.Message.Contains("Update-LtNetworkKey", StringComparison.Ordinal));
        await LocalLan.UntilAsync(async () =>
            (await server.GetInvitationsAsync(Cancellation)).All(invitation => invitation.State == InvitationState.Removed));
        await server.StopAsync(Cancellation);

        using StateStore store = StateStore.Open(Path.Combine(_folder, "hub"));
        using NodeState state = store.Load(TunnelRole.Server)!;
        Assert.Equal(other, Convert.ToBase64String(state.NetworkKeys!.Key));
        Assert.Empty(state.NetworkKeys.Former);
    }

    [Fact]
    public async Task Client_ChangesNoKey()
    {
        (ITunnelHandle server, int port) = await StartAsync(null);
        ITunnelHandle client = await _engine.ConnectAsync(By("client", await InviteAsync(server, port)), prepared: null, Cancellation);
        LightTunnelException refusal = await Assert.ThrowsAsync<LightTunnelException>(
            () => client.UpdateNetworkKeyAsync(new NetworkKeyRequest(TimeSpan.Zero, "root"), Cancellation));
        Assert.Equal(LightTunnelError.InvalidOption, refusal.Error);
        LightTunnelException wrong = await Assert.ThrowsAsync<LightTunnelException>(
            () => server.UpdateNetworkKeyAsync(new NetworkKeyRequest(TimeSpan.FromTicks(30), "root"), Cancellation));
        Assert.Contains("30.00:00", wrong.RecommendedAction, StringComparison.Ordinal);
        await client.StopAsync(Cancellation);
        await server.StopAsync(Cancellation);
    }

    private static async Task<string> InviteAsync(ITunnelHandle server, int port) =>
        (await server.CreateInvitationAsync(new InvitationRequest([$"127.0.0.1:{port}"]), Cancellation)).Text;

    private ClientSettings By(string name, string invitation) => new()
    {
        Name = name, Invitation = new Secret(invitation), StatePath = Path.Combine(_folder, name),
    };

    private async Task<(ITunnelHandle Server, int Port)> StartAsync(string? networkKey, int port = 0)
    {
        ITunnelHandle server = await _engine.StartServerAsync(
            new ServerSettings
            {
                Name = "changing-hub", Address = ["10.79.0.1/24"], ListenPort = port,
                NetworkKey = networkKey is null ? null : new Secret(networkKey), StatePath = Path.Combine(_folder, "hub"),
            },
            prepared: null, Cancellation);
        return (server, (await server.GetStatusAsync(Cancellation)).ListenPort);
    }
}
