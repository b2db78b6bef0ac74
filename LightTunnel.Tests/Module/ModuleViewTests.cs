using System.Net;
using System.Runtime.Versioning;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Lab;
using LightTunnel.Routing;
using LightTunnel.Tests.Management;
using Xunit;

namespace LightTunnel.Tests.PowerShellModule;

/// <summary>What a console of 80 columns shows when nobody asks for a form; <see cref="RenderedViewTests"/> has all forms.</summary>
[SupportedOSPlatform("linux")]
public sealed class ModuleViewTests(PlainShell shared) : IClassFixture<PlainShell>
{
    [Fact]
    public Task Server() => ShowsAsync("Get-LtServer", """
        Name             State        Address            Listen Peers  Relayed  Uptime
        ----             -----        -------            ------ -----  -------  ------
        office           Up           10.0.0.1/24          9000     2   1.2 MB     2 h
        """);

    [Fact]
    public Task Network() => ShowsAsync("Get-LtNetwork", """
        Name         State        Address            Server                Peers Uptime
        ----         -----        -------            ------                ----- ------
        home         Up           10.0.0.2/24        203.0.113.7:9000        1/2    2 h
        """);

    [Fact]
    public Task Peers() => ShowsAsync("Get-LtPeer -Network office", """
        Name                  Address         Path        RTT       Rx       Tx   Seen
        ----                  -------         ----        ---       --       --   ----
        nas                   10.0.0.20       Server    31 ms   2.0 GB  15.1 MB    5 h
        laptop                10.0.0.21       Direct   1.2 ms   1.2 MB    999 B    2 h
        phone                 10.0.0.22       Offline       -      0 B      0 B  never
        """);

    [Fact]
    public Task Routes() => ShowsAsync("Get-LtServer office | Get-LtRoute", """
        Destination        Type    NextHop         Peer            RTT Quality State
        -----------        ----    -------         ----            --- ------- -----
        10.0.0.20/32       Server  10.0.0.1        nas           31 ms      55 Up
        10.0.0.21/32       Direct  10.0.0.21       laptop       1.2 ms     120 Up
        10.0.0.22/32       Offline                 phone             -       - Offline
        192.168.7.0/24     Relay   10.0.0.21       nas               -       0 Unproven
        """);

    [Theory]
    [InlineData("Get-LtPeer", """
        Network   Name         Address         Path        RTT       Rx       Tx   Seen
        -------   ----         -------         ----        ---       --       --   ----
        office    nas          10.0.0.20       Server    31 ms   2.0 GB  15.1 MB    5 h
        office    laptop       10.0.0.21       Direct   1.2 ms   1.2 MB    999 B    2 h
        office    phone        10.0.0.22       Offline       -      0 B      0 B  never
        home      office       10.0.0.1        Direct    12 ms      0 B      0 B    2 h
        home      nas          10.0.0.20       Server    31 ms      0 B      0 B    2 h
        home      laptop       10.0.0.21       Direct   1.2 ms      0 B      0 B    2 h
        """)]
    [InlineData("Get-LtPeer -Network office | Get-LtRoute -Network office, home", """
        Network    Destination      Type    NextHop       Peer        RTT Qual State
        -------    -----------      ----    -------       ----        --- ---- -----
        office     10.0.0.20/32     Server  10.0.0.1      nas       31 ms   55 Up
        office     10.0.0.21/32     Direct  10.0.0.21     laptop   1.2 ms  120 Up
        office     10.0.0.22/32     Offline               phone         -    - Offline
        """)]
    [InlineData("Get-LtServer | Get-LtPeer phone", """
        Name                  Address         Path        RTT       Rx       Tx   Seen
        ----                  -------         ----        ---       --       --   ----
        phone                 10.0.0.22       Offline       -      0 B      0 B  never
        """)]
    [InlineData("Get-LtPeer nas | Test-LtP2P | ForEach-Object { \"$($_.Network) $($_.PSTypeNames[0])\" }", """
        office LightTunnel.LtP2PResult#Network
        home LightTunnel.LtP2PResult#Network
        """)]
    [InlineData("Get-LtLog", """
        Time         Network   Level       Message
        ----         -------   -----       -------
        10:00:00.120 office    Information Routing stats: 1 peers, 1 direct, 0 relay,
                                           0 server
        10:00:00.120 home      Warning     The path is gone
        """)]
    [InlineData("Watch-LtRoute 10.0.0.20", """
        Time         Network   Destination      Peer     Was     Path    Reason
        ----         -------   -----------      ----     ---     ----    ------
        10:00:00.120 office    10.0.0.20/32     nas              Direct  DirectUp
        """)]
    public async Task SeveralNetworks_AreToldApart(string script, string expected)
    {
        await shared.Shell.ResetAsync();
        (FakeTunnel server, FakeTunnel member) = (FakeTunnel.SampleServer(), FakeTunnel.SampleMember());
        server.Log(LogLevel.Information, "Routing stats: 1 peers, 1 direct, 0 relay, 0 server");
        member.Log(LogLevel.Warning, "The path is gone");
        shared.Shell.Serve(server, member);
        bool watches = script.StartsWith("Watch", StringComparison.Ordinal);

        Task<string> shown = shared.Shell.ShowAsync(watches ? script + " -ChangesOnly" : script);
        if (watches)
        {
            await server.WatchedAsync(TestContext.Current.CancellationToken);
            server.Change("nas", "10.0.0.20/32", null, new RoutePath(PathType.Direct, null, PathReason.DirectUp));
            await server.StopAsync(TestContext.Current.CancellationToken);
            await member.StopAsync(TestContext.Current.CancellationToken);
        }

        Assert.Equal(expected, await shown);
    }

