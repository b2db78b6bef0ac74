using LightTunnel.Engine.Control;
using LightTunnel.Engine.Data;
using LightTunnel.Engine.Server;
using LightTunnel.Internet.Simulation;
using LightTunnel.Membership;
using LightTunnel.Timing;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>A member that sends control messages without end costs the others nothing.</summary>
public sealed class ControlFloodTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(5);

    private readonly SimulatedNetwork _network = new() { IsDirectBlocked = true };

    public void Dispose() => _network.Dispose();

    [Fact]
    public void RegisteringInALoop_IsCutOff_NamedInTheSecurityLog_AndOthersStayUp()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode mallory = _network.AddClient("mallory");
        SimulatedNode alice = _network.AddClient("alice");
        Assert.True(_network.RunUntil(() => alice.IsUp && mallory.IsUp, Soon));
        int before = server.LogLines.Count(IsJoin);

        for (uint round = 1; round <= 20; round++)
        {
            for (uint i = 0; i < 1000; i++)
                SendRegister(server, mallory, (round * 10_000) + i + 1);
            server.MarkReady();
            _network.Run(TimeSpan.FromMilliseconds(100));
        }

        Assert.InRange(server.LogLines.Count(IsJoin) - before, 1, 16);
        Assert.Contains(server.Log.ReadSecurity(), entry => entry.Message.StartsWith("Flood: mallory", StringComparison.Ordinal));
        alice.Send(server.Address, "still here");
        _network.Settle();
        Assert.Equal(["still here"], server.TakeReceived());
        Assert.Equal(TunnelState.Up, alice.Node.State);
        Assert.Equal(0, alice.Client.Reconnects);

        // Once it stops, it is a member like any other again.
        Assert.True(_network.RunUntil(
            () => mallory.IsUp && ((ServedClient)server.Peer("mallory")).Session is { Registered: true }, TimeSpan.FromMinutes(2)));

        static bool IsJoin(string line) =>
            line.StartsWith("Client mallory", StringComparison.Ordinal) && line.Contains("joined", StringComparison.Ordinal);
    }

    [Fact]
    public void FrameIntake_OneMembersFrames_AreASmallPartOfTheInbox()
    {
        var time = new VirtualTime();
        ControlFrameQuota intake = ControlFrameQuota.ForMember(time);
        Timestamp now = time.Now();
        int taken = Enumerable.Range(0, 100_000).Count(_ => intake.TryTake(now));
        Assert.Equal(128, taken);
        Assert.Equal(100_000 - 128, intake.TakeRefused());
        Assert.Equal(0, intake.TakeRefused());
        for (int i = 0; i < taken; i++)
            intake.Release();
        Assert.True(intake.TryTake(now));
    }

    [Fact]
    public void HandshakesOfAStranger_WhoHasNotTheNetworksKey_AreALineInTheSecurityLog_AndNoMore()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = _network.AddClient("alice");
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));
        _network.Run(TimeSpan.FromMinutes(5));
        Assert.Empty(server.Log.ReadSecurity());

        using var wrong = LightTunnel.WireGuard.PresharedKey.Generate();
        _network.AddClient("mallory", networkKey: wrong);

        Assert.True(_network.RunUntil(() => server.Log.ReadSecurity().Count > 0, TimeSpan.FromMinutes(5)));
        Assert.Equal(
            "Refused: Handshakes were refused: 1 whose sender did not show to have the network's key",
            Assert.Single(server.Log.ReadSecurity()).Message);
        _network.Run(TimeSpan.FromMinutes(5));
        Assert.Single(server.Log.ReadSecurity());
    }

    private static void SendRegister(SimulatedNode server, SimulatedNode member, uint conversation)
    {
        byte[] message = ControlMessageCodec.Encode(new RegisterMessage { Name = member.Name });
        byte[] frame = new byte[ControlFrame.MaximumLength];
        int length = new ControlFrame(ControlFrameKind.Data, conversation, 1, message).Write(frame);
        server.Node.Plane.TryPostControlFrame(server.Peer(member.Name).Link!, frame.AsSpan(0, length));
    }
}
