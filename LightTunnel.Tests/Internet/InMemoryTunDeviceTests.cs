using LightTunnel.Diagnostics;
using LightTunnel.Internet.Fakes;
using LightTunnel.Packets;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Internet;

public sealed class InMemoryTunDeviceTests
{
    private static readonly byte[] Packet = Udp("10.0.0.20", "10.0.0.1", 1, 2, [1]);

    [Fact]
    public void TryRead_InjectedPackets_ComeInBatches()
    {
        using var tun = new InMemoryTunDevice();
        var batch = new PacketBatch(2, 1500);
        Assert.False(tun.TryRead(batch));
        for (int i = 0; i < 3; i++)
            tun.Inject(Packet);
        Assert.True(tun.TryRead(batch) && batch.Count == 2);
        Assert.True(tun.TryRead(batch) && batch.Count == 1);
        Assert.Equal(Packet, batch.Packet(0).ToArray());
    }

    [Fact]
    public void Write_Packets_AreCollectedAndOthersCounted()
    {
        using var tun = new InMemoryTunDevice();
        tun.Write(Packet);
        tun.Write([0xC1, 0]);
        Assert.True(tun.TryCollect(out byte[]? packet));
        Assert.Equal(Packet, packet);
        Assert.False(tun.TryCollect(out _));
        Assert.Equal((1, 0), (tun.WriteErrors, tun.WrittenCount));
        Assert.Null(tun.Collect(TimeSpan.Zero));
    }

    [Fact]
    public async Task Read_Blocking_WakesOnInjectAndOnClose()
    {
        using var tun = new InMemoryTunDevice();
        var batch = new PacketBatch(2, 1500);
        Task<bool> read = Task.Run(() => tun.Read(batch));
        tun.Inject(Packet);
        Assert.True(await read.WaitAsync(TimeSpan.FromMinutes(2), TestContext.Current.CancellationToken));
        read = Task.Run(() => tun.Read(batch));
        tun.Close();
        Assert.False(await read.WaitAsync(TimeSpan.FromMinutes(2), TestContext.Current.CancellationToken));
    }

    [Fact]
    public void Factory_NameOfALivingDevice_IsRefused()
    {
        var factory = new InMemoryTunDeviceFactory();
        InMemoryTunDevice first = factory.Create("lt5");
        Assert.Equal(LightTunnelError.InterfaceNameInUse, Assert.Throws<LightTunnelException>(() => factory.Create("lt5")).Error);
        first.Dispose();
        factory.Create("lt5");
        Assert.Equal(2, factory.Devices.Count);
        first.Configure([Interface("10.0.0.1/24")], 1400);
        Assert.Equal((1400, "10.0.0.1/24"), (first.Mtu, Assert.Single(first.Addresses).ToString()));
    }
}