    [Fact]
    public async Task SeveralNetworks_LeaveObjectsWhatTheyWere()
    {
        await shared.Shell.ResetAsync();
        shared.Shell.Serve(FakeTunnel.SampleServer(), FakeTunnel.SampleMember());

        string[] told = [.. (await shared.Shell.RunAsync("""
            $peer = @(Get-LtPeer nas)[0]
            $peer -is [LightTunnel.LtPeer]; @($peer.PSObject.Properties.Name).Count
            $peer.PSTypeNames -contains 'LightTunnel.LtPeer'; ($peer | Get-LtRoute).Destination
            """)).Output.Select(item => item.ToString())];

        Assert.Equal(
            ["True", typeof(LtPeer).GetProperties().Length.ToString(System.Globalization.CultureInfo.InvariantCulture), "True",
                "10.0.0.20/32"], told);
    }

    [Theory]
    [InlineData("Get-LtPeer", """
        Name                  Address         Path        RTT       Rx       Tx   Seen
        ----                  -------         ----        ---       --       --   ----
        a-name-longer-than-it fd00:1234:5678: Direct    12 ms      0 B      0 B    2 h
        s-column              9abc:def0:1234:
                              5678:9abc
        """)]
    [InlineData("Get-LtRoute", """
        Destination        Type    NextHop         Peer            RTT Quality State
        -----------        ----    -------         ----            --- ------- -----
        fd00:1234:5678:    Direct  fd00:1234:5678: a-name-longe  12 ms     115 Up
        9abc:def0:1234:            9abc:def0:1234: r-than-its-c
        5678:9abc/128              5678:9abc       olumn
        """)]
    public async Task LongAddress_IsWhole(string script, string expected)
    {
        await shared.Shell.ResetAsync();
        shared.Shell.Serve(FakeTunnel.Sample("office", "a-name-longer-than-its-column", "fd00:1234:5678:9abc:def0:1234:5678:9abc"));

        Assert.Equal(expected, await shared.Shell.ShowAsync(script));
    }

    [Fact]
    public async Task ObjectsOfTwoTypes_AreShownWithWhatMatters()
    {
        await shared.Shell.ResetAsync();
        shared.Shell.Serve(FakeTunnel.SampleServer());

        string[] lines = (await shared.Shell.ShowAsync("Get-LtServer; Get-LtPeer laptop; Get-LtRoute 10.0.0.21")).Split('\n');

        Assert.StartsWith("office           Up ", lines[2], StringComparison.Ordinal);
        Assert.Equal(
            [
                "Network", "Name", "Address", "Path", "RTT", "Rx", "Tx", "Seen",
                "Network", "Destination", "Type", "NextHop", "Peer", "RTT", "Quality", "State",
            ],
            lines[3..].Select(line => line.Split(':')[0].TrimEnd()));
    }

    [Fact]
    public async Task Status_BehindObjectsOfAnotherType_IsShort()
    {
        await shared.Shell.ResetAsync();
        shared.Shell.Serve(FakeTunnel.SampleServer());

        string[] lines = (await shared.Shell.ShowAsync("Get-LtServer; Get-LtStatus")).Split('\n');

        Assert.Equal(["Computer", "Version", "Time", "Tunnels", "Peers"], lines[3..].Select(line => line.Split(':')[0].TrimEnd()));
        Assert.EndsWith(": {nas, laptop, phone}", lines[^1], StringComparison.Ordinal);
    }

