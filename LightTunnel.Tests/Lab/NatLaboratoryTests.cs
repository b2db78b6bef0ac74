using System.Net;
using System.Net.Sockets;
using LightTunnel.Internet.Nats;
using LightTunnel.Lab;
using LightTunnel.Lab.Namespaces;
using Xunit;

namespace LightTunnel.Tests.Lab;

/// <summary>Hosts behind NATs in the laboratory, by the system's own ping and sockets.</summary>
public sealed class NatLaboratoryTests
{
    private const string Server = "203.0.113.1";
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan Silence = TimeSpan.FromMilliseconds(300);
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task NattedHosts_PingTheInternetAndEachOther_ButNobodyPingsThem()
    {
        await using Laboratory laboratory = await StartAsync(Topology.OpenHosts(TimeSpan.FromMilliseconds(10), "server")
            .WithLan("home", NatKind.PortRestrictedCone, TimeSpan.FromMilliseconds(10), "alice", "bob")
            .WithLan("flat", NatKind.CarrierGrade, TimeSpan.FromMilliseconds(10), "carol"));

        await AssertPing(laboratory["alice"], Server, true);
        await AssertPing(laboratory["carol"], Server, true);
        await AssertPing(laboratory["alice"], laboratory["bob"].Addresses[0], true);
        await AssertPing(laboratory["alice"], laboratory["carol"].Addresses[0], false);
        await AssertPing(laboratory["server"], laboratory["alice"].Addresses[0], false);
        Assert.NotEqual(0, laboratory.Nat("flat-carrier").Nat[NatVerdict.Translated]);
    }

    [Theory]
    [InlineData(nameof(NatKind.FullCone), true, true)]
    [InlineData(nameof(NatKind.RestrictedCone), true, false)]
    [InlineData(nameof(NatKind.PortRestrictedCone), false, false)]
    public async Task Udp_UnsolicitedInbound_IsFilteredAsItsKindSays(string kind, bool otherPort, bool otherAddress)
    {
        await using Laboratory laboratory = await StartAsync(Topology.OpenHosts(TimeSpan.Zero, "server", "stranger")
            .WithLan("home", Enum.Parse<NatKind>(kind), TimeSpan.Zero, "alice"));
        using UdpClient alice = Open(laboratory["alice"]), server = Open(laboratory["server"]);
        using UdpClient second = Open(laboratory["server"]), stranger = Open(laboratory["stranger"]);

        await alice.SendAsync("hello"u8.ToArray(), new IPEndPoint(IPAddress.Parse(Server), Port(server)), Token);
        IPEndPoint seen = (await ReceiveAsync(server, Patience))!.Value.RemoteEndPoint;
        Assert.Equal("198.51.100.1", seen.Address.ToString());

        await second.SendAsync("other port"u8.ToArray(), seen, Token);
        Assert.Equal(otherPort, await ReceiveAsync(alice, otherPort ? Patience : Silence) is not null);
        await stranger.SendAsync("other address"u8.ToArray(), seen, Token);
        Assert.Equal(otherAddress, await ReceiveAsync(alice, otherAddress ? Patience : Silence) is not null);
        await server.SendAsync("answer"u8.ToArray(), seen, Token);
        Assert.NotNull(await ReceiveAsync(alice, Patience));
    }

    [Fact]
    public async Task Reboot_BreaksWhatComesIn_UntilTheNextPacketOut()
    {
        await using Laboratory laboratory = await StartAsync(
            Topology.OpenHosts(TimeSpan.Zero, "server").WithLan("home", NatKind.SymmetricRandom, TimeSpan.Zero, "alice"));
        using UdpClient alice = Open(laboratory["alice"]), server = Open(laboratory["server"]);
        var serverEndpoint = new IPEndPoint(IPAddress.Parse(Server), Port(server));
        await alice.SendAsync("hello"u8.ToArray(), serverEndpoint, Token);
        IPEndPoint before = (await ReceiveAsync(server, Patience))!.Value.RemoteEndPoint;

        laboratory.Internet.Reboot(laboratory.Nat("home"));
        await server.SendAsync("lost"u8.ToArray(), before, Token);
        Assert.Null(await ReceiveAsync(alice, Silence));

        await alice.SendAsync("again"u8.ToArray(), serverEndpoint, Token);
        IPEndPoint after = (await ReceiveAsync(server, Patience))!.Value.RemoteEndPoint;
        Assert.NotEqual(before, after);
        await server.SendAsync("answer"u8.ToArray(), after, Token);
        Assert.NotNull(await ReceiveAsync(alice, Patience));
    }

    [Fact]
    public async Task UdpBlocked_PingsPassAndUdpDoesNot()
    {
        await using Laboratory laboratory = await StartAsync(
            Topology.OpenHosts(TimeSpan.Zero, "server").WithLan("office", NatKind.UdpBlocked, TimeSpan.Zero, "alice"));
        using UdpClient alice = Open(laboratory["alice"]), server = Open(laboratory["server"]);

        await AssertPing(laboratory["alice"], Server, true);
        await alice.SendAsync("hello"u8.ToArray(), new IPEndPoint(IPAddress.Parse(Server), Port(server)), Token);
        Assert.True(SpinWait.SpinUntil(() => laboratory.Nat("office").Nat[NatVerdict.Blocked] == 1, Patience));
        Assert.Null(await ReceiveAsync(server, Silence));
    }

    private static async Task AssertPing(LabNode from, string to, bool answers)
    {
        CommandResult ping = answers
            ? await from.PingAsync(to, count: 3, Interval, Token, "-w", "60")
            : await from.PingAsync(to, count: 3, Interval, Token, "-w", "1");
        Assert.True(answers == (ping.ExitCode == 0), $"{from.Name} to {to}: {ping.Output}{ping.Errors}");
    }

    private static UdpClient Open(LabNode node) =>
        NetworkNamespace.Run(node.Namespace, () => new UdpClient(new IPEndPoint(IPAddress.Any, 0)));

    private static int Port(UdpClient client) => ((IPEndPoint)client.Client.LocalEndPoint!).Port;

    private static async Task<UdpReceiveResult?> ReceiveAsync(UdpClient client, TimeSpan atMost)
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(Token);
        timeout.CancelAfter(atMost);
        try
        {
            return await client.ReceiveAsync(timeout.Token);
        }
        catch (OperationCanceledException) when (!Token.IsCancellationRequested)
        {
            return null;
        }
    }

    private static Task<Laboratory> StartAsync(Topology topology)
    {
        Requirement? missing = SetupCheck.Essentials().Concat(SetupCheck.ForDemo()).FirstOrDefault(requirement => !requirement.IsThere);
        Assert.SkipWhen(missing is not null, $"needs {missing?.What}");
        return Laboratory.StartAsync(topology, shells: false, Token);
    }
}
