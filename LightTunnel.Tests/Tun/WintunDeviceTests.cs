using LightTunnel.Diagnostics;
using LightTunnel.Packets;
using LightTunnel.Tun;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Tun;

/// <summary>The Windows device on a driver and a system in memory: its ring logic, errors and configuration run everywhere.</summary>
public sealed class WintunDeviceTests : IDisposable
{
    private static readonly byte[] Packet = Udp("10.0.0.20", "10.0.0.1", 1, 2, [1, 2, 3]);
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly FakeWintun _driver = new();
    private readonly FakeIpHelper _system = new();

    public void Dispose() => _driver.Dispose();

    [Fact]
    public void Create_WithoutName_TakesFirstFree()
    {
        _system.Names["lt0"] = 5;
        using WintunDevice device = WintunDevice.Create(null, _driver, _system);
        Assert.Equal(("lt1", 77, WintunDevice.RingCapacity), (device.Name, device.InterfaceIndex, _driver.Capacity));
    }

    [Theory]
    [InlineData(5, LightTunnelError.PrivilegeRequired)]
    [InlineData(183, LightTunnelError.InterfaceNameInUse)]
    [InlineData(52, LightTunnelError.InterfaceNameInUse)]
    [InlineData(1168, LightTunnelError.TunUnavailable)]
    public void Create_DriverRefuses_SaysWhy(int win32, LightTunnelError expected)
    {
        _driver.CreateError = win32;
        AssertFails(expected, () => WintunDevice.Create("lt5", _driver, _system));
    }

    [Fact]
    public void Create_NameOfForeignInterface_SaysSo()
    {
        _system.Names["Ethernet"] = 5;
        AssertFails(LightTunnelError.InterfaceNameInUse, () => WintunDevice.Create("Ethernet", _driver, _system));
    }

    [Fact]
    public void Create_AdapterThatHasASessionAlready_SaysSoAndIsGivenBack()
    {
        _driver.SessionError = WintunDevice.ErrorAlreadyInitialized;
        AssertFails(LightTunnelError.InterfaceNameInUse, () => WintunDevice.Create("lt5", _driver, _system));
        Assert.Equal(["create lt5", "close"], _driver.Calls);
    }

    /// <summary>Another program's adapter by Wintun is not taken, and Wintun gets no chance to give it another name.</summary>
    [Fact]
    public void Create_NameThatSomebodyHas_LeavesThatAdapterAlone()
    {
        _system.Names["lt5"] = 5;
        AssertFails(LightTunnelError.InterfaceNameInUse, () => WintunDevice.Create("lt5", _driver, _system));
        Assert.Empty(_driver.Calls);
    }

    [Fact]
    public void Create_HasTheGuidThatItWasGiven_UnlessAnotherAdapterHasIt()
    {
        Guid id = AdapterId.Of(new byte[32]);
        using (WintunDevice.Create("lt5", _driver, _system, id: id))
            Assert.Equal([id], _driver.Ids);

        _driver.TakenId = id;
        using (WintunDevice.Create("lt6", _driver, _system, id: id))
            Assert.Equal([id, null], _driver.Ids);
    }

    [Fact]
    public void Create_TwoAtTheSameTime_GetNamesOfTheirOwn()
    {
        using var otherDriver = new FakeWintun();
        WintunDevice? other = null;
        Thread? beginning = null;
        _driver.Creating = name =>
        {
            // The other one looks for a free name, or waits until it may, before the system knows this one's.
            beginning = new Thread(() => other = WintunDevice.Create(null, otherDriver, _system)) { IsBackground = true };
            beginning.Start();
            for (int waits = 0; beginning.IsAlive && waits < 100; Thread.Sleep(1))
                waits = beginning.ThreadState.HasFlag(ThreadState.WaitSleepJoin) ? waits + 1 : 0;
            _system.Names[name] = 5;
        };
        using WintunDevice device = WintunDevice.Create(null, _driver, _system);
        Assert.True(beginning!.Join(Patience));

        Assert.Equal(("lt0", "lt1"), (device.Name, other!.Name));
        other.Dispose();
    }

    [Theory]
    [InlineData("")]
    [InlineData(" lt0")]
    [InlineData("a\\b")]
    [InlineData("a:b")]
    [InlineData("a\nb")]
    public void Create_ImpossibleName_SaysSo(string name) =>
        AssertFails(LightTunnelError.InvalidName, () => WintunDevice.Create(name, _driver, _system));

