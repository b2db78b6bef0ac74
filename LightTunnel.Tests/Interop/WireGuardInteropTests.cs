using System.Diagnostics;
using System.Globalization;
using LightTunnel.Lab;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Interop;

/// <summary>Our links against wireguard-go: an implementation we share nothing with is the proof that we speak WireGuard.</summary>
public sealed class WireGuardInteropTests : IDisposable
{
    private readonly WireGuardGo? _peer;
    private readonly LoopNode? _node;

    public WireGuardInteropTests()
    {
        if (Prerequisites.FirstMissing([.. SetupCheck.ForDemo(), .. SetupCheck.ForInterop()]) is not null)
            return;
        _peer = WireGuardGo.Start();
        _node = new LoopNode(_peer.Namespace);
    }

    private WireGuardGo Peer => _peer!;

    private LoopNode Node => _node!;

    public void Dispose()
    {
        _node?.Dispose();
        _peer?.Dispose();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void WeInitiate_KernelAnswersOurPing(bool withPresharedKey)
    {
        Prerequisites.SkipUnlessInterop();
        using PresharedKey? key = withPresharedKey ? PresharedKey.Generate() : null;
        Peer.SetPeer(Node.Key, key, endpointPort: null);
        Node.Connect(Peer, key);

        Node.Ping(1);

        Assert.True(Node.PumpUntil(() => Node.Replies.Contains(1)), "no reply");
        Assert.True(Node.Link.Sessions.Current!.IsInitiator);
        Assert.NotEqual("0", Peer.Show("latest-handshakes"));
        Assert.Equal(Endpoint(Node.Port), Peer.Show("endpoints"));
        Assert.Equal(0, Node.Failures);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void WireGuardGoInitiates_WeAnswerItsPings(bool withPresharedKey)
    {
        Prerequisites.SkipUnlessInterop();
        using PresharedKey? key = withPresharedKey ? PresharedKey.Generate() : null;
        Node.Connect(Peer, key);
        Node.Link.Path = default;
        Peer.SetPeer(Node.Key, key, Node.Port);

        PingFromPeer(3);

        Assert.Equal(3, Node.PingsAnswered);
        Assert.False(Node.Link.Sessions.Current!.IsInitiator);
        Assert.Equal(Peer.Port, Node.Link.Path.Endpoint.Port);
        Assert.Equal(1, Node.Established);
        Assert.Equal(0, Node.Failures);
    }

    [Fact]
    public void BothInitiateAtOnce_BothPingsAreAnswered()
    {
        Prerequisites.SkipUnlessInterop();
        Node.Connect(Peer, null);
        Peer.SetPeer(Node.Key, null, Node.Port);
        Node.Ping(1);
        PingFromPeer(3);
        // At worst one side's handshake has to be repeated after its timeout of five seconds.
        Assert.True(Node.PumpUntil(() =>
        {
            if (!Node.Replies.Contains(2))
                Node.Ping(2);
            return Node.Replies.Contains(2);
        }));
        Assert.Equal(3, Node.PingsAnswered);
        Assert.Equal(0, Node.Failures);
    }

    [Fact]
    public void DifferentPresharedKeys_NothingGetsThrough()
    {
        Prerequisites.SkipUnlessInterop();
        using var one = PresharedKey.Generate();
        using var other = PresharedKey.Generate();
        Peer.SetPeer(Node.Key, one, endpointPort: null);
        Node.Connect(Peer, other);
        Node.Ping(1);
        Assert.True(Node.PumpUntil(() => Node.Table.Counters[LinkEvent.ResponseForged] == 1));
        Assert.Empty(Node.Replies);
    }

    [Fact]
    public void Rekey_ByUs_TrafficGoesOnUnderTheNewKeys()
    {
        Prerequisites.SkipUnlessInterop();
        Peer.SetPeer(Node.Key, null, endpointPort: null);
        Node.Connect(Peer, null);
        Node.Ping(1);
        Assert.True(Node.PumpUntil(() => Node.Replies.Contains(1)));
        for (ushort round = 2; round <= 4; round++)
        {
            KeyPair before = Node.Link.Sessions.Current!;
            Node.Link.RequestHandshake(force: true);
            Node.Ping(round);
            Assert.True(Node.PumpUntil(() => Node.Replies.Contains(round) && Node.Link.Sessions.Current != before), $"round {round}");
            Node.Ping((ushort)(100 + round));
            Assert.True(Node.PumpUntil(() => Node.Replies.Contains((ushort)(100 + round))), $"round {round} under the new keys");
        }

        Assert.Equal(4, Node.Established);
        Assert.Equal(0, Node.Failures);
    }

    [Fact]
    public void Rekey_ByWireGuardGo_OurLinkTakesTheNewKeys()
    {
        Prerequisites.SkipUnlessInterop();
        Node.Connect(Peer, null);
        Peer.SetPeer(Node.Key, null, Node.Port);
        PingFromPeer(1);
        KeyPair first = Node.Link.Sessions.Current!;

        // It forgets its keys and must ask for others, on a link that is up as far as we know.
        Peer.RemovePeer(Node.Key);
        Peer.SetPeer(Node.Key, null, Node.Port);
        PingFromPeer(2);

        Assert.NotSame(first, Node.Link.Sessions.Current);
        Assert.Equal(2, Node.Established);
        Assert.Equal(3, Node.PingsAnswered);
        Node.Ping(9);
        Assert.True(Node.PumpUntil(() => Node.Replies.Contains(9)));
    }

    [Fact]
    public void Roaming_OurPortChanges_WireGuardGoFollows()
    {
        Prerequisites.SkipUnlessInterop();
        Peer.SetPeer(Node.Key, null, endpointPort: null);
        Node.Connect(Peer, null);
        Node.Ping(1);
        Assert.True(Node.PumpUntil(() => Node.Replies.Contains(1)));
        string before = Peer.Show("endpoints");

        Node.Rebind();
        Node.Ping(2);

        Assert.True(Node.PumpUntil(() => Node.Replies.Contains(2)), "no reply at the new port");
        Assert.NotEqual(before, Peer.Show("endpoints"));
        Assert.Equal(Endpoint(Node.Port), Peer.Show("endpoints"));
        Assert.Equal(1, Node.Established);
    }

    [Fact]
    public void Roaming_WireGuardGosPortChanges_OurPathFollows()
    {
        Prerequisites.SkipUnlessInterop();
        Node.Connect(Peer, null);
        Peer.SetPeer(Node.Key, null, Node.Port);
        PingFromPeer(1);
        Assert.Equal(40000, Node.Link.Path.Endpoint.Port);

        Peer.ListenOn(40001);
        PingFromPeer(1);

        Assert.Equal(40001, Node.Link.Path.Endpoint.Port);
        Node.Ping(5);
        Assert.True(Node.PumpUntil(() => Node.Replies.Contains(5)));
    }

    [Fact]
    public void UnderLoad_WireGuardGoUsesOurCookieAndConnects()
    {
        Prerequisites.SkipUnlessInterop();
        Node.Connect(Peer, null);
        Peer.SetPeer(Node.Key, null, Node.Port);
        // Enough initiations with a good mac1, from nobody in particular, to be under load. It tries again after five seconds.
        using var stranger = new InitiationSource(Node.Key);
        stranger.Flood(Node.Table, 2 * HandshakeLoad.RatePerSecond);
        using Process ping = Peer.Ping(count: 600);

        bool answered = Node.PumpUntil(
            () =>
            {
                if (Node.Established == 0)
                    stranger.Flood(Node.Table, 20);
                return Node.PingsAnswered != 0;
            },
            seconds: 120);

        ping.Kill(entireProcessTree: true);
        ping.WaitForExit();
        Assert.True(answered);
        Assert.True(Node.CookiesReplied >= 1);
        Assert.Equal(1, Node.Table.Counters[LinkEvent.InitiationAccepted]);
    }

    private static string Endpoint(int port) => string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{port}");

    private void PingFromPeer(int count)
    {
        using Process ping = Peer.Ping(count);
        bool ended = Node.PumpUntil(() => ping.HasExited, seconds: 120);
        if (!ended)
            ping.Kill();
        string output = ping.StandardOutput.ReadToEnd();
        Assert.True(ended && ping.ExitCode == 0, output);
    }

    /// <summary>Initiations of unknown peers: valid up to the point where the table asks who they are.</summary>
    private sealed class InitiationSource(PublicKey target) : IDisposable
    {
        private readonly PrivateKey _identity = PrivateKey.Generate();
        private readonly CookieJar _jar = new(target, TimeProvider.System);
        private Tai64n _last;

        public void Flood(LinkTable table, int count)
        {
            Span<byte> message = stackalloc byte[Messages.InitiationSize];
            for (int i = 0; i < count; i++)
            {
                _last = Tai64n.Next(TimeProvider.System.GetUtcNow(), _last);
                Handshake.TryCreateInitiation(_identity, target, CipherSuite.WireGuard, 1, _last, message)!.Dispose();
                _jar.Sign(message);
                table.HandleHandshake(message, default);
            }
        }

        public void Dispose() => _identity.Dispose();
    }
}
