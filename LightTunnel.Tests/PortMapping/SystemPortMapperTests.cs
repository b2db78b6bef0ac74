using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Internet.Nats;
using LightTunnel.PortMapping;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.PortMapping;

/// <summary>The whole mapper, with gateways on the loopback: the laboratory's for PCP and NAT-PMP, a made-up one for UPnP.</summary>
public sealed class SystemPortMapperTests : IDisposable
{
    private const ushort Port = 5000;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private static readonly Gateway Loopback = new(IPAddress.Loopback, IPAddress.Loopback);
    private static readonly UdpEndpoint Inside = new(IPAddress.Loopback, Port);

    /// <summary>For what must not depend on how long things take: no timer fires but by <see cref="FakeTimeProvider.Advance"/>.</summary>
    private readonly FakeTimeProvider _stillTime = new(DateTimeOffset.UtcNow);

    private readonly Finder _finder = new() { Gateway = Loopback };
    private readonly FakeIgd _igd = new();
    private readonly TunnelLog _log = new("test", TimeProvider.System);
    private readonly Channel<PortMappingStatus> _changes = Channel.CreateUnbounded<PortMappingStatus>();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _igd.Dispose();
        _log.Dispose();
    }

    [Theory]
    [InlineData(nameof(PortForwarding.Pcp), nameof(PortMappingProtocol.Pcp))]
    [InlineData(nameof(PortForwarding.NatPmp), nameof(PortMappingProtocol.NatPmp))]
    public async Task Start_GatewayWithPcpOrNatPmp_IsMapped_AndRemovedOnStop(string forwarding, string protocol)
    {
        using var router = new LoopbackRouter(Enum.Parse<PortForwarding>(forwarding));
        using SystemPortMapper mapper = Start(router.Ports, _stillTime);

        PortMappingStatus status = await BecomesAsync(PortMappingState.Mapped);
        Assert.Equal(protocol, status.Protocol.ToString());
        Assert.Equal("198.51.100.1:5000", status.External.ToString());
        Assert.Equal(IPAddress.Loopback, status.Gateway);
        Assert.Equal(TimeSpan.FromHours(1), status.LeaseEnd!.Value - _stillTime.GetUtcNow());
        Assert.True(router.Forwards(Inside));

        await mapper.StopAsync(Token);
        Assert.False(router.Forwards(Inside));
        Assert.Equal(PortMappingStatus.Disabled, mapper.Status);
        Assert.Empty(_igd.Requests);
    }

    [Fact]
    public async Task Start_NobodyAtThePcpPort_UpnpIsAskedAtOnce()
    {
        using SystemPortMapper mapper = Start(new GatewayPorts(FreePort(), FreePort(), _igd.SsdpPort), _stillTime);
        Assert.Equal(PortMappingProtocol.UpnpIgd, (await BecomesAsync(PortMappingState.Mapped)).Protocol);
        await mapper.StopAsync(Token);
        Assert.Empty(_igd.Entries);
    }

    [Fact]
    public async Task Start_NothingAnswers_SaysSo_AndRefreshTriesAgain()
    {
        int control = FreePort();
        _igd.Location = "";
        using SystemPortMapper mapper = Start(new GatewayPorts(control, FreePort(), _igd.SsdpPort), new QuickTime(10));
        PortMappingStatus status = await BecomesAsync(PortMappingState.NotAvailable);
        Assert.Equal("The router does not answer to UPnP.", status.Reason);

        using var router = new LoopbackRouter(PortForwarding.Pcp, control);
        mapper.Refresh();
        await BecomesAsync(PortMappingState.Mapped);
    }

    [Fact]
    public async Task Start_NoGateway_SaysSo_AndRefreshFindsTheNewOne()
    {
        using var router = new LoopbackRouter(PortForwarding.Pcp);
        _finder.Gateway = null;
        using SystemPortMapper mapper = Start(router.Ports);
        Assert.NotNull((await BecomesAsync(PortMappingState.NotAvailable)).Reason);

        _finder.Gateway = Loopback;
        mapper.Refresh();
        await BecomesAsync(PortMappingState.Mapped);
        await mapper.StopAsync(Token);
    }

    [Fact]
    public async Task Start_PublicAddress_AsksNobody()
    {
        using var router = new LoopbackRouter(PortForwarding.Pcp);
        _finder.Gateway = new Gateway(IPAddress.Loopback, IPAddress.Parse("203.0.113.5"));
        using SystemPortMapper mapper = Start(router.Ports);
        await BecomesAsync(PortMappingState.NotAvailable);
        Assert.Equal(0, router.Requests);
    }

    [Fact]
    public async Task Refresh_WhileMapped_AsksAgain_AndTheMappingCountsMeanwhile()
    {
        using var router = new LoopbackRouter(PortForwarding.Pcp);
        using SystemPortMapper mapper = Start(router.Ports, _stillTime);
        await BecomesAsync(PortMappingState.Mapped);

        router.ChangeAddress("198.51.100.2");
        mapper.Refresh();
        _stillTime.Advance(TimeSpan.FromSeconds(1));
        PortMappingStatus next = await _changes.Reader.ReadAsync(Token).AsTask().WaitAsync(Patience, Token);
        Assert.Equal(PortMappingState.Mapped, next.State);
        Assert.Equal("198.51.100.2:5000", next.External.ToString());
        await mapper.StopAsync(Token);
        Assert.False(router.Forwards(Inside));
    }

    [Fact]
    public async Task Refresh_GatewayThatForwardsNoMore_TakesTheMappingBack()
    {
        using var router = new LoopbackRouter(PortForwarding.Pcp);
        using SystemPortMapper mapper = Start(router.Ports, new QuickTime(10));
        await BecomesAsync(PortMappingState.Mapped);
        router.Dispose();
        mapper.Refresh();
        await BecomesAsync(PortMappingState.Searching);
        await BecomesAsync(PortMappingState.NotAvailable);
        Assert.Equal(default, mapper.Status.External);
    }

    [Fact]
    public async Task Refresh_ManyTimes_AsksOnceASecond()
    {
        using var router = new LoopbackRouter(PortForwarding.Pcp);
        using SystemPortMapper mapper = Start(router.Ports, _stillTime);
        await BecomesAsync(PortMappingState.Mapped);
        for (int i = 0; i < 1000; i++)
            mapper.Refresh();
        _stillTime.Advance(TimeSpan.FromSeconds(1));
        await BecomesAsync(PortMappingState.Mapped);
        Assert.Equal(2, router.Requests);
    }

    [Fact]
    public async Task Announcement_OfARestartedGateway_MapsAnew()
    {
        using var router = new LoopbackRouter(PortForwarding.Pcp);
        using SystemPortMapper mapper = Start(router.Ports);
        await BecomesAsync(PortMappingState.Mapped);
        router.ChangeAddress("198.51.100.2");
        await router.AnnounceAsync(address: 0xC633_6402);
        Assert.Equal("198.51.100.2:5000", (await BecomesAsync(PortMappingState.Mapped)).External.ToString());
        Assert.True(router.Forwards(Inside));
    }

    [Theory]
    [InlineData("198.51.100.1", false)]
    [InlineData("192.168.0.5", true)]
    [InlineData("100.64.0.2", true)]
    [InlineData("100.128.0.2", false)]
    [InlineData("192.0.0.2", true)]
    public async Task Status_ExternalAddressOfAnotherNetwork_IsMappedAndTold(string address, bool isPrivate)
    {
        using var router = new LoopbackRouter(PortForwarding.Pcp);
        router.ChangeAddress(address);
        using SystemPortMapper mapper = Start(router.Ports);
        Assert.Equal(isPrivate, (await BecomesAsync(PortMappingState.Mapped)).IsExternalPrivate);
    }

    [Fact]
    public async Task Start_RefusedByUpnp_IsRefused()
    {
        _igd.Refuse = (action, _) => action == "AddPortMapping" ? 606 : 0;
        using SystemPortMapper mapper = Start(new GatewayPorts(FreePort(), FreePort(), _igd.SsdpPort));
        PortMappingStatus status = await BecomesAsync(PortMappingState.Refused);
        Assert.Equal(
            (PortMappingProtocol.UpnpIgd, GatewayResults.Describe(PortMappingProtocol.UpnpIgd, 606)), (status.Protocol, status.Reason));
    }

    [Fact]
    public async Task Start_Fault_IsLoggedAndNoMapping()
    {
        _finder.Fault = new InvalidOperationException("No such luck.");
        using SystemPortMapper mapper = Start(new GatewayPorts());
        await BecomesAsync(PortMappingState.NotAvailable);
        Assert.Contains("No such luck.", Assert.Single(_log.Read()).Exception, StringComparison.Ordinal);
        await mapper.StopAsync(Token);
    }

    [Fact]
    public async Task Stop_WhileSearching_OrNeverStarted_IsQuick()
    {
        using var silent = new UdpClient(new IPEndPoint(IPAddress.Loopback, 0));
        // As time stands still, whoever waits for the silent gateway waits for ever.
        using SystemPortMapper mapper = Start(new GatewayPorts(PortOf(silent), FreePort(), _igd.SsdpPort), _stillTime);
        await silent.ReceiveAsync(Token);
        await mapper.StopAsync(Token).WaitAsync(Patience, Token);

        using var idle = new SystemPortMapper(_finder, TimeProvider.System, _log);
        await idle.StopAsync(Token);
    }

    [Fact]
    public void Find_OnThisMachine_IsConsistent()
    {
        Gateway? gateway = new SystemGatewayFinder(() => _ => false).Find();
        if (gateway is not null)
            Assert.NotEqual(gateway.Address, gateway.LocalAddress);
        Assert.Equal(gateway, new SystemGatewayFinder(() => _ => true).Find()); // A machine whose only uplink is a tunnel.

        int looks = 0;
        new SystemGatewayFinder(() =>
        {
            looks++;
            return _ => false;
        }).Find();
        Assert.Equal(1, looks);
    }

    private SystemPortMapper Start(GatewayPorts ports, TimeProvider? time = null)
    {
        var mapper = new SystemPortMapper(_finder, time ?? TimeProvider.System, _log, ports);
        mapper.Start(Port, () => _changes.Writer.TryWrite(mapper.Status));
        return mapper;
    }

    private async Task<PortMappingStatus> BecomesAsync(PortMappingState state)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(Token);
        deadline.CancelAfter(Patience);
        while (true)
        {
            PortMappingStatus status = await _changes.Reader.ReadAsync(deadline.Token);
            if (status.State == state)
                return status;
        }
    }

    private static int PortOf(UdpClient client) => ((IPEndPoint)client.Client.LocalEndPoint!).Port;

    private static int FreePort()
    {
        using var client = new UdpClient(new IPEndPoint(IPAddress.Loopback, 0));
        return PortOf(client);
    }

    private sealed class Finder : IGatewayFinder
    {
        public Gateway? Gateway { get; set; }

        public Exception? Fault { get; set; }

        public Gateway? Find() => Fault is null ? Gateway : throw Fault;
    }

    /// <summary>The laboratory's PCP and NAT-PMP server on a real socket.</summary>
    private sealed class LoopbackRouter : IDisposable
    {
        private readonly Lock _lock = new();
        private readonly Nat _nat;
        private readonly PortForwarder _forwarder;
        private readonly UdpClient _socket;
        private readonly int _announcementPort = FreePort();

        public LoopbackRouter(PortForwarding forwarding, int port = 0)
        {
            _nat = new Nat(new NatSettings { Forwarding = forwarding }, IPAddress.Parse("198.51.100.1"), seed: 1);
            _forwarder = new PortForwarder(_nat);
            _socket = new UdpClient(new IPEndPoint(IPAddress.Loopback, port));
            _ = AnswerAsync();
        }

        public int Requests { get; private set; }

        public GatewayPorts Ports => new(PortOf(_socket), _announcementPort, FreePort());

        private static TimeSpan Now => TimeSpan.FromMilliseconds(Environment.TickCount64);

        public bool Forwards(in UdpEndpoint inside)
        {
            lock (_lock)
                return _nat.IsForwarded(Now, NatProtocol.Udp, inside);
        }

        public void ChangeAddress(string address)
        {
            lock (_lock)
            {
                _nat.ChangeOutsideAddress(IPAddress.Parse(address));
                _forwarder.Reboot(Now);
            }
        }

        public async Task AnnounceAsync(uint address)
        {
            byte[] announcement =
                [0, 0x80, 0, 0, 0, 0, 0, 0, (byte)(address >> 24), (byte)(address >> 16), (byte)(address >> 8), (byte)address];
            await _socket.SendAsync(announcement, new IPEndPoint(IPAddress.Loopback, _announcementPort), Token);
        }

        public void Dispose() => _socket.Dispose();

        private async Task AnswerAsync()
        {
            byte[] answer = new byte[PortForwarder.MaximumAnswer];
            try
            {
                while (true)
                {
                    UdpReceiveResult request = await _socket.ReceiveAsync();
                    Requests++;
                    int length;
                    lock (_lock)
                        length = _forwarder.Answer(Now, request.RemoteEndPoint, request.Buffer, answer);
                    await _socket.SendAsync(answer.AsMemory(0, length), request.RemoteEndPoint);
                }
            }
            catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
            {
            }
        }
    }
}
