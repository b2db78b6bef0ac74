using System.Reflection;
using System.Runtime.Versioning;
using LightTunnel.Diagnostics;
using LightTunnel.Lab.Shells;
using LightTunnel.Management;
using LightTunnel.Tests.Management;
using Xunit;

namespace LightTunnel.Tests.PowerShellModule;

/// <summary>What files and other programs get of the module's objects: JSON and CSV.</summary>
[SupportedOSPlatform("linux")]
public sealed class ObjectTextTests(PlainShell shared) : IClassFixture<PlainShell>
{
    /// <summary>One command for each type of object.</summary>
    private const string Everything =
        "Get-LtServer; Get-LtNetwork; Get-LtPeer; Get-LtRoute; Test-LtP2P nas -Network home; Test-LtNetwork; New-LtInvitation; "
            + "New-LtNetworkKey; Get-LtLog";

    [Fact]
    public void Properties_AreOfTypesThatHaveAText()
    {
        Type[] types = [.. OutputTypes()];
        string[] others =
        [
            .. types.SelectMany(type => type.GetProperties(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly))
                .Where(property => !HasText(property.PropertyType))
                .Select(property => $"{property.DeclaringType!.Name}.{property.Name}: {property.PropertyType}"),
        ];

        Assert.Superset(
            new HashSet<Type> { typeof(LtServer), typeof(LtPeer), typeof(LtP2PCandidate), typeof(LtRouteChange) }, types.ToHashSet());
        Assert.Empty(others);
    }

    [Fact]
    public async Task List_IsUsedAsAnArrayIs()
    {
        await shared.Shell.ResetAsync();
        shared.Shell.Serve(FakeTunnel.SampleServer());

        ShellResult used = await shared.Shell.RunAsync("""
            $list = (Get-LtPeer laptop).Addresses
            $list.Count, $list.Length, $list[0], ($list -contains '10.0.0.21'), "$list"
            & { param([string[]] $Address) $Address.Count } $list
            """);

        Assert.Equal(["1", "1", "10.0.0.21", "True", "10.0.0.21", "1"], used.Output.Select(item => item.ToString()));
        Assert.Equal("a, b", new LtList<string>(["a", "b"]).ToString());
    }

    /// <summary>In the real PowerShell: the stand-in has no ConvertTo-Json.</summary>
    [Fact]
    public async Task JsonAndCsv_HaveWhatPeopleRead()
    {
        await shared.Shell.ResetAsync();
        FakeTunnel server = FakeTunnel.SampleServer();
        server.Log(LogLevel.Information, "Routing stats: 1 peers, 1 direct, 0 relay, 0 server");
        shared.Shell.Serve(server, FakeTunnel.SampleMember());

        await using RealShellProcess shell = RealShell.Start(
            $$"""
            Set-Location '{{shared.Shell.Folder}}'
            $WarningPreference = 'SilentlyContinue'
            $all = @({{Everything}})
            "kinds: $($all | ForEach-Object { $_.GetType().Name } | Sort-Object -Unique)"
            $all | ForEach-Object { $_ | ConvertTo-Json -EnumsAsStrings -Depth 4 } |
                Where-Object { $_ -cmatch 'System\.|LightTunnel\.|AddressFamily|"Length":(?! 44\b)' } | ForEach-Object { "bad: $_" }
            $all | ForEach-Object { ($_ | ConvertTo-Csv)[1] } |
                Where-Object { $_ -cmatch 'System\.|LightTunnel\.|\[\]' } | ForEach-Object { "bad: $_" }
            $peer = Get-LtPeer nas -Network office | ConvertTo-Json -EnumsAsStrings | ConvertFrom-Json
            $addresses = "$($peer.Address), $($peer.Addresses.Count), $($peer.Addresses[0])"
            "peer: $addresses, $($peer.Endpoint), $($peer.Path), $($peer.RTT.TotalMilliseconds), $($peer.Routes[0])"
            $network = Get-LtNetwork | ConvertTo-Json -EnumsAsStrings | ConvertFrom-Json
            "network: $($network.State), $($network.Addresses[0]), $($network.PublicEndpoint), $($network.Dropped.NoRoute)"
            $route = Get-LtRoute 10.0.0.20 | ConvertTo-Json -EnumsAsStrings | ConvertFrom-Json
            "route: $($route.NextHop), $($route.Type)"
            Get-LtPeer -Network office | Export-Csv peers.csv
            Get-LtServer | Export-Csv servers.csv
            Test-LtP2P nas -Network home | Export-Csv tests.csv
            $peer = Import-Csv peers.csv | Where-Object Name -eq laptop
            "csv peer: $($peer.Address), $($peer.Addresses), $($peer.Path), $($peer.Routes)"
            $server = Import-Csv servers.csv
            "csv server: $($server.Addresses), $($server.Dropped), $($server.Endpoints)"
            "csv test: $((Import-Csv tests.csv).Candidates)"
            """,
            environment: new Dictionary<string, string>
            {
                [UnixControlTransport.FolderVariable] = Path.Combine(shared.Shell.Folder, "run"),
            });
        RealShellResult result = await shell.EndAsync(TimeSpan.FromMinutes(5));

        Assert.Equal((0, string.Empty), (result.ExitCode, result.Errors));
        string[] lines = result.Output.TrimEnd().Split(Environment.NewLine);
        Assert.Equal(
            [
                "kinds: LtInvitation LtLogEntry LtNetwork LtNetworkKey LtNetworkTest LtP2PResult LtPeer LtRoute LtServer",
                "peer: 10.0.0.20, 1, 10.0.0.20, [2001:db8::7]:9000, Server, 31.4, 10.0.0.20/32",
                "network: Up, 10.0.0.2/24, 198.51.100.4:40000, 3",
                "route: 10.0.0.1, Server",
                "csv peer: 10.0.0.21, 10.0.0.21, Direct, 10.0.0.21/32",
                "csv server: 10.0.0.1/24, NoRoute 3, vpn.example.org:9000",
            ],
            lines[..^1]);
        Assert.Matches("^csv test: .*: answered in 1.2 ms, .*: no answer to 7 probes", lines[^1]);
    }

    private static IEnumerable<Type> OutputTypes()
    {
        Type?[] all;
        try
        {
            all = typeof(LtPeer).Assembly.GetTypes();
        }
        catch (ReflectionTypeLoadException exception)
        {
            // Commands cannot be loaded without PowerShell.
            all = exception.Types;
        }

        return all.OfType<Type>().Where(type => type.IsPublic && type.Name.StartsWith("Lt", StringComparison.Ordinal)
            && type != typeof(LtList<>) && type != typeof(LtCounters) && !type.IsAssignableTo(typeof(EventArgs)));
    }

    private static bool HasText(Type type)
    {
        Type plain = Nullable.GetUnderlyingType(type) ?? type;
        return plain.IsPrimitive || plain.IsEnum || plain == typeof(string) || plain == typeof(TimeSpan) || plain == typeof(DateTimeOffset)
            || plain == typeof(LtCounters)
            || (plain.IsGenericType && plain.GetGenericTypeDefinition() == typeof(LtList<>))
            || (plain.Namespace == "LightTunnel" && plain.GetMethod(nameof(ToString), Type.EmptyTypes)!.DeclaringType == plain);
    }
}
