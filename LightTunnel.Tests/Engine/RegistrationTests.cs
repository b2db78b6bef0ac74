using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Server;
using LightTunnel.Internet.Wires;
using LightTunnel.Membership;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>Registrations that a server refuses, and conversations that lost something.</summary>
public sealed class RegistrationTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(5);

    private readonly SimulatedNetwork _network = new() { IsDirectBlocked = true };

    public void Dispose() => _network.Dispose();

    [Fact]
    public void NameThatTheServerDoesNotTake_IsRefusedWithAReason()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode odd = _network.AddClient("odd", change: options => options with { Name = "two words" });
        Assert.True(_network.RunUntil(() => odd.Client.Connected.IsFaulted, Soon));

        Assert.Equal(
            LightTunnelError.InvalidName, Assert.IsType<LightTunnelException>(odd.Client.Connected.Exception!.InnerException).Error);
        Assert.Contains(
            server.Log.ReadSecurity(), entry => entry.Message.Contains("InvalidName. 'two words' is no name.", StringComparison.Ordinal));
        Assert.Empty(server.Node.Peers);
    }

    /// <summary>Stopped so early that it does not know yet that it is a member, while all others are told.</summary>
    [Fact]
    public void ClientThatStops_BeforeItHearsThatItIsAdmitted_SaysGoodbye()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = _network.AddClient("alice");
        _network.Conditions = new WireConditions { Delay = TimeSpan.FromMilliseconds(50) };
        Assert.True(_network.RunUntil(() => server.Node.Peers.Any(peer => peer is { Name: "alice", Online: true }), Soon));
        Assert.False(alice.IsUp);

        _network.Stop(alice);

        Assert.True(_network.RunUntil(() => !server.Peer("alice").Online, Soon));
        Assert.Contains(server.Log.Read(), entry => entry.Message == "Client alice (10.0.0.2) left");
    }

    [Theory]
    [InlineData(0, "the client is older")]
    [InlineData(99, "the server is older")]
    public void ProtocolThatTheServerDoesNotSpeak_IsRefusedWithAReason(int protocol, string expected)
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = _network.AddClient("alice");
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));
        byte[] message = ControlMessageCodec.Encode(
            new RegisterMessage { Name = "alice", Protocols = new ProtocolRange(protocol, protocol) });
        byte[] frame = new byte[ControlFrame.MaximumLength];
        int length = new ControlFrame(ControlFrameKind.Data, 77, 1, message).Write(frame);
        server.Node.Plane.TryPostControlFrame(server.Peer("alice").Link!, frame.AsSpan(0, length));
        server.MarkReady();
        _network.Settle();

        Assert.Contains(server.Log.ReadSecurity(), entry =>
            entry.Message.Contains($"VersionUnsupported. The client speaks protocol {protocol}", StringComparison.Ordinal)
            && entry.Message.Contains(expected, StringComparison.Ordinal));
    }

    [Fact]
    public void Session_FullQueue_IsBrokenByWhatMustNotBeLostOnly()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = _network.AddClient("alice");
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));
        _network.Run(Soon);
        long before = server.Peer("alice").Link!.SentPackets;
        var session = new ControlSession(1, server.Node, server.Peer("alice"));
        for (int i = 0; i < ControlChannel.DefaultQueueLimit; i++)
            session.Send(new LeaveMessage { Reason = LeaveReason.Other });
        Assert.False(session.IsBroken);
        session.Send(new NoticeMessage { Kind = NoticeKind.NameAskedFor });
        session.Send(new IntroduceMessage { MemberId = 2 });
        Assert.False(session.IsBroken);
        session.Send(new LeaveMessage { Reason = LeaveReason.Other });
        Assert.True(session.IsBroken);
        Assert.Equal(ControlChannel.WindowSize, server.Peer("alice").Link!.SentPackets - before);
    }

    [Fact]
    public void Session_IntroductionsThatAreNotTaken_LeaveItIdle_AndRoomForTheRest()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = _network.AddClient("alice");
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));
        var session = new ControlSession(1, server.Node, server.Peer("alice"));
        for (int i = 0; i < 2 * ControlChannel.DefaultQueueLimit; i++)
            session.Send(new IntroductionMessage { MemberId = 2, Reachability = new Reachability() });
        Assert.True(session.IsIdle);

        session.Send(new DirectoryMessage { Revision = 1 });
        Assert.False(session.IsIdle);
        Assert.False(session.IsBroken);
    }

    [Fact]
    public void MessageToAMember_ThatIsLost_IsSentAgain_ThoughNothingComesFromThere()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = _network.AddClient("alice");
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));
        _network.Run(Soon);
        int sent = 0;
        _network.Filter = (in from, in to, _) =>
        {
            sent += to == alice.Endpoint ? 1 : 0;
            return from != alice.Endpoint && to != alice.Endpoint;
        };

        ControlSession session = ((ServedClient)server.Peer("alice")).Session!;
        server.Node.Post(() => session.Send(new NoticeMessage { Kind = NoticeKind.NameAskedFor, Subject = "alice" }));

        Assert.True(_network.RunUntil(() => sent == 4, Soon));
    }

    [Fact]
    public void MemberThatTakesNothing_UntilItsQueueIsFull_HasToRegisterAgain_AndKnowsEverythingThen()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = _network.AddClient("alice");
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));
        ControlSession session = ((ServedClient)server.Peer("alice")).Session!;
        while (!session.IsBroken)
            session.Send(new ListingMessage { Question = 99 }); // Answers to a question that nobody asked: they do nothing but take room.
        SimulatedNode bob = _network.AddClient("bob");

        Assert.True(
            _network.RunUntil(
                () => bob.IsUp && ((ServedClient)server.Peer("alice")).Session is { Registered: true } next && next != session,
                TimeSpan.FromMinutes(1)));
        Assert.True(_network.RunUntil(
            () => alice.IsUp && alice.Node.Peers.Any(peer => peer.Name == "bob" && peer.Online), TimeSpan.FromMinutes(1)));
        Assert.True(server.Peer("alice").Online);
    }

    [Fact]
    public void ServerThatTakesNothing_IsAskedAnew()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = _network.AddClient("alice");
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));
        ControlSession session = alice.Client.Session!;
        while (!session.IsBroken)
            session.Send(new FindMessage { Subjects = [MemberSubject.Of(alice.Address)] });
        alice.MarkReady();

        Assert.True(_network.RunUntil(
            () => alice.IsUp && alice.Client.Session is { Registered: true } next && next != session, TimeSpan.FromMinutes(1)));
        Assert.True(server.Peer("alice").Online);
        Assert.Equal(1, alice.Client.Reconnects);
    }
}
