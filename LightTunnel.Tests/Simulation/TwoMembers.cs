using System.Globalization;
using LightTunnel.Internet.Nats;
using LightTunnel.Internet.Simulation;
using LightTunnel.Internet.Wires;
using LightTunnel.Routing;
using LightTunnel.Tests.Engine;
using Xunit;

namespace LightTunnel.Tests.Simulation;

/// <summary>
/// Two members in networks of given kinds, 40 ms of round trip from each other and from the server, on wires that lose nothing: for
/// measuring how long things take.
/// </summary>
internal sealed class TwoMembers : IDisposable
{
    /// <summary>From one member to the other and back.</summary>
    public static readonly TimeSpan RoundTrip = TimeSpan.FromMilliseconds(40);

    private static readonly TimeSpan TalkInterval = TimeSpan.FromMilliseconds(10);

    private readonly Scene _scene;
    private readonly Direction _there = new();
    private readonly Direction _back = new();

    /// <summary>Both have joined, and each knows of the other.</summary>
    public TwoMembers(int seed, NatKind first, NatKind second)
    {
        _scene = new Scene(seed, new WireConditions { Delay = RoundTrip / 4 });
        if (first == NatKind.SameLanNoHairpin && second == first)
        {
            _scene.Internet.AddLan("left", first, "alice", "bob");
        }
        else
        {
            _scene.Internet.AddLan("left", first, "alice");
            _scene.Internet.AddLan("right", second, "bob");
        }

        _scene.Network.StartServer();
        Alice = _scene.Network.AddClient("alice", host: "alice");
        _scene.Network.Run(TimeSpan.FromMilliseconds(seed * 7));
        Bob = _scene.Network.AddClient("bob", host: "bob");
        HaveJoined = _scene.Network.RunUntil(() => Knows(Alice, "bob") && Knows(Bob, "alice"), TimeSpan.FromSeconds(5));
    }

    /// <summary>False when one of them cannot reach the server.</summary>
    public bool HaveJoined { get; }

    public SimulatedNode Alice { get; }

    public SimulatedNode Bob { get; }

    public SimulatedHost AliceHost => _scene.Internet.Hosts["alice"];

    public SimulatedHost BobHost => _scene.Internet.Hosts["bob"];

    public SimulatedInternet Internet => _scene.Internet;

    public TimeSpan Now => _scene.Time.Elapsed;

    /// <summary>True while each sends to the other directly.</summary>
    public bool AreDirect => IsDirect(Alice, "bob") && IsDirect(Bob, "alice");

    /// <summary>Packets that did not arrive, in both directions.</summary>
    public int Lost => _there.Lost + _back.Lost;

    /// <summary>The longest silence so far, in whichever direction.</summary>
    public TimeSpan LongestGap => Longer(_there.LongestGap(Now), _back.LongestGap(Now));

    /// <summary>Waits without traffic until both are direct.</summary>
    /// <returns>How long it took; null when it did not happen.</returns>
    public TimeSpan? BecomeDirect(TimeSpan atMost)
    {
        TimeSpan begin = Now;
        return _scene.Network.RunUntil(() => AreDirect, atMost) ? Now - begin : null;
    }

    /// <summary>Each sends the other a packet every 10 ms, until the condition holds.</summary>
    /// <returns>How long it took; null when it did not happen.</returns>
    public TimeSpan? Talk(TimeSpan atMost, Func<bool>? until = null)
    {
        TimeSpan begin = Now;
        while (Now - begin < atMost)
        {
            Alice.Send(Bob.Address, _there.Next());
            Bob.Send(Alice.Address, _back.Next());
            if (_scene.Network.RunUntil(() => Collect() && until?.Invoke() == true, TalkInterval))
                return Now - begin;
        }

        return null;
    }

    /// <summary>Alice's machine sleeps, and is on no network meanwhile.</summary>
    public void Sleep(TimeSpan duration)
    {
        Alice.FallAsleep();
        AliceHost.Uplink.IsCut = true;
        _scene.Network.Run(duration);
        AliceHost.Uplink.IsCut = false;
        Alice.WakeUp();
    }

    /// <summary>Waits for what is on its way.</summary>
    public void Drain() => _scene.Network.RunUntil(() => !Collect(), TimeSpan.FromSeconds(1));

    /// <summary>Forgets what was measured.</summary>
    public void Begin()
    {
        _there.Begin(Now);
        _back.Begin(Now);
    }

    /// <summary>Both are busy and direct.</summary>
    public void Settle()
    {
        Assert.NotNull(BecomeDirect(TimeSpan.FromSeconds(30)));
        Talk(TimeSpan.FromSeconds(6));
        Assert.True(AreDirect);
        Begin();
    }

    public void Dispose() => _scene.Dispose();

    private bool Collect()
    {
        foreach (string body in Bob.TakeReceived())
            _there.Take(body, Now);
        foreach (string body in Alice.TakeReceived())
            _back.Take(body, Now);
        return true;
    }

    private static TimeSpan Longer(TimeSpan first, TimeSpan second) => first > second ? first : second;

    private static bool Knows(SimulatedNode node, string other) =>
        node.IsUp && node.Node.Peers.Any(peer => peer.Name == other && peer.Online);

    private static bool IsDirect(SimulatedNode node, string other) =>
        node.Node.Peers.FirstOrDefault(peer => peer.Name == other) is { PathType: PathType.Direct or PathType.Lan };

    /// <summary>What one hears of the other.</summary>
    private sealed class Direction
    {
        private readonly HashSet<int> _missing = [];
        private TimeSpan _longestGap;
        private TimeSpan _heard;
        private int _sent;

        public int Lost => _missing.Count;

        public TimeSpan LongestGap(TimeSpan now) => Longer(_longestGap, now - _heard);

        public void Begin(TimeSpan now)
        {
            _missing.Clear();
            _heard = now;
            _longestGap = TimeSpan.Zero;
        }

        public string Next()
        {
            _missing.Add(++_sent);
            return _sent.ToString(CultureInfo.InvariantCulture);
        }

        public void Take(string body, TimeSpan now)
        {
            if (!int.TryParse(body, CultureInfo.InvariantCulture, out int packet))
                return; // An ICMP error.
            _missing.Remove(packet);
            _longestGap = LongestGap(now);
            _heard = now;
        }
    }
}
