using LightTunnel.Diagnostics;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>A machine's clock is set back while the tunnel does not run: the server has had later handshakes of it already.</summary>
public sealed class ClockSetBackTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Back = TimeSpan.FromSeconds(-107);

    private readonly SimulatedNetwork _network = new();

    public void Dispose() => _network.Dispose();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Client_ComesBack_AtOnce_WhenItKnowsWhenItRanBefore(bool knows)
    {
        _network.StartServer();
        using PrivateKey identity = _network.NewKey();
        SimulatedNode alice = _network.AddClient("alice", "10.0.0.5", identity: identity);
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));
        DateTimeOffset ran = _network.Time.GetUtcNow();
        _network.Stop(alice);

        SimulatedNode again = _network.AddClient("alice", "10.0.0.5", identity: identity, lastUsed: knows ? ran : null);
        again.Clock.Jump(Back);

        Assert.Equal(knows, _network.RunUntil(() => again.IsUp, Soon));
        Assert.True(_network.RunUntil(() => again.IsUp, TimeSpan.FromMinutes(5)));
    }

    [Fact]
    public void Unreachable_ClockIsBehind_NamesTheClock()
    {
        DateTimeOffset now = _network.Time.GetUtcNow();
        SimulatedNode alice = _network.AddClient("alice", lastUsed: now + TimeSpan.FromHours(1));
        SimulatedNode bob = _network.AddClient("bob", lastUsed: now - TimeSpan.FromHours(1));
        _network.Run(Soon);

        LightTunnelException reason = alice.Client.Unreachable();
        Assert.Equal(LightTunnelError.ServerUnreachable, reason.Error);
        Assert.Contains("This machine's clock says", reason.Message, StringComparison.Ordinal);
        Assert.Contains("timedatectl", reason.RecommendedAction, StringComparison.Ordinal);
        Assert.DoesNotContain("clock", bob.Client.Unreachable().Message, StringComparison.Ordinal);
    }
}
