using LightTunnel.Addressing;
using LightTunnel.Engine.Client;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Data;
using LightTunnel.Engine.Server;
using LightTunnel.Management;
using LightTunnel.Membership;
using LightTunnel.Routing;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>A server that names another key for a known member is not believed, until a person says so.</summary>
public sealed class PinnedMemberTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromMinutes(2);

    private readonly SimulatedNetwork _network = new();
    private readonly PrivateKey _alicesKey;
    private SimulatedNode _server;
    private SimulatedNode _alice;
    private IReadOnlyList<MemberPin> _saved = [];
    private ulong _revision = 1_000_000;

    public PinnedMemberTests()
    {
        _alicesKey = _network.NewKey();
        _server = _network.StartServer();
        _alice = AddAlice();
    }

    public void Dispose()
    {
        _network.Dispose();
        _alicesKey.Dispose();
    }

    [Fact]
    public void ChangedKey_IsNoMember_UntilItIsConfirmed()
    {
        SimulatedNode nas = _network.AddClient("nas", "10.0.0.20");
        Meet(nas);
        SimulatedNode another = Replace(nas);

        AssertRefused(another);
        PeerStatus shown = Shown(another);
        Assert.Equal((PathReason.KeyChanged, PathType.Offline, "nas"), (shown.PathReason, shown.Path, shown.Name));
        Assert.Contains(
            _alice.Log.ReadSecurity(),
            entry => entry.Message.StartsWith("KeyChanged: The key of nas (10.0.0.20) is ", StringComparison.Ordinal)
                && entry.Message.EndsWith("Confirm-LtMember nas", StringComparison.Ordinal));

        // Not by itself, neither by its own handshakes nor after a restart of this or of the server.
        _network.Kill(_alice);
        _alice = AddAlice();
        Assert.True(_network.RunUntil(() => _alice.IsUp && _alice.Client.Withheld.Count == 1, Soon));
        AssertRefused(another);
        _network.Kill(_server);
        _server = _network.StartServer();
        Assert.True(_network.RunUntil(() => _alice.IsUp && another.IsUp && _alice.Client.Withheld.Count == 1, Soon));
        AssertRefused(another);

        Assert.False(_alice.Client.Confirm(_network.NewKey().PublicKey));
        Assert.True(_alice.Client.Confirm(another.Node.Links.PublicKey));
        Assert.Empty(_alice.Client.Withheld);
        AssertPasses(_alice, another);
        AssertPasses(another, _alice);
        Assert.Contains(_saved, pin => pin.Key == another.Node.Links.PublicKey && pin.Name == "nas");
        Assert.Single(_saved);
        Assert.False(_alice.Client.Confirm(another.Node.Links.PublicKey));
    }

    [Fact]
    public void Server_WithTheAddressOfAKnownMember_IsNotSentWhatIsForThat()
    {
        SimulatedNode nas = _network.AddClient("nas", "10.0.0.20");
        Meet(nas);
        _network.Kill(nas);
        _network.Kill(_server);
        _server = _network.StartServer(null, "10.0.0.20/24");
        Assert.True(_network.RunUntil(() => _alice.IsUp && _alice.Log.ReadSecurity().Count > 0, Soon));

        Assert.False(_alice.Node.Forwarding.TryFind(Address("10.0.0.20"), out _));
        Assert.Contains(
            _alice.Log.ReadSecurity(),
            entry => entry.Message.Contains("says that the address 10.0.0.20 is its own", StringComparison.Ordinal));
    }

    [Fact]
    public void ChangedKey_OfAMemberThatTheServerStillTellsOf_CutsThatOff()
    {
        SimulatedNode nas = _network.AddClient("nas", "10.0.0.20");
        Meet(nas);
        PrivateKey falseKey = _network.NewKey();
        DirectoryEntry told = Entry(_alice.Member("nas").MemberId, "nas", "10.0.0.20", falseKey.PublicKey);

        Tell(told);

        Assert.Empty(_alice.Members);
        Assert.False(_alice.Node.Forwarding.TryFind(Address("10.0.0.20"), out RouteTarget? target) && target is Peer);
        Assert.Equal(falseKey.PublicKey, Assert.Single(_alice.Client.Withheld).Entry.PublicKey);

        // As soon as the right key is told again, all is as before.
        Tell(told with { PublicKey = nas.Node.Links.PublicKey });
        Assert.Empty(_alice.Client.Withheld);
        AssertPasses(_alice, nas);
    }

    [Theory]
    [InlineData("NAS", "10.0.0.77")]
    [InlineData("other", "10.0.0.20")]
    public void AnotherKey_WithTheNameOrTheAddressOfAKnownMember_IsRefused(string name, string address)
    {
        Meet(_network.AddClient("nas", "10.0.0.20"));
        DirectoryEntry told = Entry(77, name, address, _network.NewKey().PublicKey);

        Tell(told);

        Assert.Equal(("nas", told), (Assert.Single(_alice.Client.Withheld).Before.Name, Assert.Single(_alice.Client.Withheld).Entry));
        Assert.Equal("nas", Assert.Single(_alice.Members).Name);
    }

    [Fact]
    public void KnownMember_ThatIsSaidToBeAPlainClient_IsRefused_AsTheServerWouldReadItsPackets()
    {
        SimulatedNode nas = _network.AddClient("nas", "10.0.0.20");
        Meet(nas);
        DirectoryEntry told = Entry(_alice.Member("nas").MemberId, "nas", "10.0.0.20", nas.Node.Links.PublicKey);

        Tell(told with { IsPlain = true });

        Assert.Empty(_alice.Members);
        Assert.Equal(nas.Node.Links.PublicKey, Assert.Single(_alice.Client.Withheld).Entry.PublicKey);
        Assert.Contains(
            _alice.Log.ReadSecurity(),
            entry => entry.Message.Contains("said to be a plain WireGuard client now", StringComparison.Ordinal));

        // Who believes it, believes it: no key is pinned to whom there is no link.
        Assert.True(_alice.Client.Confirm(nas.Node.Links.PublicKey));
        Assert.True(Assert.Single(_alice.Members).IsPlain);
        Assert.Empty(_saved);
        Tell(told);
        AssertPasses(_alice, nas);
        Assert.Single(_saved);
    }

    [Fact]
    public void SameKey_WithAnotherNameAndAddress_IsFollowed()
    {
        SimulatedNode nas = _network.AddClient("nas", "10.0.0.20");
        Meet(nas);
        uint id = _alice.Member("nas").MemberId;
        Tell(Entry(id, "store", "10.0.0.21", nas.Node.Links.PublicKey));
        Tell(Entry(78, "nas", "10.0.0.20", _network.NewKey().PublicKey));

        Assert.Empty(_alice.Client.Withheld);
        Assert.Equal(["nas", "store"], _alice.Members.Select(member => member.Name).Order(StringComparer.Ordinal));
        Tell(Entry(79, "x", "10.0.0.21", _network.NewKey().PublicKey));
        Assert.Equal("store", Assert.Single(_alice.Client.Withheld).Before.Name);
    }

    [Fact]
    public void Accept_BelievesTheServer_WithAWarning()
    {
        _network.Kill(_alice);
        _alice = AddAlice(KeyChangePolicy.Accept);
        SimulatedNode nas = _network.AddClient("nas", "10.0.0.20");
        Meet(nas);

        SimulatedNode another = Replace(nas);

        AssertPasses(_alice, another);
        Assert.Empty(_alice.Client.Withheld);
        Assert.Contains(
            _alice.Log.ReadSecurity(),
            entry => entry.Message.EndsWith("It is taken, as this machine accepts changed keys", StringComparison.Ordinal));
        Assert.Equal(another.Node.Links.PublicKey, Assert.Single(_saved).Key);
    }

    [Fact]
    public void Pin_NotUsedFor30Days_Ends()
    {
        SimulatedNode nas = _network.AddClient("nas", "10.0.0.20");
        Meet(nas);
        _network.Kill(_alice);
        _saved = [.. _saved.Select(pin => pin with { LastUsed = pin.LastUsed.AddDays(-PinnedKeys.KeptDays - 1) })];
        _alice = AddAlice();

        SimulatedNode another = Replace(nas);

        AssertPasses(_alice, another);
    }

    [Fact]
    public void Pins_HaveALimit_AndNobodyPushesOneOut()
    {
        var pins = PinnedKeys.Forgotten(KeyChangePolicy.Refuse, _network.Time);
        var first = new PublicKey(Bytes(0));
        Assert.True(pins.Pin(first, "nas", [Address("10.0.0.20")]));
        for (int i = 1; i < PinnedKeys.MaximumCount; i++)
            Assert.True(pins.Pin(new PublicKey(Bytes(i)), $"m{i}", [Address($"11.0.{i / 250}.{i % 250}")]));

        Assert.False(pins.Pin(new PublicKey(Bytes(-1)), "mallory", [Address("10.0.0.21")]));
        int told = 0;
        pins.Filter(
            new DirectoryMessage { Revision = 1, Changed = [Entry(5, "nas", "10.0.0.22", new PublicKey(Bytes(-2)))] }, _ => told++);
        Assert.Equal((1, 1), (told, pins.Withheld.Count));

        static byte[] Bytes(int number)
        {
            byte[] key = new byte[32];
            BitConverter.TryWriteBytes(key.AsSpan(3), number);
            key[0] = 9;
            return key;
        }
    }

    private SimulatedNode AddAlice(KeyChangePolicy policy = KeyChangePolicy.Refuse)
    {
        SimulatedNode alice = _network.AddClient(
            "alice", identity: new PrivateKey(Convert.FromBase64String(_alicesKey.Reveal())),
            change: options => options with { KeyChange = policy },
            pins: (options, time) => new PinnedKeys(_saved, options.KeyChange, time, pins => _saved = pins));
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));
        return alice;
    }

    private void Meet(SimulatedNode nas)
    {
        Assert.True(_network.RunUntil(() => nas.IsUp && _alice.Members.Any(member => member.Name == "nas"), Soon));
        AssertPasses(_alice, nas);
        Assert.Equal(nas.Node.Links.PublicKey, Assert.Single(_saved).Key);
    }

    /// <summary>The machine is made anew, after its lease was removed: the same name and address, another key.</summary>
    private SimulatedNode Replace(SimulatedNode nas)
    {
        _network.Kill(nas);
        var removal = new MemberChange(MemberChangeKind.Remove, nas.Node.Links.PublicKey.ToString(), "root");
        _server.Node.Post(() => _ = ((ServerRole)_server.Node.Role).Administration.ChangeAsync(removal));
        _server.MarkReady();
        Assert.True(_network.RunUntil(() => !_alice.Members.Any(), Soon));
        SimulatedNode another = _network.AddClient("nas", "10.0.0.20");
        Assert.True(_network.RunUntil(() => another.IsUp && another.Members.Any(member => member.Name == "alice"), Soon));
        return another;
    }

    private PeerStatus Shown(SimulatedNode member) => new PeerReport("test", _alice.Tun, _network.Time).Peers(_alice.Node)
        .Single(peer => peer.PublicKey == member.Node.Links.PublicKey.ToString());

    /// <summary>The server is in bad hands.</summary>
    private void Tell(DirectoryEntry entry)
    {
        var session = ((ServedClient)_server.Peer("alice")).Session!;
        session.Send(new DirectoryMessage { Revision = ++_revision, Changed = [entry], Partial = true });
        _server.MarkReady();
        Assert.True(_network.RunUntil(() => session.IsIdle, Soon));
    }

    private static TunnelAddress Address(string text) => TunnelAddress.TryParse(text, out TunnelAddress address)
        ? address
        : throw new FormatException(text);

    private static DirectoryEntry Entry(uint id, string name, string address, PublicKey key) => new()
    {
        MemberId = id, Name = name, Addresses = [Address(address)], PublicKey = key, Online = true,
    };

    private void AssertPasses(SimulatedNode from, SimulatedNode to)
    {
        to.TakeReceived();
        Assert.True(_network.RunUntil(
            () =>
            {
                from.Send(to.Address, "passes");
                return to.TakeReceived().Contains("passes");
            },
            Soon));
    }

    private void AssertRefused(SimulatedNode another)
    {
        Assert.DoesNotContain(_alice.Members, member => member.Key == another.Node.Links.PublicKey);
        _alice.TakeReceived();
        another.TakeReceived();
        for (int i = 0; i < 5; i++)
        {
            another.Send(_alice.Address, "from another");
            _alice.Send(Address("10.0.0.20"), "to another");
            _network.Run(TimeSpan.FromSeconds(2));
        }

        Assert.DoesNotContain("from another", _alice.TakeReceived());
        Assert.DoesNotContain("to another", another.TakeReceived());
        Assert.Null(_alice.Node.Links.Find(another.Node.Links.PublicKey));
    }
}
