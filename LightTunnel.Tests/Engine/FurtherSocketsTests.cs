using LightTunnel.Addressing;
using LightTunnel.Engine.Client;
using LightTunnel.Engine.Control;
using LightTunnel.Internet.Simulation;
using LightTunnel.Timing;
using LightTunnel.Traversal;
using Xunit;

namespace LightTunnel.Tests.Engine;

public sealed class FurtherSocketsTests
{
    private static readonly Timestamp Until = Timestamp.FromTicks(1000);

    private readonly VirtualTime _time = new();
    private readonly SimulatedSocket _socket;
    private readonly TurnOutputs _outputs = new();
    private readonly FurtherSockets _sockets;
    private int _assigned;

    public FurtherSocketsTests()
    {
        _socket = new SimulatedInternet(_time, 1).AddHost("alice").Open(0);
        _sockets = new FurtherSockets(_outputs);
    }

    [Fact]
    public void Open_EachAttempt_HasSocketsOfItsOwn_OrNone()
    {
        AttemptSockets[] attempts = [.. Enumerable.Range(0, 5).Select(_ => Attempt(256))];
        Assert.Equal([256, 256, 256, 256, 0], attempts.Select(attempt => attempt.Opened.Count));
        Assert.Equal(4, _assigned);
        Assert.Equal(4 * 256, attempts.SelectMany(attempt => attempt.Opened).Distinct().Count());
        Assert.False(_sockets.HasRoomFor(256));
    }

    [Fact]
    public void RunTimers_NobodyNeedsThem_AreClosed_AndThereIsRoomAgain()
    {
        AttemptSockets attempt = Attempt(256);
        Assert.Equal(256, _sockets.Count);
        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(Timestamp.Never, _sockets.RunTimers(_time.Now(), []));
        CarryOut();
        Assert.Equal(0, _sockets.Count);
        Assert.All(attempt.Opened, socket => Assert.Equal(0, _socket.PortOf(socket)));
    }

    [Fact]
    public void Attempt_ThatIsOver_HasNoSockets()
    {
        AttemptSockets attempt = Attempt(3);
        Assert.True(attempt.TryFind(0, out LocalEnd own) && own.IsOwn);
        Assert.True(attempt.TryFind(3, out _));
        Assert.False(attempt.TryFind(4, out _));
        attempt.Expire(Until.Following);
        Assert.Equal(0, attempt.Wanted);
        Assert.False(attempt.TryFind(3, out _));
    }

    [Fact]
    public void Open_AttemptEndsBeforeTheyAre_TheyAreClosed()
    {
        var attempt = new AttemptSockets();
        attempt.Begin(3, Until);
        _sockets.Open(attempt, _time.Now(), () => _assigned++);
        attempt.End();
        CarryOut();
        Assert.Empty(attempt.Opened);
        Assert.Equal(0, _assigned);
        Assert.Equal(3, _sockets.Count);
        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(Timestamp.Never, _sockets.RunTimers(_time.Now(), []));
        Assert.Equal(0, _sockets.Count);
    }

    private void CarryOut()
    {
        _outputs.CarryOut(_socket, work => work());
        _outputs.TakeNews();
    }

    private AttemptSockets Attempt(int count)
    {
        var attempt = new AttemptSockets();
        attempt.Begin(count, Until);
        _sockets.Open(attempt, _time.Now(), () => _assigned++);
        CarryOut();
        return attempt;
    }
}
