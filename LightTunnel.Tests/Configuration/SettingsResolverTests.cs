using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Membership;
using LightTunnel.Packets;
using LightTunnel.Routing;
using LightTunnel.Tests.Membership;
using LightTunnel.WindowsNetwork;
using LightTunnel.WireGuard;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Configuration;

public sealed class SettingsResolverTests
{
    private static readonly Secret Key = NetworkKeys.Generate();
    private static readonly ServerSettings Server = new() { Address = ["10.0.0.1/24"], Name = "hub" };
    private static readonly ClientSettings Client = new()
    {
        Server = ["vpn.example.org"],
        ServerKey = ControlMessageTests.Key(1).ToString(),
        NetworkKey = Key,
        Name = "pc",
    };
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));

    private static LightTunnelException Fails(LightTunnelError expected, Action action)
    {
        LightTunnelException exception = Assert.Throws<LightTunnelException>(action);
        Assert.True(exception.Error == expected, $"{exception.Error}: {exception.Message}");
        Assert.NotEmpty(exception.RecommendedAction);
        Assert.DoesNotContain(Key.Reveal(), exception.ToString(), StringComparison.Ordinal);
        return exception;
    }

    private LightTunnelException Fails(LightTunnelError expected, ClientSettings settings) =>
        Fails(expected, () => SettingsResolver.Resolve(settings, _time));

    private static LightTunnelException Fails(LightTunnelError expected, ServerSettings settings) =>
        Fails(expected, () => SettingsResolver.Resolve(settings));

    [Fact]
    public void Resolve_SmallestServer_HasTheDefaults()
    {
        ServerOptions options = SettingsResolver.Resolve(new ServerSettings { Address = ["10.0.0.1/24"] });
        Assert.Equal(NodeName.Sanitize(Environment.MachineName), options.Name);
        Assert.Equal("10.0.0.1/24", Assert.Single(options.Addresses).ToString());
        Assert.Equal(
            (9000, 10_000, false, LogLevel.Information),
            (options.ListenPort, options.MaxClients, options.ClientIsolation, options.LogLevel));
        Assert.Null(options.Mtu);
        Assert.Equal(CipherPolicy.Auto, options.Cipher);
        Assert.Equal((null, false), (options.NetworkCategory, options.AllowInbound));
        Assert.Null(options.NetworkKey);
        Assert.EndsWith($"server-{options.Name}", options.StatePath, StringComparison.Ordinal);
        Assert.True(Path.IsPathRooted(options.StatePath));
        if (OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess)
            Assert.Equal($"/var/lib/lighttunnel/server-{options.Name}", options.StatePath);
    }

    [Fact]
    public void Resolve_WholeServer_TakesEverything()
    {
        ServerOptions options = SettingsResolver.Resolve(new ServerSettings
        {
            Address = ["10.0.0.1/24", "fd00::1/64"],
            Name = "hub",
            ListenPort = 0,
            Endpoint = ["vpn.example.org:1", "192.0.2.1:2", "[2001:db8::1]:3"],
            MaxClients = 5,
            ClientIsolation = true,
            Mtu = 1280,
            Cipher = CipherPolicy.WireGuard,
            InterfaceName = "lt-hub",
            NetworkCategory = NetworkCategory.Private,
            AllowInbound = true,
            Queues = 4,
            DisableOffload = true,
            StatePath = "state",
            LogPath = "log.txt",
            LogLevel = LogLevel.Debug,
            NetworkKey = Key,
        });
        Assert.Equal(["vpn.example.org:1", "192.0.2.1:2", "[2001:db8::1]:3"], options.Endpoints.Select(endpoint => endpoint.ToString()));
        Assert.Equal(
            (0, 5, true, 1280, "lt-hub", LogLevel.Debug),
            (options.ListenPort, options.MaxClients, options.ClientIsolation, options.Mtu!.Value, options.InterfaceName, options.LogLevel));
        Assert.Equal(new DataPathOptions { Queues = 4, Offloads = Offloads.None }, options.DataPath);
        Assert.Equal(CipherPolicy.WireGuard, options.Cipher);
        Assert.Equal((NetworkCategory.Private, true), (options.NetworkCategory, options.AllowInbound));
        Assert.Equal((Path.GetFullPath("state"), Path.GetFullPath("log.txt")), (options.StatePath, options.LogPath));
        Assert.Equal(Key.Reveal(), options.NetworkKey!.Reveal());
    }

    [Theory]
    [InlineData("10.0.0.1", "no prefix length")]
    [InlineData("10.0.0/24", "is not an address")]
    [InlineData("10.0.0.1/33", "is not an address")]
    [InlineData("hub/24", "is not an address")]
    [InlineData("", "is not an address")]
    [InlineData("10.0.0.0/24", "address of the network itself")]
    [InlineData("10.0.0.255/24", "broadcast address")]
    [InlineData("fd00::/64", "address of the network itself")]
    [InlineData("10.0.0.1/32", "no room")]
    [InlineData("fd00::1/128", "no room")]
    [InlineData("10.0.0.1/7", "too short")]
    [InlineData("10.0.0.1/0", "too short")]
    [InlineData("fd00::1/8", "too short")]
    [InlineData("127.0.0.1/8", "loopback")]
    [InlineData("::1/64", "loopback")]
    [InlineData("224.0.0.1/24", "multicast")]
    [InlineData("ff02::1/64", "multicast")]
    [InlineData("255.255.255.254/24", "broadcast or reserved")]
    [InlineData("169.254.1.1/16", "link-local")]
    [InlineData("fe80::1/64", "link-local")]
    [InlineData("0.0.0.0/24", "not the address of a host")]
    [InlineData("::ffff:10.0.0.1/120", "is not an address")]
    public void Resolve_ServerAddressUnusable_SaysWhy(string address, string expected)
    {
        LightTunnelException exception = Fails(LightTunnelError.InvalidAddress, Server with { Address = [address] });
        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
        Assert.Contains(address, exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("10.0.0.1/31")]
    [InlineData("10.0.0.0/31")]
    [InlineData("10.255.255.255/8", false)]
    [InlineData("10.0.255.255/8")]
    [InlineData("fd00::1/127")]
    [InlineData(" 10.0.0.1/24 ")]
    public void Resolve_ServerAddressAtTheEdge_IsJudgedByItsPrefix(string address, bool valid = true)
    {
        if (valid)
            Assert.Single(SettingsResolver.Resolve(Server with { Address = [address] }).Addresses);
        else
            Fails(LightTunnelError.InvalidAddress, Server with { Address = [address] });
    }

    [Fact]
    public void Resolve_NoAddressOrTwoOfAKind_IsRefused()
    {
        Fails(LightTunnelError.InvalidOption, Server with { Address = null });
        Fails(LightTunnelError.InvalidOption, Server with { Address = [] });
        Fails(LightTunnelError.InvalidOption, Server with { Address = ["10.0.0.1/24", "10.0.1.1/24"] });
        Fails(LightTunnelError.InvalidOption, Client with { Address = ["fd00::1", "fd00::2"] });
    }

    [Theory]
    [InlineData("vpn.example.org:0")]
    [InlineData("vpn.example.org:70000")]
    [InlineData("vpn example:9000")]
    [InlineData(":9000")]
    [InlineData("")]
    [InlineData("0.0.0.0:9000")]
    [InlineData("[::]:9000")]
    [InlineData("10.0.0.1:9000")]
    public void Resolve_EndpointUnusable_IsRefused(string endpoint) =>
        Fails(LightTunnelError.InvalidEndpoint, Server with { Endpoint = [endpoint] });

    [Fact]
    public void Resolve_EndpointWithoutPort_TakesTheDefault()
    {
        Assert.Equal(
            "vpn.example.org:7",
            SettingsResolver.Resolve(Server with { Endpoint = ["vpn.example.org"], ListenPort = 7 }).Endpoints[0].ToString());
        Assert.Equal("vpn.example.org:9000", SettingsResolver.Resolve(Client, _time).Servers[0].ToString());
        Fails(LightTunnelError.InvalidEndpoint, Server with { Endpoint = ["vpn.example.org"], ListenPort = 0 });
        Fails(LightTunnelError.InvalidOption, Server with { Endpoint = [.. Enumerable.Range(1, 17).Select(port => $"a:{port}")] });
    }

    [Fact]
    public void Resolve_ClientThatSaysNothingOfPaths_LeavesThemToTheEngine()
    {
        ClientOptions options = SettingsResolver.Resolve(Client, _time);
        Assert.Empty(options.AdvertisedEndpoints);
        Assert.Equal((null, PathPolicy.Auto, true), (options.AllowRelay, options.PathPolicy, options.PortMapping));
        Assert.Null(SettingsResolver.Resolve(Server).ObserverPort);
    }

    [Fact]
    public void Resolve_WholeClient_TakesEverything()
    {
        ClientOptions options = SettingsResolver.Resolve(
            Client with
            {
                AdvertiseEndpoint = ["203.0.113.4:9000", "[2001:db8::4]:9001", " 192.168.7.3:1 "],
                AllowRelay = false,
                PathPolicy = PathPolicy.DirectOnly,
                KeyChange = KeyChangePolicy.Accept,
                PortMapping = false,
            },
            _time);
        Assert.Equal(
            ["203.0.113.4:9000", "[2001:db8::4]:9001", "192.168.7.3:1"],
            options.AdvertisedEndpoints.Select(endpoint => endpoint.ToString()));
        Assert.Equal(KeyChangePolicy.Accept, options.KeyChange);
        Assert.Equal((false, PathPolicy.DirectOnly, false), (options.AllowRelay, options.PathPolicy, options.PortMapping));
        Assert.True(SettingsResolver.Resolve(Client with { AllowRelay = true }, _time).AllowRelay);
    }

    [Theory]
    [InlineData("203.0.113.4", "is not an endpoint")]
    [InlineData("9000", "is not an endpoint")]
    [InlineData("2001:db8::4", "is not an endpoint")]
    [InlineData("203.0.113.4:0", "is not an endpoint")]
    [InlineData("203.0.113.4:65536", "is not an endpoint")]
    [InlineData("", "is not an endpoint")]
    [InlineData("nas.example.org:9000", "no literal address")]
    [InlineData("203.0.113:9000", "no literal address")]
    [InlineData("[fe80::1]:9000", "where other machines could reach")]
    [InlineData("127.0.0.1:9000", "where other machines could reach")]
    [InlineData("0.0.0.0:9000", "where other machines could reach")]
    [InlineData("255.255.255.255:9000", "where other machines could reach")]
    [InlineData("[ff02::1]:9000", "where other machines could reach")]
    [InlineData("10.0.0.20:9000", "inside the tunnel's own network")]
    [InlineData("[fd00::7]:9000", "inside the tunnel's own network")]
    public void Resolve_AdvertisedEndpointUnusable_SaysWhy(string endpoint, string expected)
    {
        var invited = new ClientSettings
        {
            Invitation = new Secret(InvitationTests.Sample().Reveal()),
            AdvertiseEndpoint = ["192.0.2.1:1", endpoint],
        };
        LightTunnelException exception = Fails(LightTunnelError.InvalidEndpoint, invited);
        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
        Assert.Contains(endpoint, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Resolve_AgreedPrefixes_AreThoseOfTheInvitationAndThoseThatWereAccepted()
    {
        var invited = new ClientSettings { Invitation = new Secret(InvitationTests.Sample().Reveal()) };
        IEnumerable<string> ofInvitation = InvitationTests.Sample().Prefixes.Select(prefix => prefix.ToString());
        Assert.Equal(ofInvitation, SettingsResolver.Resolve(invited, _time).AgreedPrefixes.Select(prefix => prefix.ToString()));
        ClientOptions both = SettingsResolver.Resolve(invited with { AcceptPrefix = ["10.1.0.0/24", " fd00:1::/64 "] }, _time);
        Assert.Equal([.. ofInvitation, "10.1.0.0/24", "fd00:1::/64"], both.AgreedPrefixes.Select(prefix => prefix.ToString()));
        Assert.Empty(SettingsResolver.Resolve(Client, _time).AgreedPrefixes);
        Assert.Equal(
            ["10.1.0.0/24"], SettingsResolver.Overlay(Client with { AcceptPrefix = ["10.1.0.0/24"] }, new ClientSettings()).AcceptPrefix);
    }

    [Theory]
    [InlineData("10.1.0.0", "has no prefix length")]
    [InlineData("10.1.0.1/24", "is not the prefix of a network")]
    [InlineData("10.1.0.0/33", "is not the prefix of a network")]
    [InlineData("0.0.0.0/0", "is not the address of a host")]
    [InlineData("10.0.0.0/7", "is too short a prefix")]
    [InlineData("127.0.0.0/8", "is a loopback address")]
    [InlineData("2000::/3", "is too short a prefix")]
    public void Resolve_AcceptedPrefixUnusable_SaysWhy(string prefix, string expected)
    {
        LightTunnelException exception = Fails(LightTunnelError.InvalidAddress, Client with { AcceptPrefix = ["10.2.0.0/24", prefix] });
        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Resolve_AdvertisedEndpoints_AreAtMostFourAndNeverTheAddressInTheTunnel()
    {
        Fails(
            LightTunnelError.InvalidOption,
            Client with { AdvertiseEndpoint = [.. Enumerable.Range(1, 5).Select(port => $"192.0.2.1:{port}")] });
        Fails(LightTunnelError.InvalidEndpoint, Client with { Address = ["10.0.0.20"], AdvertiseEndpoint = ["10.0.0.20:9000"] });
    }

    [Fact]
    public void Resolve_ObserverPort_IsAnotherPortOrNone()
    {
        foreach (int port in new[] { -1, 65536, 9000 })
            Fails(LightTunnelError.InvalidOption, Server with { ObserverPort = port });
        Assert.Equal(0, SettingsResolver.Resolve(Server with { ObserverPort = 0, ListenPort = 0 }).ObserverPort);
        Assert.Equal(9007, SettingsResolver.Resolve(Server with { ObserverPort = 9007 }).ObserverPort);
    }

    [Fact]
    public void Resolve_NumbersOutOfRange_AreRefused()
    {
        foreach (int port in new[] { -1, 65536 })
            Fails(LightTunnelError.InvalidOption, Server with { ListenPort = port });
        foreach (int mtu in new[] { 0, 1279, 65401 })
            Fails(LightTunnelError.InvalidOption, Client with { Mtu = mtu });
        foreach (int clients in new[] { 0, -1, 65537 })
            Fails(LightTunnelError.InvalidOption, Server with { MaxClients = clients });
        foreach (int queues in new[] { 0, 17 })
            Fails(LightTunnelError.InvalidOption, Client with { Queues = queues });
        Fails(LightTunnelError.InvalidOption, Server with { LogLevel = (LogLevel)9 });
        Fails(LightTunnelError.InvalidOption, Client with { Cipher = (CipherPolicy)9 });
        Fails(LightTunnelError.InvalidOption, Client with { NetworkCategory = (NetworkCategory)2 });
        Fails(LightTunnelError.InvalidOption, Client with { PathPolicy = (PathPolicy)9 });
        Fails(LightTunnelError.InvalidOption, Client with { KeyChange = (KeyChangePolicy)9 });
        Fails(LightTunnelError.InvalidOption, Server with { StatePath = " " });
        Fails(LightTunnelError.InvalidOption, Server with { LogPath = "a\0b" });
        Assert.Equal(65400, SettingsResolver.Resolve(Server with { Mtu = 65400 }).Mtu);
    }

    [Theory]
    [InlineData("90d", 90 * 24)]
    [InlineData(" 12H ", 12)]
    [InlineData("60m", 1)]
    [InlineData("90.00:00:00", 90 * 24)]
    public void MemberExpiry_IsADuration(string text, int hours) =>
        Assert.Equal(TimeSpan.FromHours(hours), SettingsResolver.Resolve(Server with { MemberExpiry = text }).MemberExpiry);

    [Fact]
    public void SigningKeys_AreChecked_AndAskForSignaturesByThemselves()
    {
        string[] keys = [SigningSamples.AdminsKey(1).ToString(), SigningSamples.AdminsKey(2).ToString()];
        Assert.Equal(
            [SigningSamples.AdminsKey(1), SigningSamples.AdminsKey(2)],
            SettingsResolver.Resolve(Server with { SigningKey = [.. keys, keys[0]] }).SigningKeys);
        Assert.Empty(SettingsResolver.Resolve(Server with { RequireSignedMembers = false }).SigningKeys);
        Fails(LightTunnelError.InvalidOption, Server with { RequireSignedMembers = true });
        Fails(LightTunnelError.InvalidOption, Server with { RequireSignedMembers = false, SigningKey = keys });
        Fails(LightTunnelError.InvalidKey, Server with { SigningKey = ["no key"] });
        Fails(LightTunnelError.InvalidKey, Server with { SigningKey = [Convert.ToBase64String(new byte[32])] });
        Fails(
            LightTunnelError.InvalidOption,
            Server with { SigningKey = [.. Enumerable.Range(1, 9).Select(i => SigningSamples.AdminsKey((byte)i).ToString())] });

        ClientOptions client = SettingsResolver.Resolve(Client with { SigningKey = keys }, _time);
        Assert.Equal((2, null), (client.SigningKeys.Count, client.RequireSignedMembers));
        Assert.True(SettingsResolver.Resolve(Client with { RequireSignedMembers = true }, _time).RequireSignedMembers);
        Fails(LightTunnelError.InvalidOption, Client with { RequireSignedMembers = false, SigningKey = keys });

        // Who says no by a parameter means the keys of the file, too.
        Assert.Null(SettingsResolver.Overlay(
            Client with { SigningKey = keys }, new ClientSettings { RequireSignedMembers = false }).SigningKey);
    }

    [Fact]
    public void SigningKeysOfAnInvitation_LastWithoutIt_AndContradictNobodysWord()
    {
        Invitation invitation = InvitationTests.Sample() with { SigningKeys = [SigningSamples.AdminsKey()], Expires = null };
        var settings = new ClientSettings { Invitation = new Secret(invitation.Reveal()) };
        ClientOptions options = SettingsResolver.Resolve(settings, _time);
        Assert.Empty(options.SigningKeys);
        Assert.Equal(invitation.SigningKeys, options.InvitedSigningKeys);
        var lasting = (ClientSettings)SettingsResolver.Lasting(settings, options);
        Assert.Equal([SigningSamples.AdminsKey().ToString()], lasting.SigningKey);
        Assert.Equal(invitation.SigningKeys, SettingsResolver.Resolve(lasting, _time).SigningKeys);

        Assert.Equal(
            invitation.SigningKeys,
            SettingsResolver.Resolve(settings with { SigningKey = [SigningSamples.AdminsKey().ToString()] }, _time).SigningKeys);
        Fails(LightTunnelError.NotSigned, settings with { SigningKey = [SigningSamples.AdminsKey(2).ToString()] });
        ClientSettings without = settings with { RequireSignedMembers = false };
        Assert.Null(((ClientSettings)SettingsResolver.Lasting(without, SettingsResolver.Resolve(without, _time))).SigningKey);
    }

    [Theory]
    [InlineData("")]
    [InlineData("d")]
    [InlineData("90")]
    [InlineData("-1d")]
    [InlineData("59m")]
    [InlineData("3651d")]
    [InlineData("2147483647d")]
    [InlineData("forever")]
    public void MemberExpiry_ThatIsNone_IsNamedWithARemedy(string text) =>
        Assert.Contains(
            "90d",
            Fails(LightTunnelError.InvalidOption, () => SettingsResolver.Resolve(Server with { MemberExpiry = text })).RecommendedAction,
            StringComparison.Ordinal);

    [Theory]
    [InlineData("two words")]
    [InlineData("")]
    [InlineData("../up")]
    [InlineData("star*")]
    public void Resolve_NameUnusable_IsRefused(string name)
    {
        Fails(LightTunnelError.InvalidName, Server with { Name = name });
        Fails(LightTunnelError.InvalidName, Client with { Name = name });
        Fails(LightTunnelError.InvalidName, Client with { InterfaceName = name.Length == 0 ? name : name + "/x" });
    }

    [Fact]
    public void Resolve_InterfaceNameUnusable_IsRefused()
    {
        foreach (string name in new[] { "all", "default", "a/b", ".", "..", "a:b", "a%d", new string('x', 64) })
            Fails(LightTunnelError.InvalidName, Server with { InterfaceName = name });
        if (OperatingSystem.IsLinux())
        {
            Fails(LightTunnelError.InvalidName, Server with { InterfaceName = "sixteen-letters-" });
            Assert.Equal("fifteen-letters", SettingsResolver.Resolve(Server with { InterfaceName = "fifteen-letters" }).InterfaceName);
        }
    }

    [Fact]
    public void Resolve_Keys_AreCheckedAndNeverShown()
    {
        ClientOptions options = SettingsResolver.Resolve(Client, _time);
        Assert.Equal(ControlMessageTests.Key(1), options.ServerKey);
        Assert.Equal(Key.Reveal(), options.NetworkKey.Reveal());
        Assert.DoesNotContain(Key.Reveal(), options.ToString(), StringComparison.Ordinal);
        string[] noKeys = ["", "abc", "sEcReTsEcReT", Convert.ToBase64String(new byte[31]), Convert.ToBase64String(new byte[32])];
        foreach (string wrong in noKeys)
        {
            LightTunnelException network = Fails(LightTunnelError.InvalidKey, Client with { NetworkKey = new Secret(wrong) });
            LightTunnelException server = Fails(LightTunnelError.InvalidKey, Client with { ServerKey = wrong });
            Assert.False(
                wrong.Length > 3
                    && (network.ToString().Contains(wrong, StringComparison.Ordinal)
                        || server.ToString().Contains(wrong, StringComparison.Ordinal)));
        }
    }

    [Fact]
    public void Resolve_Invitation_SaysEverything()
    {
        Invitation invitation = InvitationTests.Sample();
        ClientOptions options = SettingsResolver.Resolve(
            new ClientSettings { Invitation = new Secret(invitation.Reveal()), Address = ["10.0.0.20"] }, _time);
        Assert.Equal(invitation.Endpoints, options.Servers);
        Assert.Equal(invitation.ServerKey, options.ServerKey);
        Assert.Equal(invitation.NetworkKey, options.NetworkKey);
        Assert.Equal("10.0.0.20", Assert.Single(options.RequestedAddresses).ToString());
        Assert.Equal(0, options.ListenPort);
        Assert.EndsWith($"client-{options.Name}", options.StatePath, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("10.0.1.20", "not a host address of the network")]
    [InlineData("10.0.0.0", "not a host address of the network")]
    [InlineData("10.0.0.255", "not a host address of the network")]
    [InlineData("10.0.0.20/24", "prefix length, which the server decides")]
    [InlineData("10.0.0", "is not an address")]
    [InlineData("127.0.0.1", "loopback")]
    public void Resolve_AddressThatTheInvitationDoesNotHave_IsRefused(string address, string expected)
    {
        var settings = new ClientSettings { Invitation = new Secret(InvitationTests.Sample().Reveal()), Address = [address] };
        Assert.Contains(expected, Fails(LightTunnelError.InvalidAddress, settings).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Resolve_InvitationMangledOrExpired_IsRefused()
    {
        string text = InvitationTests.Sample(_time.GetUtcNow().AddMinutes(1)).Reveal();
        SettingsResolver.Resolve(new ClientSettings { Invitation = new Secret(text) }, _time);
        Fails(LightTunnelError.InvalidInvitation, new ClientSettings { Invitation = new Secret(text[..50]) });
        _time.Advance(TimeSpan.FromMinutes(1));
        Fails(LightTunnelError.InvitationExpired, new ClientSettings { Invitation = new Secret(text) });
    }

    [Fact]
    public void Resolve_InvitationAndKeys_Contradict()
    {
        var invited = new ClientSettings { Invitation = new Secret(InvitationTests.Sample().Reveal()) };
        Assert.Contains(
            "Server contradicts", Fails(LightTunnelError.InvalidOption, invited with { Server = ["a:1"] }).Message,
            StringComparison.Ordinal);
        Assert.Contains(
            "ServerKey", Fails(LightTunnelError.InvalidOption, invited with { ServerKey = Client.ServerKey }).Message,
            StringComparison.Ordinal);
        Assert.Contains(
            "NetworkKey", Fails(LightTunnelError.InvalidOption, invited with { NetworkKey = Key }).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Resolve_WayToJoinIncomplete_SaysWhatIsMissing()
    {
        Assert.Contains("which network", Fails(LightTunnelError.InvalidOption, new ClientSettings()).Message, StringComparison.Ordinal);
        Assert.Contains(
            "ServerKey and NetworkKey", Fails(LightTunnelError.InvalidOption, new ClientSettings { Server = ["a"] }).Message,
            StringComparison.Ordinal);
        Assert.Contains(
            "NetworkKey missing", Fails(LightTunnelError.InvalidOption, Client with { NetworkKey = null }).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Overlay_Parameters_WinOverTheFile()
    {
        ServerSettings server = SettingsResolver.Overlay(
            Server with
            {
                ListenPort = 1,
                Mtu = 1300,
                Cipher = CipherPolicy.WireGuard,
                NetworkCategory = NetworkCategory.Private,
                AllowInbound = true,
                Endpoint = ["a:1"],
                ClientIsolation = true,
                MaxClients = 7,
                LogPath = "l",
            },
            new ServerSettings { ListenPort = 2, ObserverPort = 0, ClientIsolation = false, Address = ["10.9.0.1/24"] });
        Assert.Equal(
            ("hub", 2, 0, 1300, false, 7, "l"),
            (server.Name, server.ListenPort, server.ObserverPort, server.Mtu, server.ClientIsolation, server.MaxClients, server.LogPath));
        Assert.Equal(CipherPolicy.WireGuard, server.Cipher);
        Assert.Equal((NetworkCategory.Private, true), (server.NetworkCategory, server.AllowInbound));
        Assert.Equal(["10.9.0.1/24"], server.Address);
        Assert.Equal(["a:1"], server.Endpoint);
        ClientSettings client = SettingsResolver.Overlay(
            Client with
            {
                AdvertiseEndpoint = ["192.0.2.1:1"],
                AllowRelay = true,
                PathPolicy = PathPolicy.RelayOnly,
                PortMapping = false,
                Cipher = CipherPolicy.WireGuard,
                NetworkCategory = NetworkCategory.Private,
                AllowInbound = true,
            },
            new ClientSettings
            {
                NetworkCategory = NetworkCategory.Public,
                AllowInbound = false,
                Cipher = CipherPolicy.Auto,
                AllowRelay = false,
                PathPolicy = PathPolicy.Auto,
            });
        Assert.Equal((false, PathPolicy.Auto, false), (client.AllowRelay, client.PathPolicy, client.PortMapping));
        Assert.Equal(CipherPolicy.Auto, client.Cipher);
        Assert.Equal((NetworkCategory.Public, false), (client.NetworkCategory, client.AllowInbound));
        Assert.Equal(["192.0.2.1:1"], client.AdvertiseEndpoint);
    }

    [Fact]
    public void Overlay_OneWayToJoin_ReplacesTheOther()
    {
        var invited = new ClientSettings { Invitation = new Secret("lt1:x") };
        ClientSettings byInvitation = SettingsResolver.Overlay(Client, invited);
        Assert.Null(byInvitation.Server);
        Assert.Null(byInvitation.ServerKey);
        Assert.Null(byInvitation.NetworkKey);
        Assert.Equal("pc", byInvitation.Name);
        ClientSettings byServer = SettingsResolver.Overlay(invited with { Name = "pc" }, Client with { Name = null });
        Assert.Null(byServer.Invitation);
        Assert.Equal("pc", byServer.Name);
        Assert.Same(Client.NetworkKey, byServer.NetworkKey);
        Assert.Same(Key, SettingsResolver.Overlay(Client with { NetworkKey = null }, new ClientSettings { NetworkKey = Key }).NetworkKey);
    }

    [Fact]
    public void Generate_NetworkKey_IsNewValidAndHidden()
    {
        Secret one = NetworkKeys.Generate();
        Assert.True(PresharedKey.TryParse(one.Reveal(), out _));
        Assert.Equal(44, one.Reveal().Length);
        Assert.NotEqual(one.Reveal(), NetworkKeys.Generate().Reveal());
        Assert.Equal("(secret)", one.ToString());
    }
}
