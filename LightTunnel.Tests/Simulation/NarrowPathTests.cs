using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Engine.Control;
using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Wires;
using LightTunnel.Routing;
using LightTunnel.Tests.Engine;
using Xunit;

namespace LightTunnel.Tests.Simulation;

/// <summary>
/// Networks that swallow what is too long without a word. Applications here send packets as long as the node lets pass, as systems do that
/// find out the path's MTU (RFC 1191).
/// </summary>
public sealed class NarrowPathTests
{
    private const int TunnelMtu = TunnelOptions.DefaultMtu;

    /// <summary>UDP and IP around a datagram over IPv4.</summary>
    private const int Outside = 28;

    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(20);

    [Fact]
    public void CleanPath_FullSizeIsProven_WithOneQuestionEach()
    {
        using Scene scene = Start(out SimulatedNode alice, out SimulatedNode bob);
        var sender = new Sender(scene, alice, bob);

        sender.Run(TimeSpan.FromSeconds(1));

        Assert.True(alice.Peer("bob").PathType is PathType.Direct);
        Assert.Equal((TunnelMtu, TunnelMtu), (alice.Peer("bob").PathMtu.Measured, alice.Peer("bob").Mtu));
        Assert.Equal(TunnelMtu, sender.LongestArrived);
    }

    [Theory]
    [InlineData(1492)]
    [InlineData(1400)]
    [InlineData(1300)]
    [InlineData(1280)]
    public void NarrowPath_LongestPacketIsFound_AndLongOnesArriveWithinTwoSeconds(int outer)
    {
        using Scene scene = Start(out SimulatedNode alice, out SimulatedNode bob);
        scene.Internet.Hosts["bob"].Uplink.Conditions = Narrow(outer);
        var sender = new Sender(scene, alice, bob);

        sender.Run(TimeSpan.FromSeconds(2));
        int before = sender.Arrived;
        sender.Run(TimeSpan.FromSeconds(1));

        AssertFits(outer, alice.Peer("bob"));
        Assert.Equal(alice.Peer("bob").Mtu, sender.LongestArrived);
        Assert.Equal(50, sender.Arrived - before);
    }

    [Fact]
    public void PathGetsNarrower_UnderTraffic_HealsWithinSeconds_AndWidensAgain()
    {
        using Scene scene = Start(out SimulatedNode alice, out SimulatedNode bob);
        var sender = new Sender(scene, alice, bob);
        sender.Run(TimeSpan.FromSeconds(30));
        Assert.Equal(TunnelMtu, alice.Peer("bob").Mtu);

        scene.Internet.Hosts["bob"].Uplink.Conditions = Narrow(1300);
        sender.Run(TimeSpan.FromSeconds(10));
        AssertFits(1300, alice.Peer("bob"));
        Assert.InRange(sender.LongestGap, TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(3.5));
        Assert.Equal(PathType.Direct, alice.Peer("bob").PathType);

        scene.Internet.Hosts["bob"].Uplink.Conditions = Narrow(1500);
        sender.Run(TimeSpan.FromMinutes(2));
        Assert.Equal(TunnelMtu, alice.Peer("bob").Mtu);
    }

    [Fact]
    public void RelayedByTheServer_TheNarrowerOfBothHopsCounts()
    {
        using Scene scene = Start(out SimulatedNode alice, out SimulatedNode bob, NatKind.SymmetricRandom);
        scene.Internet.Hosts["alice"].Uplink.Conditions = Narrow(1400);
        scene.Internet.Hosts["bob"].Uplink.Conditions = Narrow(1300);
        var sender = new Sender(scene, alice, bob);
        var back = new Sender(scene, bob, alice);

        sender.Run(TimeSpan.FromSeconds(3));
        back.Run(TimeSpan.FromSeconds(3));

        Assert.Equal((PathType.Server, PathType.Server), (alice.Peer("bob").PathType, bob.Peer("alice").PathType));
        AssertFits(1300, alice.Peer("bob"));
        AssertFits(1300, bob.Peer("alice"));
        Assert.Equal((alice.Peer("bob").Mtu, bob.Peer("alice").Mtu), (sender.LongestArrived, back.LongestArrived));
    }