    [Fact]
    public void Read_WaitingPackets_AreTakenInBatchesAndReleased()
    {
        using WintunDevice device = WintunDevice.Create(null, _driver, _system);
        for (int i = 0; i < 5; i++)
            _driver.Deliver(Packet);
        var batch = new PacketBatch(3, 1500);
        Assert.True(device.Read(batch) && batch.Count == 3);
        Assert.Equal(Packet, batch.Packet(2).ToArray());
        Assert.True(device.Read(batch) && batch.Count == 2);
        Assert.Equal(0, _driver.Outstanding);
    }

    [Fact]
    public async Task Read_EmptyRing_WaitsForTheEvent()
    {
        using WintunDevice device = WintunDevice.Create(null, _driver, _system);
        var batch = new PacketBatch(3, 1500);
        Task<bool> read = Task.Run(() => device.Read(batch));
        Assert.True(_driver.FoundEmpty.Wait(Patience, TestContext.Current.CancellationToken));
        _driver.Deliver(Packet);
        Assert.True(await read.WaitAsync(Patience, TestContext.Current.CancellationToken));
        Assert.Equal(1, batch.Count);
    }

    [Fact]
    public void Read_TooLongPacket_IsDroppedAndReleased()
    {
        using WintunDevice device = WintunDevice.Create(null, _driver, _system);
        _driver.Deliver(new byte[101]);
        _driver.Deliver(new byte[100]);
        var batch = new PacketBatch(3, 100);
        Assert.True(device.Read(batch));
        Assert.Equal((1, 100, 0), (batch.Count, batch[0].Length, _driver.Outstanding));
    }

    [Fact]
    public void Read_AdapterGone_EndsAfterWhatWasThere()
    {
        using WintunDevice device = WintunDevice.Create(null, _driver, _system);
        _driver.Deliver(Packet);
        _driver.Terminated = true;
        var batch = new PacketBatch(3, 1500);
        Assert.True(device.Read(batch) && batch.Count == 1);
        Assert.False(device.Read(batch));
    }

    [Fact]
    public void Write_Packets_ReachTheDriverAndOverflowIsCounted()
    {
        using WintunDevice device = WintunDevice.Create(null, _driver, _system);
        var batch = new PacketBatch(4, 1500);
        batch.TryAdd(Packet);
        batch.TryAdd(Packet);
        batch[0].Length = 0;
        batch.TryAdd([0xC1, 0]); // No IP packet: never shown to the driver.
        device.Write(batch);
        Assert.Equal(1, device.WriteErrors);
        _driver.SendRingFull = true;
        device.Write(Packet);
        Assert.Equal(2, device.WriteErrors);
        _driver.SendRingFull = false;
        device.Write(Packet);
        Assert.Equal([Packet, Packet], _driver.Sent);
        Assert.Equal(0, _driver.Outstanding);
    }

    [Fact]
    public void Close_WhileReadWaits_UnblocksItBeforeTheSessionEnds()
    {
        WintunDevice device = WintunDevice.Create(null, _driver, _system);
        var thread = new Thread(() =>
        {
            while (device.Read(new PacketBatch(3, 1500)))
            {
            }

            lock (_driver.Calls)
                _driver.Calls.Add("read ended");
        });
        thread.Start();
        Assert.True(_driver.FoundEmpty.Wait(Patience, TestContext.Current.CancellationToken));
        device.Close();
        Assert.True(thread.Join(Patience), "Read still waits after Close.");
        device.Dispose();
        device.Dispose();
        Assert.Equal(["create lt0", "start", "read ended", "end", "close"], _driver.Calls);
        device.Write(Packet);
        Assert.Equal(1, device.WriteErrors);
        Assert.False(device.Read(new PacketBatch(3, 1500)));
    }

    [Fact]
    public void Dispose_WhileReadWaits_EndsTheSessionOnlyAfterwards()
    {
        WintunDevice device = WintunDevice.Create(null, _driver, _system);
        var thread = new Thread(() => device.Read(new PacketBatch(3, 1500)));
        thread.Start();
        Assert.True(_driver.FoundEmpty.Wait(Patience, TestContext.Current.CancellationToken));
        device.Dispose();
        Assert.True(thread.Join(Patience));
        Assert.Equal(["end", "close"], _driver.Calls[^2..]);
        Assert.False(_driver.CalledAfterEnd);
    }