    [Fact]
    public void EveryTypeWithAView_SaysWhatMattersOfIt()
    {
        string[] told = [.. XDocument.Load(Path.Combine(Path.GetDirectoryName(LabPaths.ModuleManifest())!, "LightTunnel.Types.ps1xml"))
            .Descendants("Type").Where(type => type.Descendants("PropertySet").Any()).Select(type => type.Element("Name")!.Value)];

        Assert.Equal(Views().Select(TypeOf).Distinct().Order(StringComparer.Ordinal), told.Order(StringComparer.Ordinal));
    }

    [Fact]
    public Task PeerTest() => ShowsAsync("Test-LtP2P nas -Network home", """
        Peer              : nas (10.0.0.20)
        Network           : home
        Result            : Relayed
        P2P               : False
        Type              : Server
        Endpoint          : [2001:db8::7]:9000
        RTT min/avg/max   : 16 ms / 31 ms / 63 ms
        Loss              : 10 %
        ServerRTT         : 94 ms
        LocalNat          : Symmetric
        PeerNat           : Symmetric
        Candidates        : PeerReflexive [2001:db8::7]:9000: answered in 1.2 ms
                            ServerReflexive 198.51.100.4:40000: its probes arrive, 1
                            probe of ours not answered
                            Host 192.168.7.20:9000: no answer to 7 probes
        Reason            : Both NATs choose ports that cannot be predicted.
        RecommendedAction : Let one of the two routers forward a UDP port to its
                            machine, by UPnP or PCP, or by hand together with
                            Connect-LtNetwork -ListenPort and -AdvertiseEndpoint.
        """, FakeTunnel.SampleMember());

    [Fact]
    public Task Candidates() => ShowsAsync("(Test-LtP2P laptop -Network office).Candidates", """
        Kind            Endpoint              Result   Sent Answered     RTT InUse
        ----            --------              ------   ---- --------     --- -----
        PeerReflexive   [2001:db8::7]:9000    Answered    9        8  1.2 ms True
        ServerReflexive 198.51.100.4:40000    OneWay      1        0       - False
        Host            192.168.7.20:9000     NoAnswer    7        0       - False
        """);

    [Fact]
    public Task NetworkTest() => ShowsAsync("Test-LtNetwork", """
        Name                : home
        Server              : 203.0.113.7:9000
        ServerReachable     : True
        RTT min/avg/max     : 12 ms / 12 ms / 15 ms
        Loss                : 0 %
        Nat                 : Port-Restricted Cone
        NatMapping          : EndpointIndependent
        NatFiltering        : AddressAndPortDependent
        PortAssignment      : Preserving
        PublicEndpoint      : 198.51.100.4:40000
        PortMapping         : none: No router here forwards ports on request.
        IPv6Address         :
        ServerReachableIPv6 :
        Mtu                 : 1400
        LargestPacket       : 1352
        ClockOffset         : -0.3 s
        Problems            : Packets longer than 1352 bytes are lost, while the
                              tunnel's MTU is 1400. Join with Connect-LtNetwork -Mtu
                              1352.
        """, FakeTunnel.SampleMember());

    [Fact]
    public Task NetworkProblems() => ShowsAsync("(Test-LtNetwork).Problems", """
        Message                                RecommendedAction
        -------                                -----------------
        Packets longer than 1352 bytes are     Join with Connect-LtNetwork -Mtu 1352.
        lost, while the tunnel's MTU is 1400.
        """, FakeTunnel.SampleMember());

    [Fact]
    public Task Invitation() => ShowsAsync("New-LtInvitation", """
        Network          Endpoints                Expires          Text
        -------          ---------                -------          ----
        office           {vpn.example.org:9000}   never            (hidden: "$inv")
        """);

    [Fact]
    public Task NetworkKey() => ShowsAsync("New-LtNetworkKey", """
        Key
        ---
        (hidden: pass it to -NetworkKey, or use its text)
        """);

    [Fact]
    public Task Log() => ShowsAsync("Get-LtLog office | ForEach-Object { $_ }", """
        Time         Level       Message
        ----         -----       -------
        10:00:00.120 Information Routing stats: 1 peers, 1 direct, 0 relay, 0 server
        10:00:01.120 Warning       Peer 10.0.0.20: route=P2P-DIRECT quality=150
                                 status=connected-local throughServer=false
        """);