    [Fact]
    public void ServerAndClient_EachFindsItsOwnDirection()
    {
        using Scene scene = Start(out SimulatedNode alice, out _);
        scene.Internet.Hosts["alice"].Uplink.Down.Conditions = Narrow(1400);
        scene.Internet.Hosts["alice"].Uplink.Up.Conditions = Narrow(1300);
        var up = new Sender(scene, alice, scene.Network.Server);
        var down = new Sender(scene, scene.Network.Server, alice);

        up.Run(TimeSpan.FromSeconds(3));
        down.Run(TimeSpan.FromSeconds(3));

        AssertFits(1300, alice.Client.Server);
        AssertFits(1400, scene.Network.Server.Peer("alice"));
        Assert.Equal((alice.Client.Server.Mtu, scene.Network.Server.Peer("alice").Mtu), (up.LongestArrived, down.LongestArrived));
    }

    [Fact]
    public void PathChanges_TheMtuGoesWithIt()
    {
        using Scene scene = Start(out SimulatedNode alice, out SimulatedNode bob);
        scene.Internet.Hosts["bob"].Uplink.Conditions = Narrow(1300);
        var sender = new Sender(scene, alice, bob);
        sender.Run(TimeSpan.FromSeconds(3));
        AssertFits(1300, alice.Peer("bob"));
        int direct = alice.Peer("bob").Mtu;

        alice.Node.Post(() => alice.Client.SetPolicy(alice.Member("bob"), PathPolicy.RelayOnly));
        sender.Run(TimeSpan.FromSeconds(3));
        Assert.Equal((PathType.Server, direct - RelayHeader.Size), (alice.Peer("bob").PathType, alice.Peer("bob").Mtu));
        alice.Node.Post(() => alice.Client.SetPolicy(alice.Member("bob"), PathPolicy.Auto));
        scene.Network.RunUntil(() => alice.Peer("bob").PathType == PathType.Direct, TimeSpan.FromSeconds(10));
        Assert.Equal(direct, alice.Peer("bob").Mtu);
    }

    [Fact]
    public void IdlePair_AsksNothing()
    {
        using Scene scene = Start(out SimulatedNode alice, out SimulatedNode bob);
        new Sender(scene, alice, bob).Run(TimeSpan.FromSeconds(3));
        scene.Network.Run(TimeSpan.FromSeconds(5));
        int longest = 0;
        scene.Internet.Arriving = (_, _, datagram) => (longest = Math.Max(longest, datagram.Length)) > 0;

        scene.Network.Run(TimeSpan.FromMinutes(3));

        Assert.InRange(longest, 1, 200);
    }

    /// <summary>What was found fits in so many bytes outside, and hardly anything more would.</summary>
    private static void AssertFits(int outer, Peer peer)
    {
        int fits = outer - Outside - peer.Link!.Sessions.Current!.Overhead - (peer.Path.IsRelayed ? RelayHeader.Size : 0);
        Assert.InRange(peer.Mtu, Math.Min(fits - 7, TunnelMtu), Math.Min(fits, TunnelMtu));
    }

    private static WireConditions Narrow(int outer) => new() { Delay = TimeSpan.FromMilliseconds(5), Mtu = outer };

    private static Scene Start(out SimulatedNode alice, out SimulatedNode bob, NatKind kind = NatKind.PortRestrictedCone)
    {
        var scene = new Scene(1, Narrow(1500));
        scene.Internet.AddLan("left", kind, "alice");
        scene.Internet.AddLan("right", kind, "bob");
        scene.Network.StartServer();
        alice = scene.Join("alice");
        bob = scene.Join("bob");
        scene.Network.Run(TimeSpan.FromSeconds(3));
        return scene;
    }

    /// <summary>Sends packets as long as it may, every 20 ms.</summary>
    private sealed class Sender(Scene scene, SimulatedNode from, SimulatedNode to)
    {
        private const int Headers = 28;
        private TimeSpan _lastArrival = scene.Time.Elapsed;

        public int Arrived { get; private set; }

        public int LongestArrived { get; private set; }

        public TimeSpan LongestGap { get; private set; }

        public void Run(TimeSpan duration)
        {
            TimeSpan end = scene.Time.Elapsed + duration;
            LongestArrived = 0;
            while (scene.Time.Elapsed < end)
            {
                int length = from.Node.Peers.Single(peer => peer.Addresses.Contains(to.Address)).Mtu;
                from.Send(to.Address, new string('x', length - Headers));
                scene.Network.Run(Interval);
                foreach (string body in to.TakeReceived())
                {
                    Arrived++;
                    LongestArrived = Math.Max(LongestArrived, body.Length + Headers);
                    LongestGap = LongestGap > scene.Time.Elapsed - _lastArrival ? LongestGap : scene.Time.Elapsed - _lastArrival;
                    _lastArrival = scene.Time.Elapsed;
                }
            }
        }
    }
}
