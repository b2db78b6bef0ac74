using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Management;
using LightTunnel.Membership;
using LightTunnel.Tests.Management;

namespace LightTunnel.Tests.PowerShellModule;

/// <summary>
/// An engine for the commands' own tests, put into the process that hosts PowerShell: the name of the tunnel says how starting ends.
/// "fail-(LightTunnelError)", "crash", "unreachable" (gives its reason when time is over), "hang" (gives none), "deaf" (ignores
/// cancellation); "late" has its interface after four seconds; "talks" logs something for two seconds and stops;
/// any other name starts a <see cref="FakeTunnel"/>.
/// </summary>
internal sealed class FakeEngine : ITunnelEngine
{
    private FakeEngine()
    {
    }

    /// <summary>What was asked for last, secrets included, one setting per line.</summary>
    public static string LastSettings { get; private set; } = string.Empty;

    /// <summary>Called from scripts, by reflection.</summary>
    public static void Install()
    {
        LastSettings = string.Empty;
        TunnelCatalog.Engine = new FakeEngine();
    }

    public Task<ITunnelHandle> StartServerAsync(ServerSettings settings, Action? prepared, CancellationToken cancellationToken)
    {
        Remember(
            settings, ("Address", settings.Address), ("Endpoint", settings.Endpoint), ("ObserverPort", settings.ObserverPort),
            ("MaxClients", settings.MaxClients), ("ClientIsolation", settings.ClientIsolation), ("AllowKeyOnly", settings.AllowKeyOnly),
            ("RequireApproval", settings.RequireApproval), ("AutoApproveRoute", settings.AutoApproveRoute),
            ("MemberExpiry", settings.MemberExpiry),
            ("RequireSignedMembers", settings.RequireSignedMembers), ("SigningKey", settings.SigningKey));
        return StartAsync(settings, TunnelRole.Server, prepared, cancellationToken);
    }

    public Task<ITunnelHandle> ConnectAsync(ClientSettings settings, Action? prepared, CancellationToken cancellationToken)
    {
        Remember(
            settings, ("Invitation", settings.Invitation?.Reveal()), ("Server", settings.Server), ("ServerKey", settings.ServerKey),
            ("Address", settings.Address),
            ("AcceptPrefix", settings.AcceptPrefix), ("AdvertiseEndpoint", settings.AdvertiseEndpoint), ("AllowRelay", settings.AllowRelay),
            ("PathPolicy", settings.PathPolicy), ("PortMapping", settings.PortMapping),
            ("RequireSignedMembers", settings.RequireSignedMembers), ("SigningKey", settings.SigningKey));
        return StartAsync(settings, TunnelRole.Client, prepared, cancellationToken);
    }

    public ServerSettings ReadServerSettings(string path) => ConfigurationFile.LoadServer(path);

    public ClientSettings ReadClientSettings(string path) => ConfigurationFile.LoadClient(path);

    public IReadOnlyList<ConfigurationProblem> CheckConfiguration(string path) => ConfigurationFile.Check(path);

    private static async Task<ITunnelHandle> StartAsync(
        TunnelSettings settings, TunnelRole role, Action? prepared, CancellationToken cancellationToken)
    {
        string name = settings.Name ?? "unnamed";
        if (name == "late")
            await Task.Delay(TimeSpan.FromSeconds(4), TimeProvider.System, cancellationToken);
        prepared?.Invoke();
        switch (name)
        {
            case "crash":
                throw new InvalidDataException("an exception nobody thought of");
            case "unreachable":
                try
                {
                    await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
                }
                catch (OperationCanceledException exception)
                {
                    var reason = new LightTunnelException(
                        LightTunnelError.ServerUnreachable, "vpn.example.org:9000 does not answer.", "See that it runs.");
                    throw new OperationCanceledException(exception.Message, reason, cancellationToken);
                }

                break;
            case "hang":
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
                break;
            case "deaf":
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, CancellationToken.None);
                break;
            case string when name.StartsWith("fail-", StringComparison.Ordinal):
                LightTunnelError error = Enum.Parse<LightTunnelError>(name[5..]);
                throw new LightTunnelException(error, $"It is {error}.", $"Mend {error}.") { Target = "the culprit" };
        }

        var tunnel = new FakeTunnel(name, role) { OnStop = TunnelCatalog.Unregister, Settings = settings };
        tunnel.Log(LogLevel.Information, $"{name} is up");
        TunnelCatalog.Register(tunnel);
        if (name == "talks")
            _ = TalkAsync(tunnel);
        return tunnel;
    }

    private static async Task TalkAsync(FakeTunnel tunnel)
    {
        // Only what is logged after -Wait has begun to listen is told: so some of it comes late enough on any machine.
        for (int i = 0; i < 100; i++)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, CancellationToken.None);
            tunnel.Log(LogLevel.Warning, "something happened");
        }

        await tunnel.StopAsync(CancellationToken.None);
    }

    private static void Remember(TunnelSettings settings, params (string Name, object? Value)[] more)
    {
        (string, object?)[] common =
        [
            ("Name", settings.Name), ("ListenPort", settings.ListenPort), ("Mtu", settings.Mtu), ("Cipher", settings.Cipher),
            ("InterfaceName", settings.InterfaceName),
            ("NetworkCategory", settings.NetworkCategory), ("AllowInbound", settings.AllowInbound),
            ("Route", settings.Route), ("As", settings.As), ("NoSnat", settings.NoSnat), ("AcceptRoute", settings.AcceptRoute),
            ("ForceRoute", settings.ForceRoute), ("OfferExitNode", settings.OfferExitNode), ("ExitNode", settings.ExitNode),
            ("AllowLan", settings.AllowLan), ("KillSwitch", settings.KillSwitch),
            ("StatePath", settings.StatePath), ("LogPath", settings.LogPath), ("LogLevel", settings.LogLevel),
            ("NetworkKey", settings.NetworkKey?.Reveal()),
        ];
        LastSettings = string.Join('\n', common.Concat(more).Where(setting => setting.Item2 is not null)
            .Select(setting => $"{setting.Item1}={(setting.Item2 is IEnumerable<string> list ? string.Join(',', list) : setting.Item2)}"));
    }
}
