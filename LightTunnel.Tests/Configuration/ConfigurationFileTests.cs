using System.Runtime.CompilerServices;
using System.Text;
using LightTunnel.Configuration;
using LightTunnel.Membership;
using LightTunnel.Diagnostics;
using LightTunnel.Routing;
using LightTunnel.Tests.Membership;
using Microsoft.Extensions.Time.Testing;
using LightTunnel.WindowsNetwork;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Configuration;

public sealed class ConfigurationFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private string Write(string text, string name = "test.yaml")
    {
        string path = _folder.Write(name, text);
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return path;
    }

    private ConfigurationProblem Problem(string text) => Assert.Single(ConfigurationFile.Check(Write(text)));

    private static readonly string Token = InvitationToken.Generate(7).Reveal();

    private static string ConfigsFolder([CallerFilePath] string path = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(path)!, "../../configs"));

    [Fact]
    public void LoadServer_EveryKey_IsTaken()
    {
        ServerSettings settings = ConfigurationFile.LoadServer(Write($"""
            role: server
            name: hub
            address: [10.0.0.1/24, "fd00::1/64"]
            listenPort: 9001
            endpoint:
              - vpn.example.org:9000
              - "[2001:db8::1]:9000"
            statePath: state/hub
            logPath: /var/log/hub.log
            logLevel: warning
            observerPort: 9002
            maxClients: 12
            clientIsolation: true
            allowKeyOnly: true
            requireApproval: true
            memberExpiry: 90d
            mtu: 1280
            cipher: wireguard
            interfaceName: lt-hub
            networkCategory: private
            allowInbound: true
            route: [192.168.7.0/24, "2001:db8:7::/64"]
            as: [10.99.7.0/24, "2001:db8:8::/64"]
            noSnat: true
            acceptRoute: "*"
            forceRoute: false
            exitNode: office
            allowLan: true
            killSwitch: true
            offerExitNode: false
            autoApproveRoute: [gateways, office=192.168.0.0/16]
            queues: 3
            disableOffload: true
            networkKey: {NetworkKeys.Generate().Reveal()}
            """));
        Assert.Equal(("hub", 9001, LogLevel.Warning, 9002, 12, true, 1280, "lt-hub"),
            (settings.Name, settings.ListenPort, settings.LogLevel, settings.ObserverPort, settings.MaxClients, settings.ClientIsolation,
                settings.Mtu, settings.InterfaceName));
        Assert.Equal(["192.168.7.0/24", "2001:db8:7::/64"], settings.Route);
        Assert.Equal(["10.99.7.0/24", "2001:db8:8::/64"], settings.As);
        Assert.True(settings.NoSnat);
        Assert.Equal(["*"], settings.AcceptRoute);
        Assert.False(settings.ForceRoute);
        Assert.Equal((false, "office", true, true), (settings.OfferExitNode, settings.ExitNode, settings.AllowLan, settings.KillSwitch));
        Assert.Equal(["gateways", "office=192.168.0.0/16"], settings.AutoApproveRoute);
        Assert.Equal((3, true, true), (settings.Queues, settings.DisableOffload, settings.AllowKeyOnly));
        Assert.Equal((true, "90d"), (settings.RequireApproval, settings.MemberExpiry));
        Assert.Equal(CipherPolicy.WireGuard, settings.Cipher);
        Assert.Equal((NetworkCategory.Private, true), (settings.NetworkCategory, settings.AllowInbound));
        Assert.Equal(["10.0.0.1/24", "fd00::1/64"], settings.Address);
        Assert.Equal(["vpn.example.org:9000", "[2001:db8::1]:9000"], settings.Endpoint);
        Assert.Equal(Path.Combine(_folder.Path, "state", "hub"), settings.StatePath);
        Assert.Equal(44, settings.NetworkKey!.Reveal().Length);
        if (!OperatingSystem.IsWindows())
            Assert.Equal("/var/log/hub.log", settings.LogPath);
    }

    [Fact]
    public void LoadClient_EveryKey_IsTaken()
    {
        string serverKey = ControlMessageTests.Key(1).ToString();
        ClientSettings settings = ConfigurationFile.LoadClient(
            Write($"role: client\nserver: a.example:1\nserverKey: {serverKey}\naddress: 10.0.0.20\nname: 123\n"
                + "advertiseEndpoint: [203.0.113.4:9000, '[2001:db8::4]:9000']\nallowRelay: false\npathPolicy: relayonly\nportMapping: "
                + $"false\ninvitationSecret: {Token}\nacceptPrefix: 10.1.0.0/24\nnetworkCategory: Public\nallowInbound: false\n"
                + "keyChange: accept\n"));
        Assert.Equal(Token, settings.InvitationSecret!.Reveal());
        Assert.Equal(["10.1.0.0/24"], settings.AcceptPrefix);
        Assert.Equal((NetworkCategory.Public, false), (settings.NetworkCategory, settings.AllowInbound));
        Assert.Equal((serverKey, "123"), (settings.ServerKey, settings.Name));
        Assert.Equal(["a.example:1"], settings.Server);
        Assert.Equal(["10.0.0.20"], settings.Address);
        Assert.Equal(["203.0.113.4:9000", "[2001:db8::4]:9000"], settings.AdvertiseEndpoint);
        Assert.Equal(KeyChangePolicy.Accept, settings.KeyChange);
        Assert.Equal((false, PathPolicy.RelayOnly, false), (settings.AllowRelay, settings.PathPolicy, settings.PortMapping));
        string invitation = InvitationTests.Sample().Reveal();
        Assert.Equal(invitation, ConfigurationFile.LoadClient(Write($"role: client\ninvitation: {invitation}\n")).Invitation!.Reveal());
    }

    [Theory]
    [InlineData("role: server\nadress: 10.0.0.1/24\n", 2, 1, "adress", "Did you mean 'address'?")]
    [InlineData("role: server\nlisten_port: 1\n", 2, 1, "listen_port", "Did you mean 'listenPort'?")]
    [InlineData("role: server\nAddress: 10.0.0.1/24\n", 2, 1, "Address", "Did you mean 'address'?")]
    [InlineData("role: server\nserverKey: x\n", 2, 1, "serverKey", "is not a key of this file.")]
    [InlineData("role: server\nzzz: 1\n", 2, 1, "zzz", "is not a key of this file.")]
    [InlineData("role: server\naddress: 10.0.0.1/24\nlistenPort: nine\n", 3, 13, "listenPort", "whole number, not 'nine'")]
    [InlineData("role: server\naddress: 10.0.0.1/24\nlistenPort: \"9\"\n", 3, 13, "listenPort", "whole number")]
    [InlineData("role: server\naddress: 10.0.0.1/24\nlistenPort: 99999999999\n", 3, 13, "listenPort", "whole number")]
    [InlineData("role: server\naddress: 10.0.0.1/24\nlistenPort: 70000\n", 3, 13, "listenPort", "70000 is out of range")]
    [InlineData("role: server\naddress: 10.0.0.1/24\nmtu: 100\n", 3, 6, "mtu", "100 is out of range")]
    [InlineData("role: server\naddress: 10.0.0.1/24\nclientIsolation: yes\n", 3, 18, "clientIsolation", "true or false, not 'yes'")]
    [InlineData("role: server\naddress: 10.0.0.1/24\nlogLevel: Loud\n", 3, 11, "logLevel", "does not take 'Loud'")]
    [InlineData("role: server\naddress: 10.0.0.1/24\nname: [a, b]\n", 3, 1, "name", "one value, not a list")]
    [InlineData("role: server\naddress: 10.0.0.1/24\nname:\n", 3, 6, "name", "has no value")]
    [InlineData("role: server\naddress: 10.0.0.1/24\nname: ~\n", 3, 7, "name", "has no value")]
    [InlineData("role: server\naddress: 10.0.0.1/24\nname: {a: b}\n", 3, 7, "name", "values inside of values")]
    [InlineData("role: server\naddress: 10.0.0.1/24\nendpoint: [a:1, [b:2]]\n", 3, 17, "endpoint", "values inside of values")]
    [InlineData("role: server\naddress: 10.0.0.1/24\nname: a\nname: b\n", 4, 1, "name", "twice, first in line 3")]
    [InlineData("role: server\naddress:\n  - 10.0.0.1/24\n  - 10.0.0.0/33\n", 4, 5, "address", "is not an address")]
    [InlineData("role: server\naddress: 10.0.0.0/24\n", 2, 10, "address", "address of the network itself")]
    [InlineData("role: server\naddress: 10.0.0.1/24\nendpoint: 'a b'\n", 3, 11, "endpoint", "is not an endpoint")]
    [InlineData("role: server\naddress: 10.0.0.1/24\nobserverPort: 9000\n", 3, 15, "observerPort", "the port that the server listens on")]
    [InlineData(
        "role: client\nadvertiseEndpoint:\n  - 192.0.2.1:1\n  - nas.example.org:2\n", 4, 5, "advertiseEndpoint", "no literal address")]
    [InlineData("role: client\npathPolicy: best\n", 2, 13, "pathPolicy", "does not take 'best'")]
    [InlineData("role: server\naddress: &a 10.0.0.1/24\n", 2, 10, "address", "Anchors")]
    [InlineData("role: server\naddress: !!str 10.0.0.1/24\n", 2, 10, "address", "Anchors")]
    [InlineData("role: server\naddress: *a\n", 2, 10, "address", "alias")]
    [InlineData("role: boss\n", 1, 7, "role", "does not take 'boss'")]
    [InlineData("address: 10.0.0.1/24\n", 1, 1, "role", "'role' is missing")]
    [InlineData("", 1, 1, null, "The file is empty")]
    [InlineData("# nothing\n", 1, 1, null, "The file is empty")]
    [InlineData("- a\n- b\n", 1, 1, null, "not a map")]
    [InlineData("hello\n", 1, 1, null, "not a map")]
    [InlineData("role: server\naddress: 10.0.0.1/24\n---\nrole: server\n", 3, 1, null, "more than one document")]
    [InlineData("role: server\n? [a]\n: b\n", 2, 3, null, "single word")]
    [InlineData("role: client\nserver: a:1\nserverKey: abc\nnetworkKey: s3cr3t\n", 3, 12, "serverKey", "not 44 characters", 2)]
    public void Check_Problem_HasItsPlaceAndRemedy(string text, int line, int column, string? key, string message, int count = 1)
    {
        IReadOnlyList<ConfigurationProblem> problems = ConfigurationFile.Check(Write(text));
        Assert.True(problems.Count(p => p.Severity == ConfigurationSeverity.Error) == count, string.Join('\n', problems));
        ConfigurationProblem problem = problems.First(p => p.Severity == ConfigurationSeverity.Error);
        Assert.Contains(message, problem.Message, StringComparison.Ordinal);
        Assert.Equal((line, column, key, ConfigurationSeverity.Error), (problem.Line, problem.Column, problem.Key, problem.Severity));
        Assert.NotEmpty(problem.RecommendedAction);
        Assert.DoesNotContain("s3cr3t", string.Concat(problems), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("role: server\n\taddress: 1\n")]
    [InlineData("role: \"server\n")]
    [InlineData("role: server\naddress: [10.0.0.1/24\n")]
    [InlineData("role: server\n  a: b: c\n")]
    [InlineData("role: server\naddress: @x\n")]
    [InlineData("%YAML 9.9\n---\n{")]
    public void Check_NoYaml_SaysWhere(string text)
    {
        ConfigurationProblem problem = ConfigurationFile.Check(Write(text))[^1];
        Assert.StartsWith("This is not YAML", problem.Message, StringComparison.Ordinal);
        Assert.InRange(problem.Line, 1, 4);
    }

    [Fact]
    public void Check_SeveralProblems_TellsAllInTheOrderOfTheFile()
    {
        IReadOnlyList<ConfigurationProblem> problems = ConfigurationFile.Check(
            Write("role: server\nmtu: 1\nfoo: 1\nlistenPort: x\naddress: 10.0.0.1\n"));
        Assert.Equal([2, 3, 4, 5], problems.Select(problem => problem.Line));
        Assert.Equal($"{_folder.File("test.yaml")}(3,1): error: 'foo' is not a key of this file.", problems[1].ToString());
    }

    [Fact]
    public void Load_Problem_IsThrownWithFileLineAndColumn()
    {
        string path = Write("role: server\naddress: 10.0.0.0/24\nmtu: 1\n");
        LightTunnelException exception = Assert.Throws<LightTunnelException>(() => ConfigurationFile.LoadServer(path));
        Assert.Equal(LightTunnelError.InvalidConfiguration, exception.Error);
        Assert.StartsWith($"{path}, line 2, column 10: ", exception.Message, StringComparison.Ordinal);
        Assert.Equal(LightTunnelError.InvalidAddress, Assert.IsType<LightTunnelException>(exception.InnerException).Error);
    }

    [Fact]
    public void Load_FileOfTheOtherRole_SaysHowToUseIt()
    {
        LightTunnelException server = Assert.Throws<LightTunnelException>(() => ConfigurationFile.LoadServer(Write("role: client\n")));
        Assert.Contains("Connect-LtNetwork", server.Message, StringComparison.Ordinal);
        LightTunnelException client = Assert.Throws<LightTunnelException>(() => ConfigurationFile.LoadClient(Write("role: server\n")));
        Assert.Contains("Start-LtServer", client.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_SomethingLeftOut_MayComeAsParameter()
    {
        Assert.Null(ConfigurationFile.LoadServer(Write("role: server\n")).Address);
        Assert.Null(ConfigurationFile.LoadClient(Write("role: client\n")).Invitation);
        ConfigurationProblem problem = Problem("role: server\n");
        Assert.Equal((ConfigurationSeverity.Warning, "address"), (problem.Severity, problem.Key));
        Assert.Equal(ConfigurationSeverity.Warning, Problem("role: client\n").Severity);
    }

    [Fact]
    public void Check_ExpiredInvitation_IsAnErrorAndLoadLeavesItToTheResolver()
    {
        var time = new FakeTimeProvider(new DateTimeOffset(2020, 1, 1, 0, 0, 0, TimeSpan.Zero));
        string path = Write($"role: client\ninvitation: {InvitationTests.Sample(time.GetUtcNow().AddDays(1)).Reveal()}\n");
        Assert.Empty(ConfigurationFile.Check(path, time));
        time.Advance(TimeSpan.FromDays(2));
        Assert.Contains("expired", Assert.Single(ConfigurationFile.Check(path, time)).Message, StringComparison.Ordinal);
        ClientSettings settings = ConfigurationFile.LoadClient(path);
        Assert.Equal(
            LightTunnelError.InvitationExpired, Assert.Throws<LightTunnelException>(() => SettingsResolver.Resolve(settings, time)).Error);
    }

    [Fact]
    public void Check_SecretReadableByOthers_Warns()
    {
        if (OperatingSystem.IsWindows())
        {
            Assert.Skip("Windows has no file modes.");
            return;
        }

        string path = Write($"role: server\naddress: 10.0.0.1/24\nnetworkKey: {NetworkKeys.Generate().Reveal()}\n");
        Assert.Empty(ConfigurationFile.Check(path));
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.GroupRead);
        ConfigurationProblem problem = Assert.Single(ConfigurationFile.Check(path));
        Assert.Equal((ConfigurationSeverity.Warning, 3, "networkKey"), (problem.Severity, problem.Line, problem.Key));
        Assert.Equal($"chmod 600 {path}", problem.RecommendedAction);
        ConfigurationFile.LoadServer(path);
    }

    [Fact]
    public void Load_FileMissingTooLongOrNoText_SaysSo()
    {
        LightTunnelException missing = Assert.Throws<LightTunnelException>(() => ConfigurationFile.LoadServer(_folder.File("none.yaml")));
        Assert.Equal(LightTunnelError.NotFound, missing.Error);
        Assert.Contains("none.yaml", missing.Message, StringComparison.Ordinal);
        Assert.Contains("could not be read", Assert.Single(ConfigurationFile.Check(_folder.Path)).Message, StringComparison.Ordinal);
        Assert.Contains("1 MB", Problem(new string('#', (1 << 20) + 1)).Message, StringComparison.Ordinal);
        File.WriteAllBytes(_folder.File("bin.yaml"), [0x72, 0xFF, 0xFE, 0xC0]);
        Assert.Contains("UTF-8", Assert.Single(ConfigurationFile.Check(_folder.File("bin.yaml"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_SavedByWindowsEditors_IsRead()
    {
        string text = "role: server\r\naddress: 10.0.0.1/24\r\n";
        File.WriteAllText(_folder.File("bom.yaml"), text, new UTF8Encoding(true));
        File.WriteAllText(_folder.File("utf16.yaml"), text, Encoding.Unicode);
        Assert.Equal(["10.0.0.1/24"], ConfigurationFile.LoadServer(_folder.File("bom.yaml")).Address);
        Assert.Equal(["10.0.0.1/24"], ConfigurationFile.LoadServer(_folder.File("utf16.yaml")).Address);
    }

    [Theory]
    [InlineData("[")]
    [InlineData("{a: ")]
    [InlineData("- ")]
    [InlineData("&a [*a, ")]
    public void Check_DeepOrEndlessNesting_IsRefusedQuickly(string piece)
    {
        string text = "role: server\naddress: " + string.Concat(Enumerable.Repeat(piece, 100_000 / piece.Length));
        Assert.NotEmpty(ConfigurationFile.Check(Write(text)));
    }

    [Fact]
    public void Check_HostileText_NeverThrows()
    {
        byte[] good = Encoding.UTF8.GetBytes(
            File.ReadAllText(Path.Combine(ConfigsFolder(), "server.yaml")).Replace("# ", string.Empty, StringComparison.Ordinal)[^900..]);
        byte[] small = "role: server\naddress:\n  - 10.0.0.1/24\nlistenPort: 9\nendpoint: [a:1, 'b:2']\n"u8.ToArray();
        var mutator = new ByteMutator(7);
        int clean = 0;
        for (int i = 0; i < Fuzz.Count(4000); i++)
        {
            string path = _folder.File("hostile.yaml");
            File.WriteAllBytes(path, mutator.Mutate(i % 2 == 0 ? good : small));
            if (ConfigurationFile.Check(path).Count == 0)
                clean++;
        }

        Assert.InRange(clean, 1, Fuzz.Count(3000));
    }

    [Theory]
    [InlineData("server.yaml", true)]
    [InlineData("server-small-machine.yaml", true)]
    [InlineData("client.yaml", false)]
    [InlineData("client-small-machine.yaml", false)]
    public void Load_Example_IsValidAndExplainsEveryKey(string name, bool server)
    {
        string path = Path.Combine(ConfigsFolder(), name);
        Assert.DoesNotContain(ConfigurationFile.Check(path), problem => problem.Severity == ConfigurationSeverity.Error);
        if (server)
            SettingsResolver.Resolve(ConfigurationFile.LoadServer(path));
        else
            SettingsResolver.Resolve(ConfigurationFile.LoadClient(path) with { NetworkKey = NetworkKeys.Generate() }, TimeProvider.System);
        if (name.Contains("small", StringComparison.Ordinal))
            return;
        string text = File.ReadAllText(path);
        Type settings = server ? typeof(ServerSettings) : typeof(ClientSettings);
        foreach (System.Reflection.PropertyInfo property in settings.GetProperties())
            Assert.Matches($"(?m)^(# )?{char.ToLowerInvariant(property.Name[0])}{property.Name[1..]}:", text);
    }
}