    [Fact]
    public async Task RouteChanges()
    {
        await shared.Shell.ResetAsync();
        FakeTunnel server = FakeTunnel.SampleServer();
        shared.Shell.Serve(server);
        var direct = new RoutePath(PathType.Direct, IPEndPoint.Parse("192.0.2.7:9000"), PathReason.DirectUp);
        var byServer = new RoutePath(PathType.Server, IPEndPoint.Parse("203.0.113.7:9000"), PathReason.BothNatsRandom);

        Task<string> shown = shared.Shell.ShowAsync("Watch-LtRoute -ChangesOnly");
        await server.WatchedAsync(TestContext.Current.CancellationToken);
        server.Change("nas", "10.0.0.20/32", null, byServer);
        server.Change("nas", "10.0.0.20/32", byServer, direct);
        server.Change("workstation", "192.168.100.200/32", direct, null);
        await server.StopAsync(TestContext.Current.CancellationToken);

        Assert.Equal("""
            Time         Destination        Peer      Was     Path       RTT Reason
            ----         -----------        ----      ---     ----       --- ------
            10:00:00.120 10.0.0.20/32       nas               Server   31 ms BothNatsRandom
            10:00:01.120 10.0.0.20/32       nas       Server  Direct   31 ms DirectUp
            10:00:02.120 192.168.100.200/32 workstati Direct  Offline      - PeerOffline
                                            on
            """, await shown);
    }

    [Fact]
    public void Views_NameOnlyPropertiesThatThereAre_AndEveryTypeHasBoth()
    {
        XElement[] views = Views();
        foreach (XElement view in views)
        {
            Type type = typeof(LtServer).Assembly.GetType(TypeOf(view), throwOnError: true)!;
            IEnumerable<string> used = view.Descendants("PropertyName").Select(name => name.Value)
                .Concat(view.Descendants("ScriptBlock")
                    .SelectMany(script => Regex.Matches(script.Value, @"\$_\.(\w+)").Select(match => match.Groups[1].Value)));
            Assert.All(used, name => Assert.True(type.GetProperty(name) is not null, $"{type.Name} has no {name}"));
        }

        string[] names = [.. views.Select(view => view.Element("Name")!.Value).Order(StringComparer.Ordinal)];
        string[] types = ["LtAuditEntry", "LtConfigurationProblem", "LtInvitation", "LtInvitationContent", "LtInvitationRecord",
            "LtLogEntry", "LtMember", "LtNetwork", "LtNetworkKey", "LtNetworkKeyChange", "LtNetworkProblem", "LtNetworkTest",
            "LtP2PCandidate", "LtP2PResult", "LtPeer", "LtRoute", "LtRouteChange", "LtRule", "LtRuleTest", "LtServer", "LtService",
            "LtSigningKey",
            "LtWireGuardClient"];
        string[] ofSeveral = ["LtAuditEntry", "LtLogEntry", "LtMember", "LtP2PResult", "LtPeer", "LtRoute", "LtRouteChange", "LtRule"];
        Assert.Equal(
            types.SelectMany(type => (string[])[type + ".List", type + ".Table"])
                .Concat(ofSeveral.Select(type => type + ".Networks"))
                .Append("LtStatus.Screen")
                .Order(StringComparer.Ordinal),
            names);
    }

    [Fact]
    public async Task Problems_AreGroupedByFile()
    {
        ModuleShell shell = shared.Shell;
        await File.WriteAllTextAsync(
            Path.Combine(shell.Folder, "bad.yaml"), "role: server\naddress: 10.0.0.1/24\nlistenPrt: 9000\n",
            TestContext.Current.CancellationToken);

        string[] lines = (await shell.ShowAsync("Test-LtConfiguration bad.yaml")).Split('\n');

        Assert.Contains(lines, line => line.StartsWith("   Path: ", StringComparison.Ordinal));
        Assert.Contains("Line Column Severity Key               Message", lines);
        Assert.Contains(lines, line => line.StartsWith("   3      1 Error    listenPrt        ", StringComparison.Ordinal));
        Assert.All(lines, line => Assert.InRange(line.Length, 0, 80));
    }

    internal static XElement[] Views() =>
    [
        .. Directory.EnumerateFiles(Path.GetDirectoryName(LabPaths.ModuleManifest())!, "*.Format.ps1xml")
            .SelectMany(file => XDocument.Load(file).Descendants("View")),
    ];

    private static string TypeOf(XElement view) => view.Element("ViewSelectedBy")!.Element("TypeName")!.Value.Split('#')[0];

    private async Task ShowsAsync(string script, string expected, FakeTunnel? client = null)
    {
        await shared.Shell.ResetAsync();
        FakeTunnel server = FakeTunnel.SampleServer();
        server.Log(LogLevel.Information, "Routing stats: 1 peers, 1 direct, 0 relay, 0 server");
        server.Log(LogLevel.Warning, "  Peer 10.0.0.20: route=P2P-DIRECT quality=150 status=connected-local throughServer=false");
        shared.Shell.Serve(server, client ?? FakeTunnel.SampleClient());

        Assert.Equal(expected, await shared.Shell.ShowAsync(script));
    }
}
