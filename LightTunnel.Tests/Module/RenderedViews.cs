using System.Net;
using System.Runtime.Versioning;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Lab.Shells;
using LightTunnel.Management;
using LightTunnel.Routing;
using LightTunnel.Tests.Management;
using Xunit;

namespace LightTunnel.Tests.PowerShellModule;

/// <summary>
/// Objects of each kind in each of their forms, as a pwsh of its own puts them on the screen: a console's formatting, no host of ours
/// between. All in one run, before the first test of a class.
/// </summary>
[SupportedOSPlatform("linux")]
public sealed class RenderedViews : IAsyncLifetime
{
    /// <summary>An invitation of the network "office" that has ended: its content is what is shown.</summary>
    private static readonly string Invitation = InvitationContentTests.Make(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000));

    private static readonly string[] Forms = ["Format-Table", "Format-List"];

    /// <summary>As Get-LtService puts it out where systemd is.</summary>
    private const string Service =
        "[LightTunnel.LtService].GetConstructors('NonPublic, Instance').Where({ $_.GetParameters().Count -gt 3 })[0].Invoke(@("
            + "'office', [LightTunnel.LtTunnelRole]'Server', [LightTunnel.LtServiceState]'Running', $true, [version]'0.2.0', "
            + "[version]'0.1.0', (Get-LtServer office).psobject.BaseObject, 'lighttunnel-office', '/etc/lighttunnel/office.yaml', "
            + "'The port 9000 is in use by another program.', 4711))";

    /// <summary>As New-LtSigningKey puts it out, which makes another one each time.</summary>
    private const string SigningKey =
        "[LightTunnel.LtSigningKey].GetConstructors('NonPublic, Instance')[0].Invoke(@("
            + "'/root/admin.key', 'mKOqHxc0ggLcS6w1oAwLhvk2mHbNJQx0hJl5SPhKZjg='))";

    private Dictionary<string, string> _texts = [];

    /// <summary>What is shown, by the name of its file, and the command that puts it out. The last ends when the tunnels do.</summary>
    internal static IReadOnlyList<(string Name, string Command)> All { get; } =
    [
        ("LtServer", "Get-LtServer"),
        ("LtNetwork", "Get-LtNetwork"),
        ("LtPeer", "Get-LtPeer -Network office"),
        ("LtPeer.Networks", "Get-LtPeer nas, laptop"),
        ("LtMember", "Get-LtMember"),
        ("LtMember.Networks", "Get-LtMember | ForEach-Object { $_.psobject.TypeNames.Insert(0, 'LightTunnel.LtMember#Network'); $_ }"),
        ("LtRoute", "Get-LtServer office | Get-LtRoute"),
        ("LtRoute.Networks", "Get-LtPeer -Network office | Get-LtRoute -Network office, home"),
        ("LtP2PResult", "Test-LtP2P nas -Network home"),
        ("LtP2PResult.Networks", "Test-LtP2P laptop"),
        ("LtP2PCandidate", "(Test-LtP2P laptop -Network office).Candidates"),
        ("LtNetworkTest", "Test-LtNetwork"),
        ("LtNetworkProblem", "(Test-LtNetwork).Problems"),
        ("LtInvitation", "New-LtInvitation -Expires 2100-01-01T12:00Z"),
        ("LtWireGuardClient", "New-LtWireGuardClient phone"),
        ("LtInvitationRecord", "Get-LtInvitation"),
        ("LtInvitationContent", $"ConvertFrom-LtInvitation {RealPowerShell.Quote(Invitation)}"),
        ("LtNetworkKey", "New-LtNetworkKey"),
        ("LtSigningKey", SigningKey),
        ("LtNetworkKeyChange", "Update-LtNetworkKey -Confirm:$false -WarningAction Ignore"),
        ("LtLogEntry", "Get-LtLog office | ForEach-Object { $_ }"),
        ("LtLogEntry.Networks", "Get-LtLog"),
        ("LtAuditEntry", "Get-LtLog office -Category Audit | ForEach-Object { $_ }"),
        ("LtAuditEntry.Networks", "Get-LtLog -Category Audit"),
        ("LtConfigurationProblem", "Test-LtConfiguration bad.yaml"),
        ("LtRule", "Get-LtRule -Network office"),
        ("LtRule.Networks", "Get-LtRule"),
        ("LtRuleTest", "Test-LtRule laptop server -Port 22"),
        ("LtService", Service),
        ("LtRouteChange", "Watch-LtRoute -Network home -ChangesOnly | Select-Object -First 3"),
        ("LtRouteChange.Networks", "Watch-LtRoute -ChangesOnly"),
    ];

    /// <summary>What pwsh showed.</summary>
    internal string this[string name] => _texts[name];

    public async ValueTask InitializeAsync()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("lt-views");
        try
        {
            _texts = await RenderAsync(folder.FullName);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static async Task<Dictionary<string, string>> RenderAsync(string folder)
    {
        CancellationToken token = TestContext.Current.CancellationToken;
        await File.WriteAllTextAsync(
            Path.Combine(folder, "bad.yaml"), "role: server\naddress: 10.0.0.1/24\nlistenPrt: 9000\nmtu: 100\n", token);
        (FakeTunnel server, FakeTunnel member) = (FakeTunnel.SampleServer(), FakeTunnel.SampleMember());
        server.Invitations = FakeTunnel.SampleInvitations;
        server.Rules = FakeTunnel.SampleRules;
        member.Rules = [FakeTunnel.SampleRules[0] with { Tunnel = "home", Name = string.Empty, From = ["10.0.0.20"] }];
        server.Log(LogLevel.Information, "Routing stats: 1 peers, 1 direct, 0 relay, 0 server");
        server.Log(LogLevel.Warning, "  Peer 10.0.0.20: route=P2P-DIRECT quality=150 status=connected-local throughServer=false");
        server.Audit(
            AuditAction.InvitationCreated, "root (sudo of anna)", "1f2e3d4c", "The invitation 1f2e3d4c was made by root (sudo of anna)");
        server.Audit(AuditAction.Joined, null, "laptop", "laptop (10.0.0.21) became a member by the invitation 1f2e3d4c");
        server.Audit(AuditAction.Blocked, "root", "laptop", "laptop (10.0.0.21) was blocked on this machine by root");
        member.Log(LogLevel.Warning, "The path is gone");
        string runtimeFolder = Path.Combine(folder, "run");
        using var sockets = ControlSocketServer.Start(
            new UnixControlTransport(runtimeFolder, UnixControlTransport.CurrentNamespace()),
            () => [.. new[] { server, member }.Where(tunnel => !tunnel.IsStopped)]);

        await using RealShellProcess shell = RealShell.Start(
            Script(folder), environment: new Dictionary<string, string>
            {
                [UnixControlTransport.FolderVariable] = runtimeFolder,
                ["TZ"] = "UTC",
            });
        await shell.WaitForOutputAsync("LtRouteChange");
        await member.WatchedAsync(token);
        ChangeRoutes(member);
        await shell.WaitForOutputAsync("LtRouteChange.Networks");
        await server.WatchedAsync(token);
        ChangeRoutes(server);
        await server.StopAsync(token);
        await member.StopAsync(token);
        RealShellResult result = await shell.EndAsync();
        Assert.True(result is { ExitCode: 0, Errors: "" }, $"{result}");
        return All.ToDictionary(
            view => view.Name,
            view => File.ReadAllText(Path.Combine(folder, view.Name + ".txt")).Replace(folder, "/folder", StringComparison.Ordinal));
    }

    private static void ChangeRoutes(FakeTunnel tunnel)
    {
        var byServer = new RoutePath(PathType.Server, IPEndPoint.Parse("203.0.113.7:9000"), PathReason.BothNatsRandom);
        var direct = new RoutePath(PathType.Direct, IPEndPoint.Parse("192.0.2.7:9000"), PathReason.DirectUp);
        tunnel.Change("nas", "10.0.0.20/32", null, byServer);
        tunnel.Change("nas", "10.0.0.20/32", byServer, direct);
        tunnel.Change("workstation", "192.168.100.200/32", direct, null);
    }

    private static string Script(string folder)
    {
        string inAllForms = string.Join("; ", Forms.SelectMany(form => (int[])[80, 120], (form, width) =>
            $"'PS> ... | {form} | Out-String -Width {width}'; $objects | {form} | Out-String -Width {width}"));
        IEnumerable<string> renderings = All.Select(view => $$"""
            '{{view.Name}}'
            $objects = {{view.Command}}
            @({{inAllForms}}) | Set-Content {{view.Name}}.txt
            """);
        return $"[cultureinfo]::CurrentCulture = [cultureinfo]::InvariantCulture; Set-Location {RealPowerShell.Quote(folder)}\n"
            + $"{string.Join('\n', renderings)}";
    }
}
