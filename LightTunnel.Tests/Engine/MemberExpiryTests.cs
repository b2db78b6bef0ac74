using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Server;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>Memberships that end: out at once and told why, the same again when prolonged; who is here renews its own.</summary>
public sealed class MemberExpiryTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(5);

    private readonly SimulatedNetwork _network = new();
    private readonly SimulatedNode _alice;
    private readonly PrivateKey _bobsKey;
    private SimulatedNode _bob;

    public MemberExpiryTests()
    {
        Start(null);
        _bobsKey = _network.NewKey();
        _alice = _network.AddClient("alice");
        _bob = AddBob();
        Assert.True(_network.RunUntil(
            () => _bob.IsUp && _alice.Members.Any(member => member.DirectPath is not null) && _bob.Members.Any(), Soon));
        AssertPasses(_bob, _alice);
    }

    private MemberAdministration Administration => ((ServerRole)_network.Server.Node.Role).Administration;

    private MemberStatus Bob => Administration.List().Single(member => member.PublicKey == _bobsKey.PublicKey.ToString());

    public void Dispose()
    {
        _network.Dispose();
        _bobsKey.Dispose();
    }

    [Fact]
    public void EndThatAnAdminSaid_CutsOffAtOnce_TellsWhy_AndHoldsAfterAKill_UntilItIsProlonged()
    {
        DateTimeOffset end = _network.Time.GetUtcNow() + TimeSpan.FromHours(1);
        Assert.True(Set(TimeSpan.FromHours(1)).IsCompletedSuccessfully);
        Assert.InRange(Bob.Expires!.Value, end, end + Soon);
        _network.Run(TimeSpan.FromMinutes(59));
        AssertPasses(_bob, _alice);

        Assert.True(_network.RunUntil(
            () => IsForgottenBy(_alice) && _bob.Node.State == TunnelState.Reconnecting, TimeSpan.FromSeconds(62)));
        Assert.Contains("membership of the network has ended", _bob.Node.LastError, StringComparison.Ordinal);
        Assert.Contains("Set-LtMember -ExpiresIn", _bob.Node.LastError, StringComparison.Ordinal);
        Assert.Equal((MemberState.Expired, "10.0.0.3"), (Bob.State, Bob.Addresses[0].ToString()));
        Assert.Empty(_bob.Members);
        AssertCutOff();
        AssertPasses(_alice, _network.Server);
        Assert.Equal(AuditAction.Expired, _network.Server.Log.Audited.Read(0)[^1].Action);

        _network.Kill(_network.Server);
        Start(null);
        _network.Kill(_bob);
        _bob = AddBob();
        Assert.True(_network.RunUntil(() => _bob.Client.Connected.IsFaulted, TimeSpan.FromMinutes(2)));
        Assert.Contains("has ended", _bob.Client.Connected.Exception!.InnerException!.Message, StringComparison.Ordinal);
        Assert.True(_network.RunUntil(() => _alice.IsUp && IsForgottenBy(_alice), TimeSpan.FromMinutes(1)));
        AssertCutOff();

        Set(TimeSpan.FromHours(1));
        _network.Kill(_bob);
        _bob = AddBob();
        Assert.True(_network.RunUntil(() => _bob.IsUp, Soon));
        Assert.Equal("10.0.0.3", _bob.Address.ToString());
    }

    [Fact]
    public void MemberThatRan_ComesBackByItselfWhenItIsProlonged()
    {
        Set(TimeSpan.FromMinutes(2));
        Assert.True(_network.RunUntil(
            () => _bob.Node.LastError?.Contains("has ended", StringComparison.Ordinal) == true, TimeSpan.FromMinutes(3)));
        _network.Run(TimeSpan.FromMinutes(5));
        Set(TimeSpan.Zero);
        Assert.Null(Bob.Expires);
        Assert.True(_network.RunUntil(() => _bob.IsUp, TimeSpan.FromMinutes(12)));
        Assert.True(_network.RunUntil(() => !IsForgottenBy(_alice), Soon));
        AssertPasses(_bob, _alice);
    }

    /// <summary>Written against the wire: its software hears nothing of its server, keeps all keys and uses them.</summary>
    [Fact]
    public void HostileMember_ThatGoesOnWithItsKeys_ReachesNobody()
    {
        Set(TimeSpan.FromMinutes(2));
        _network.Filter = (in from, in to, _) => !(to == _bob.Endpoint && from == _network.Server.Endpoint);
        Assert.True(_network.RunUntil(() => IsForgottenBy(_alice), TimeSpan.FromMinutes(3)));
        for (int i = 0; i < 20; i++)
        {
            _bob.Send(_alice.Address, "from bob");
            _bob.Send(_network.Server.Address, "from bob");
            _bob.Node.Post(() =>
            {
                foreach (Link link in _bob.Node.Links.Links)
                    link.RequestHandshake(force: true);
            });
            _network.Run(TimeSpan.FromSeconds(1));
        }

        AssertCutOff();
        Assert.Equal(MemberState.Expired, Bob.State);
    }

    [Fact]
    public void EndThatIsNear_IsToldTheMember_InItsStateAndItsLog()
    {
        Set(TimeSpan.FromDays(7) + TimeSpan.FromMinutes(10));
        _network.Run(TimeSpan.FromMinutes(5));
        Assert.Null(_bob.Node.LastError);
        Assert.True(_network.RunUntil(() => _bob.Node.LastError is not null, TimeSpan.FromMinutes(7)));
        Assert.Contains("membership of the network hub ends at ", _bob.Node.LastError, StringComparison.Ordinal);
        Assert.Contains(_bob.LogLines, line => line.Contains("membership of the network hub ends at ", StringComparison.Ordinal));
        Assert.True(_bob.IsUp);
        Assert.Null(_alice.Node.LastError);

        _network.Run(TimeSpan.FromHours(1));
        Assert.Single(_bob.LogLines, line => line.Contains("ends at ", StringComparison.Ordinal));
    }

    [Fact]
    public void MemberExpiry_IsRenewedByWhoIsHere_AndEndsForWhoIsAway()
    {
        _network.Kill(_network.Server);
        Start(TimeSpan.FromHours(6));
        Assert.True(_network.RunUntil(() => _alice.IsUp && _bob.IsUp && Bob.State == MemberState.Online, TimeSpan.FromMinutes(1)));
        _network.Run(TimeSpan.FromMinutes(2));
        Assert.NotNull(Bob.Expires);
        _network.Stop(_bob);

        _network.Run(TimeSpan.FromHours(7));
        Assert.True(_alice.IsUp);
        Assert.Null(_alice.Node.LastError);
        Assert.Equal(MemberState.Expired, Bob.State);
        Assert.True(IsForgottenBy(_alice));
        _bob = AddBob();
        Assert.True(_network.RunUntil(() => _bob.Client.Connected.IsFaulted, Soon));

        // Without the setting nothing of this holds.
        _network.Kill(_network.Server);
        Start(null);
        _bob = AddBob();
        Assert.True(_network.RunUntil(() => _bob.IsUp, TimeSpan.FromMinutes(1)));
        Assert.Null(Bob.Expires);
    }

    [Theory]
    [InlineData(7)]
    [InlineData(-10_000_000)]
    [InlineData(long.MaxValue)]
    public void TimeThatCannotBe_IsRefusedAtOnce(long ticks)
    {
        LightTunnelException? refused = null;
        _network.Server.Node.Post(() => refused = Assert.Throws<LightTunnelException>(
            () => { _ = Administration.ChangeAsync(Change(new TimeSpan(ticks))); }));
        _network.Settle();
        Assert.Equal(LightTunnelError.InvalidOption, refused?.Error);
        Assert.Null(Bob.Expires);
    }

    private void Start(TimeSpan? memberExpiry) => _network.StartServer(options => options with { MemberExpiry = memberExpiry });

    private SimulatedNode AddBob()
    {
        Assert.True(PrivateKey.TryParse(_bobsKey.Reveal(), out PrivateKey? copy));
        return _network.AddClient("bob", identity: copy);
    }

    private MemberChange Change(TimeSpan expiresIn) =>
        new(MemberChangeKind.Set, _bobsKey.PublicKey.ToString(), "admin") { ExpiresIn = expiresIn };

    private Task Set(TimeSpan expiresIn)
    {
        Task? changed = null;
        _network.Server.Node.Post(() => changed = Administration.ChangeAsync(Change(expiresIn)));
        _network.Settle();
        return changed!;
    }

    private bool IsForgottenBy(SimulatedNode node) =>
        node.Members.All(member => member.Name != "bob") && node.Node.Links.Find(_bobsKey.PublicKey) is null;

    private void AssertPasses(SimulatedNode from, SimulatedNode to)
    {
        to.TakeReceived();
        from.Send(to.Address, "passes");
        Assert.True(_network.RunUntil(() => to.TakeReceived().Contains("passes"), Soon));
    }

    private void AssertCutOff()
    {
        Assert.True(IsForgottenBy(_alice));
        SimulatedNode[] others = [_alice, _network.Server];
        foreach (SimulatedNode node in others)
        {
            node.TakeReceived();
            if (_bob.Node.Forwarding.OwnAddresses.Length > 0)
                _bob.Send(node.Address, "from bob");
        }

        _network.Run(Soon);
        Assert.All(others, node => Assert.DoesNotContain("from bob", node.TakeReceived()));
    }
}
