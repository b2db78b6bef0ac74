using System.Collections;
using System.Reflection;
using System.Text;
using LightTunnel.Configuration;
using LightTunnel.Membership;
using LightTunnel.Diagnostics;
using LightTunnel.Routing;
using LightTunnel.Tests.Membership;
using LightTunnel.WindowsNetwork;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Configuration;

/// <summary>What the writer writes, the reader reads back as it was: for every setting, alone and with others.</summary>
public sealed class ConfigurationWriterTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void EverySettingOfAServer_AndAnyChoiceOfThem_ComesBack() => ComesBack(FullServer, ConfigurationFile.LoadServer);

    [Fact]
    public void EverySettingOfAClient_AndAnyChoiceOfThem_ComesBack() => ComesBack(FullClient, ConfigurationFile.LoadClient);

    [Theory]
    [InlineData("/srv/a b")]
    [InlineData("/srv/#1: {x} [y] & *z ! | > ' \" \\ %TAG @`")]
    [InlineData("/srv/ü→😀")]
    [InlineData("/srv/line\nbreak\ttab\u2028\u0085\u0007")]
    [InlineData("/srv/true\n---\nrole: client")]
    [InlineData("/srv/ends in blanks  ")]
    public void Text_MeansNothing(string path)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "These are paths of Linux.");
        var settings = new ServerSettings { Address = ["10.0.0.1/24"], StatePath = path, LogPath = path };
        Assert.Equal(path, ConfigurationFile.LoadServer(Write(settings)).StatePath);
        Assert.Equal(path, ConfigurationFile.LoadServer(Write(settings)).LogPath);
    }

    [Fact]
    public void Text_IsShownByNobody() =>
        Assert.DoesNotContain("networkKey", $"{ConfigurationWriter.Write(FullServer(new Random(1)))}", StringComparison.Ordinal);

    private void ComesBack<T>(Func<Random, T> full, Func<string, T> load)
        where T : TunnelSettings
    {
        var random = new Random(Fuzz.Seed(1));
        PropertyInfo[] settings = [.. typeof(T).GetProperties().Where(property => property.CanWrite)];
        Assert.All(settings, property => Assert.True(property.GetValue(full(random)) is not null, $"{property.Name} is in no sample."));
        for (int i = 0; i < Fuzz.Count(300); i++)
        {
            T written = full(random);
            foreach (PropertyInfo property in settings.Where(_ => i > 0 && random.Next(2) == 0))
                property.SetValue(written, null);
            string path = Write(Consistent(written));
            TunnelSettings parsed = ConfigurationFile.Parse(new Secret(File.ReadAllText(path)), "It");
            foreach (TunnelSettings read in (TunnelSettings[])[load(path), parsed])
            {
                Assert.All(settings, property =>
                    Assert.Equal(Plain(property.GetValue(written)), Plain(property.GetValue(read))));
            }
        }
    }

    /// <summary>
    /// An invitation excludes what it says itself, names are those of networks that are there, and an exit node goes out by none.
    /// </summary>
    private static TunnelSettings Consistent(TunnelSettings settings)
    {
        if (settings.Route is null)
            typeof(TunnelSettings).GetProperty(nameof(settings.As))!.SetValue(settings, null);
        if (settings is { OfferExitNode: true, ExitNode: not null })
            typeof(TunnelSettings).GetProperty(nameof(settings.OfferExitNode))!.SetValue(settings, false);
        if (settings is ClientSettings { Invitation: not null } client)
        {
            foreach (string name in new[] { "Server", "ServerKey", "NetworkKey", "InvitationSecret" })
                typeof(ClientSettings).GetProperty(name)!.SetValue(client, null);
        }

        return settings;
    }

    private string Write(TunnelSettings settings)
    {
        string path = _folder.File("written.yaml");
        AtomicFile.Replace(path, Encoding.UTF8.GetBytes(ConfigurationWriter.Write(settings).Reveal()));
        return path;
    }

    private static object? Plain(object? value) => value switch
    {
        Secret secret => secret.Reveal(),
        IEnumerable several and not string => string.Join('|', several.Cast<object>()),
        _ => value,
    };

    private static T Common<T>(T settings, Random random)
        where T : TunnelSettings => settings with
        {
            Name = Word(random, 20),
            ListenPort = random.Next(2, 65535),
            Mtu = random.Next(1280, 65400),
            Cipher = random.GetItems(Enum.GetValues<CipherPolicy>(), 1)[0],
            InterfaceName = Word(random, 10),
            NetworkCategory = random.GetItems(Enum.GetValues<NetworkCategory>(), 1)[0],
            AllowInbound = random.Next(2) == 0,
            Route = ["192.168.7.0/24", $"2001:db8:{random.Next(1, 9999)}::/64"],
            As = ["10.99.7.0/24", "2001:db8:8::/64"],
            NoSnat = random.Next(2) == 0,
            AcceptRoute = ["192.168.0.0/16", $"2001:db8:{random.Next(1, 9999)}::/64"],
            ForceRoute = random.Next(2) == 0,
            OfferExitNode = random.Next(2) == 0,
            ExitNode = Word(random, 20),
            AllowLan = random.Next(2) == 0,
            KillSwitch = random.Next(2) == 0,
            Queues = random.Next(1, 16),
            DisableOffload = random.Next(2) == 0,
            StatePath = Folder(random),
            LogPath = Folder(random),
            LogLevel = random.GetItems(Enum.GetValues<LogLevel>(), 1)[0],
            NetworkKey = NetworkKeys.Generate(),
        };

    private static ServerSettings FullServer(Random random) => Common(new ServerSettings(), random) with
    {
        Address = [$"10.{random.Next(256)}.0.1/24", "fd00::1/64"],
        Endpoint = [.. Enumerable.Range(1, random.Next(1, 4)).Select(_ => $"vpn{random.Next(99)}.example.org:{random.Next(1, 65535)}")],
        ObserverPort = 1,
        MaxClients = random.Next(1, 1000),
        ClientIsolation = random.Next(2) == 0,
        AllowKeyOnly = random.Next(2) == 0,
        RequireApproval = random.Next(2) == 0,
        AutoApproveRoute = ["gateways", $"office=10.{random.Next(256)}.0.0/16"],
        MemberExpiry = $"{random.Next(1, 1000)}d",
        RequireSignedMembers = true,
        SigningKey = SigningKeys(random),
    };

    private static ClientSettings FullClient(Random random) => Common(new ClientSettings(), random) with
    {
        Invitation = new Secret(InvitationTests.Sample().Reveal()),
        InvitationSecret = new Secret(InvitationToken.Generate(7).Reveal()),
        Server = [$"[2001:db8::{random.Next(1, 9999)}]:9000", "vpn.example.org:9001"],
        ServerKey = InvitationTests.Sample().ServerKey.ToString(),
        Address = ["10.0.0.7"],
        AcceptPrefix = ["10.9.0.0/16", "fd01::/64"],
        AdvertiseEndpoint = ["203.0.113.9:9000"],
        AllowRelay = random.Next(2) == 0,
        PathPolicy = random.GetItems(Enum.GetValues<PathPolicy>(), 1)[0],
        PortMapping = random.Next(2) == 0,
        KeyChange = random.GetItems(Enum.GetValues<KeyChangePolicy>(), 1)[0],
        RequireSignedMembers = true,
        SigningKey = SigningKeys(random),
    };

    private static string[] SigningKeys(Random random) =>
        [.. Enumerable.Range(1, random.Next(1, 9)).Select(number => SigningSamples.AdminsKey((byte)number).ToString())];

    private static string Word(Random random, int length) =>
        random.GetString("abcxyz", 1) + random.GetString("abcdefgh019-_.", random.Next(length));

    private static string Folder(Random random) => Path.GetFullPath(
        Path.Combine(Path.GetTempPath(), "x" + random.GetString("ab 01'\"#:-{}[]&*!|>%@`,?~üß→", random.Next(1, 30)) + "x"));
}