    [Fact]
    public void Configure_Again_ChangesOnlyWhatDiffers()
    {
        using WintunDevice device = WintunDevice.Create(null, _driver, _system);
        device.Configure([Interface("10.0.0.1/24"), Interface("fd00::1/64")], 1380);
        _system.Addresses.Add(Interface("fe80::5/64"));
        Assert.Equal(["mtu4 1380", "mtu6 1380", "+10.0.0.1/24", "+fd00::1/64"], _system.Calls);
        _system.Calls.Clear();
        device.Configure([Interface("10.0.0.1/24"), Interface("10.7.0.1/16")], 1300);
        Assert.Equal(["mtu4 1300", "mtu6 1300", "-fd00::1/64", "+10.7.0.1/16"], _system.Calls);
        Assert.Equal(1300, device.Mtu);
    }

    [Fact]
    public void Configure_NetworkOfAnotherInterface_SaysWhose()
    {
        _system.Others.Add(new LocalAddress("Ethernet", Interface("10.0.0.77/24")));
        using WintunDevice device = WintunDevice.Create(null, _driver, _system);
        LightTunnelException error = AssertFails(LightTunnelError.AddressInUse, () => device.Configure([Interface("10.0.0.1/24")], 1400));
        Assert.Contains("Ethernet", error.Message, StringComparison.Ordinal);
        Assert.Empty(_system.Calls);
    }

    [Fact]
    public void Configure_IPv6SwitchedOff_GoesOnWithIPv4_AndFailsWithoutIt()
    {
        _system.MtuErrorIPv6 = 87;
        using WintunDevice device = WintunDevice.Create(null, _driver, _system);
        Assert.Null(device.Configure([Interface("10.0.0.1/24")], 1380));
        Assert.Contains("+10.0.0.1/24", _system.Calls);
        LightTunnelException? missing = device.Configure([Interface("10.0.0.2/24"), Interface("fd00::1/64")], 1380);
        Assert.Contains("ms_tcpip6", missing!.RecommendedAction, StringComparison.Ordinal);
        Assert.Contains("+10.0.0.2/24", _system.Calls);
        Assert.DoesNotContain("+fd00::1/64", _system.Calls);
        AssertFails(LightTunnelError.Internal, () => device.Configure([Interface("fd00::1/64")], 1380));
    }

    [Fact]
    public void Configure_InterfaceNotReadyYet_IsTriedAgain()
    {
        _system.NotReadyTimes = 2;
        using WintunDevice device = WintunDevice.Create(null, _driver, _system);
        device.Configure([Interface("10.0.0.1/24")], 1380);
        Assert.Contains("mtu4 1380", _system.Calls);
    }

    /// <summary>Status 5010: the address is there already. On this interface that is success, on another one it is not.</summary>
    [Fact]
    public void Configure_AddressThatAnInterfaceNobodySeesHas_IsNoSuccess()
    {
        using WintunDevice device = WintunDevice.Create(null, _driver, _system);
        _system.AddressError = WintunDevice.ErrorObjectAlreadyExists;
        LightTunnelException error = AssertFails(LightTunnelError.AddressInUse, () => device.Configure([Interface("10.0.0.1/24")], 1400));
        Assert.Contains("10.0.0.1", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Configure_AddressThatTheInterfaceGotMeanwhile_IsSuccess()
    {
        using WintunDevice device = WintunDevice.Create(null, _driver, _system);
        _system.Adding = address => _system.Addresses.Add(address);
        _system.AddressError = WintunDevice.ErrorObjectAlreadyExists;
        Assert.Null(device.Configure([Interface("10.0.0.1/24")], 1400));
    }

    [Fact]
    public void Configure_AddressThatTheInterfaceGotMeanwhile_WithAnotherPrefix_GetsItsOwn()
    {
        using WintunDevice device = WintunDevice.Create(null, _driver, _system);
        _system.Adding = _ =>
        {
            bool isOther = _system.Addresses.Contains(Interface("10.0.0.1/8"));
            if (_system.Calls.Contains("-10.0.0.1/8"))
                _system.AddressError = 0;
            else if (!isOther)
                _system.Addresses.Add(Interface("10.0.0.1/8"));
        };
        _system.AddressError = WintunDevice.ErrorObjectAlreadyExists;
        Assert.Null(device.Configure([Interface("10.0.0.1/24")], 1400));
        Assert.Equal([Interface("10.0.0.1/24")], _system.Addresses);
    }

    private static LightTunnelException AssertFails(LightTunnelError expected, Action action)
    {
        LightTunnelException error = Assert.Throws<LightTunnelException>(action);
        Assert.Equal(expected, error.Error);
        Assert.NotEmpty(error.RecommendedAction);
        return error;
    }
}
