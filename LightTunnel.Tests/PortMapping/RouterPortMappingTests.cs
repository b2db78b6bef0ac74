using System.Net;
using System.Net.Sockets;
using LightTunnel.Addressing;
using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Wires;
using LightTunnel.Lab;
using LightTunnel.Lab.Namespaces;
using LightTunnel.PortMapping;
using Xunit;

namespace LightTunnel.Tests.PortMapping;

/// <summary>A host behind the laboratory's router has a port forwarded: real sockets, a stranger's packets.</summary>
public sealed class RouterPortMappingTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan Silence = TimeSpan.FromMilliseconds(300);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(nameof(NatKind.PortRestrictedCone), nameof(PortForwarding.Pcp))]
    [InlineData(nameof(NatKind.SymmetricRandom), nameof(PortForwarding.Pcp))]
    [InlineData(nameof(NatKind.SymmetricRandom), nameof(PortForwarding.NatPmp))]
    public async Task ForwardedPort_LetsStrangersIn_UntilItIsRemoved(string kind, string forwarding)
    {
        Prerequisites.SkipUnlessLaboratory();
        NatSettings settings = NatKinds.Layers(Enum.Parse<NatKind>(kind))[0] with { Forwarding = Enum.Parse<PortForwarding>(forwarding) };
        await using Laboratory laboratory = await Laboratory.StartAsync(
            Topology.OpenHosts(TimeSpan.Zero, "stranger").WithLan("home", [settings], WireConditions.Perfect, "alice"),
            shells: false, Token);
        string host = laboratory["alice"].Namespace;
        using UdpClient alice = Open(host), stranger = Open(laboratory["stranger"].Namespace), control = Open(host);
        control.Connect("192.168.1.1", 5351);
        ushort port = (ushort)((IPEndPoint)alice.Client.LocalEndPoint!).Port;
        var dialogue = new GatewayDialogue(
            TimeProvider.System, Random.Shared.NextDouble, new UdpEndpoint(IPAddress.Parse(laboratory["alice"].Addresses[0]), port),
            nonce: 7, UdpEndpoint.FromIPv4(0, port));

        while (dialogue.State == DialogueState.Asking)
        {
            await SendAsync(control, dialogue.TakeRequest);
            if (await ReceiveAsync(control, dialogue.UntilNext) is { } answer)
                dialogue.Receive(answer.Buffer);
        }

        Assert.Equal(DialogueState.Mapped, dialogue.State);
        Assert.Equal("198.51.100.1", dialogue.External.Address.ToString());
        await stranger.SendAsync("hello"u8.ToArray(), dialogue.External.ToIPEndPoint(), Token);
        UdpReceiveResult heard = (await ReceiveAsync(alice, Patience))!.Value;
        await alice.SendAsync("who are you"u8.ToArray(), heard.RemoteEndPoint, Token);
        Assert.Equal(dialogue.External.ToIPEndPoint(), (await ReceiveAsync(stranger, Patience))!.Value.RemoteEndPoint);

        await SendAsync(control, dialogue.WriteRemoval);
        Assert.NotNull(await ReceiveAsync(control, Patience));
        using UdpClient other = Open(laboratory["stranger"].Namespace);
        await other.SendAsync("hello"u8.ToArray(), dialogue.External.ToIPEndPoint(), Token);
        Assert.Null(await ReceiveAsync(alice, Silence));
    }

    private static async Task SendAsync(UdpClient client, Func<Span<byte>, int> write)
    {
        byte[] request = new byte[GatewayDialogue.MaximumRequestLength];
        int length = write(request);
        if (length > 0)
            await client.SendAsync(request.AsMemory(0, length), Token);
    }

    private static UdpClient Open(string host) => NetworkNamespace.Run(host, () => new UdpClient(new IPEndPoint(IPAddress.Any, 0)));

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
}
