using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Timing;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>A node keeps its interface as it set it, until somebody insists on another way.</summary>
public sealed class InterfaceUpkeepTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(5);

    private readonly SimulatedNetwork _network = new();
    private readonly SimulatedNode _alice;

    public InterfaceUpkeepTests()
    {
        _network.StartServer();
        _alice = _network.AddClient("alice");
        Assert.True(_network.RunUntil(() => _alice.IsUp, Soon));
    }

    public void Dispose() => _network.Dispose();

    [Fact]
    public void Flush_Once_IsPutRightAndSaidOnce()
    {
        _alice.Tun.Flush();
        _network.Run(Soon);

        Assert.Equal(_alice.Node.Forwarding.OwnAddresses, _alice.Tun.Addresses);
        Assert.Equal((TunnelState.Up, null), (_alice.Node.ShownState, _alice.Node.ShownError));
        LogEntry line = Assert.Single(_alice.Log.Read(minimumLevel: LogLevel.Warning));
        Assert.Contains($"address {_alice.Address}/24 is gone", line.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Flush_OfTheServersInterface_IsPutRightToo()
    {
        _network.Server.Tun.Flush();
        _network.Run(Soon);

        Assert.Equal(_network.Server.Node.Forwarding.OwnAddresses, _network.Server.Tun.Addresses);
    }

    [Fact]
    public void Flush_FourTimesWithinAMinute_IsLeftAloneAndSaid_UntilTheTruceEnds()
    {
        for (int round = 0; round < RepairLimit.Most; round++)
        {
            _alice.Tun.Flush();
            _network.Run(Soon);
            Assert.Equal(TunnelState.Up, _alice.Node.ShownState);
        }

        _alice.Tun.Flush();
        _network.Run(Soon);

        Assert.Empty(_alice.Tun.Addresses);
        Assert.Equal(TunnelState.Impaired, _alice.Node.ShownState);
        Assert.Contains("again and again", _alice.Node.ShownError, StringComparison.Ordinal);
        Assert.Contains(_alice.Log.Read(minimumLevel: LogLevel.Warning), line => line.Message == _alice.Node.ShownError);
        Assert.Equal(TunnelState.Impaired, _alice.Node.Journal.Changes.Read(0)[^1].State!.New);
        Assert.True(_alice.IsUp); // The network itself goes on.

        _network.Run(RepairLimit.Truce);
        Assert.NotEmpty(_alice.Tun.Addresses);
        Assert.Equal((TunnelState.Up, null), (_alice.Node.ShownState, _alice.Node.ShownError));
    }

    [Fact]
    public void Flush_FourTimesInSomeMinutes_IsNoFight()
    {
        for (int round = 0; round < 4; round++)
        {
            _alice.Tun.Flush();
            _network.Run(TimeSpan.FromSeconds(25));
            Assert.Equal(TunnelState.Up, _alice.Node.ShownState);
        }
    }

    [Fact]
    public void Flush_SystemRefusesToPutItRight_IsSaidAndTriedAgain()
    {
        _alice.Tun.Refusal = "IPv6 is switched off";
        _alice.Tun.Flush();
        _network.Run(TimeSpan.FromMinutes(2));

        Assert.Equal(TunnelState.Impaired, _alice.Node.ShownState);
        Assert.Contains("IPv6 is switched off", _alice.Node.ShownError, StringComparison.Ordinal);
        Assert.Single(_alice.Log.Read(minimumLevel: LogLevel.Warning));

        _alice.Tun.Refusal = null;
        Assert.True(_network.RunUntil(() => _alice.Node.ShownState == TunnelState.Up, InterfaceUpkeep.Retry + Soon));
        Assert.NotEmpty(_alice.Tun.Addresses);
    }
}
