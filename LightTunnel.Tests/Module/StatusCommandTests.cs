using System.Runtime.Versioning;
using System.Text.Json;
using LightTunnel.Engine.Control;
using LightTunnel.Membership;
using LightTunnel.Tests.Management;
using Xunit;

namespace LightTunnel.Tests.PowerShellModule;

[SupportedOSPlatform("linux")]
public sealed class StatusCommandTests(PlainShell shared) : IClassFixture<PlainShell>
{
    [Fact]
    public async Task GetLtStatus_IsOneScreen()
    {
        ModuleShell shell = await ServeAsync(FakeTunnel.SampleMember(), FakeTunnel.SampleServer());

        string[] lines = (await shell.ShowAsync("Get-LtStatus")).Split('\n');

        Assert.Matches("^LightTunnel [0-9.]+ on ", lines[0]);
        Assert.Equal(
            """
            Network home: Up, started 2 h ago
              Address      10.0.0.2/24 on lt0, UDP port 9000
              Server       office at 203.0.113.7:9000, 12 ms
              NAT          Port-Restricted Cone, seen as 198.51.100.4:40000
              Members      2 of 2 online: 1 direct, 1 relayed
              Traffic      5.0 MB received, 1.2 kB sent, 1.2 MB passed on
              Relayed      nas: Nothing was tried yet.
            Server office: Up, started 2 h ago
              Address      10.0.0.1/24 on lt0, UDP port 9000
              Invites to   vpn.example.org:9000
              Members      2 of 3 online: 1 direct, 1 relayed
              Traffic      5.0 MB received, 1.2 kB sent, 1.2 MB passed on
              Relayed      nas: Nothing was tried yet.
            """,
            string.Join('\n', lines[1..]));
        Assert.All(lines, line => Assert.InRange(line.Length, 0, 80));
    }

    [Fact]
    public async Task GetLtStatus_ServerLost_SaysWhy_AndNoTunnelIsNoError()
    {
        ModuleShell shell = await ServeAsync(
            new FakeTunnel("home", TunnelRole.Client)
            {
                State = TunnelState.Reconnecting,
                LastError = "203.0.113.7:9000 does not answer.",
            });

        string screen = await shell.ShowAsync("Get-LtStatus");
        Assert.Contains("Network home: Reconnecting", screen, StringComparison.Ordinal);
        Assert.Contains("  Problem      203.0.113.7:9000 does not answer.", screen, StringComparison.Ordinal);

        shell.Serve();
        Assert.Contains(
            "No tunnel runs. Connect-LtNetwork joins a network", await shell.ShowAsync("Get-LtStatus"), StringComparison.Ordinal);
        Assert.Equal("NotFound,LightTunnel.GetLtStatusCommand", (await shell.FailAsync("$null = Get-LtStatus nowhere")).ErrorId);
    }

    /// <summary>What programs rely on: a member that goes, or is another thing, needs another schema.</summary>
    [Fact]
    public async Task AsJson_HasTheMembersOfSchema1()
    {
        ModuleShell shell = await ServeAsync(FakeTunnel.SampleServer(), FakeTunnel.SampleMember());

        using var json = JsonDocument.Parse((await shell.RunAsync("Get-LtStatus -AsJson")).Single().ToString());

        Assert.Equal(1, json.RootElement.GetProperty("schema").GetInt32());
        Assert.Equal(["schema", "computer", "version", "time", "tunnels"], Members(json.RootElement));
        JsonElement client = json.RootElement.GetProperty("tunnels").EnumerateArray()
            .Single(tunnel => tunnel.GetProperty("role").GetString() == "client");
        JsonElement server = json.RootElement.GetProperty("tunnels").EnumerateArray()
            .Single(tunnel => tunnel.GetProperty("role").GetString() == "server");
        string[] both = ["name", "role", "state", "lastError", "addresses", "interface", "mtu", "listenPort", "processId", "started",
            "publicKey"];
        string[] counted = ["rxBytes", "txBytes", "relayedBytes", "peers"];
        Assert.Equal([.. both, "server", "publicEndpoint", "natType", "reconnects", .. counted], Members(client));
        Assert.Equal([.. both, "endpoints", .. counted], Members(server));
        Assert.Equal(
            ("Up", "198.51.100.4:40000"), (client.GetProperty("state").GetString(), client.GetProperty("publicEndpoint").GetString()));
        JsonElement phone = server.GetProperty("peers")[2];
        Assert.Equal(
            ["name", "isServer", "addresses", "path", "reason", "endpoint", "rttMilliseconds", "loss", "quality", "rxBytes", "txBytes",
                "seen", "publicKey"], Members(phone));
        Assert.Equal(("10.0.0.22", "Offline"), (phone.GetProperty("addresses")[0].GetString(), phone.GetProperty("path").GetString()));
        Assert.All(
            ["endpoint", "rttMilliseconds", "quality", "seen"],
            member => Assert.Equal(JsonValueKind.Null, phone.GetProperty(member).ValueKind));
    }

    private static IEnumerable<string> Members(JsonElement element) => element.EnumerateObject().Select(member => member.Name);

    private async Task<ModuleShell> ServeAsync(params FakeTunnel[] tunnels)
    {
        await shared.Shell.ResetAsync();
        shared.Shell.Serve(tunnels);
        return shared.Shell;
    }
}
