using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Server;
using LightTunnel.Internet.Wires;
using LightTunnel.Membership;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>
/// What somebody tries who has copied a network's key before it was changed, and what hostile members and servers try with the change.
/// </summary>
public sealed class NetworkKeyAttackTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Grace = TimeSpan.FromHours(5);

    private readonly SimulatedNetwork _network = new();

    public void Dispose() => _network.Dispose();

    /// <summary>The copied key alone, where it was enough before; within the grace period and after it.</summary>
    [Theory]
    [InlineData(false, 5)]
    [InlineData(true, 5)]
    [InlineData(false, 0)]
    public void CopiedKey_AdmitsNobody(bool isLate, int graceHours)
    {
        SimulatedNode server = _network.StartServer();
        Join("alice");
        SimulatedNode before = Join("before");
        _network.Stop(before);
        _network.ChangeKey(TimeSpan.FromHours(graceHours));
        if (isLate)
            _network.Run(Grace + TimeSpan.FromHours(1));

        SimulatedNode mallory = _network.AddClient("mallory");
        Assert.True(_network.RunUntil(() => mallory.Client.Connected.IsFaulted, Soon));
        Assert.Equal(LightTunnelError.InvalidKey, ErrorOf(mallory));
        Assert.DoesNotContain(server.Node.Peers, peer => peer.Name == "mallory");
        Assert.DoesNotContain(_network.SavedLeases, lease => lease.Name == "mallory");
        Assert.Null(server.Node.Links.Find(mallory.Node.Links.PublicKey)?.Suite);
        Assert.Equal(0, mallory.Node.NetworkKeys.Number);
    }

    /// <summary>An invitation as it was written down before: its secret was good, and its text has the former key.</summary>
    [Fact]
    public void CopiedInvitation_AdmitsNobody_AlsoWithTheSecretAndTheNewKey()
    {
        _network.StartServer(options => options with { AllowKeyOnly = false });
        InvitationToken copied = Invite();
        Join("alice", change: KeyNetwork.By(copied));
        NetworkKeyReport report = _network.ChangeKey(Grace);
        Assert.Equal([InvitationRecord.TextOf(copied.Id)], report.InvitationsEnded);

        SimulatedNode mallory = _network.AddClient("mallory", change: KeyNetwork.By(copied));
        Assert.True(_network.RunUntil(() => mallory.Client.Connected.IsFaulted, Soon));
        Assert.Equal(LightTunnelError.InvalidKey, ErrorOf(mallory));

        // Somebody told him the new key: the secret is worth nothing either.
        using PresharedKey now = _network.CurrentKey();
        SimulatedNode again = _network.AddClient("mallory", networkKey: now, change: KeyNetwork.By(copied));
        Assert.True(_network.RunUntil(() => again.Client.Connected.IsFaulted, Soon));
        Assert.Equal(LightTunnelError.InvitationRefused, ErrorOf(again));
        Assert.Equal(["alice"], _network.SavedLeases.Select(lease => lease.Name));

        // A new one is good.
        SimulatedNode bob = _network.AddClient("bob", networkKey: now, change: KeyNetwork.By(Invite()));
        Assert.True(_network.RunUntil(() => bob.IsUp, Soon));
    }

    /// <summary>Who has a link as a stranger when the key changes, and registers right afterwards.</summary>
    [Fact]
    public void StrangerThatIsThereAlready_IsSentAway()
    {
        _network.Conditions = new WireConditions { Delay = TimeSpan.FromMilliseconds(50) };
        SimulatedNode server = _network.StartServer();
        SimulatedNode mallory = _network.AddClient("mallory");
        UdpEndpoint hidden = mallory.Endpoint;
        bool isHeld = false;
        _network.Filter = (in from, in _, datagram) => !(isHeld && from == hidden);
        // Its handshake is answered and used, its registration is not there yet.
        Assert.True(_network.RunUntil(() => server.Node.Links.Find(mallory.Node.Links.PublicKey) is not null, Soon));
        isHeld = true;
        _network.ChangeKey(Grace);
        Assert.Null(server.Node.Links.Find(mallory.Node.Links.PublicKey));
        isHeld = false;
        Assert.True(_network.RunUntil(() => mallory.Client.Connected.IsFaulted, TimeSpan.FromMinutes(1)));
        Assert.Empty(_network.SavedLeases);
    }

    /// <summary>A member that an admin has removed is nobody: the former key is not enough for it to be somebody again.</summary>
    [Fact]
    public void RemovedMember_DoesNotComeInByTheFormerKey()
    {
        _network.StartServer();
        PrivateKey identity = _network.NewKey();
        SimulatedNode bob = Join("bob", identity);
        _network.Stop(bob);
        _network.ChangeKey(Grace);
        _network.Change(MemberChangeKind.Remove, identity.PublicKey);

        SimulatedNode again = _network.AddClient("bob", identity: identity);
        Assert.True(_network.RunUntil(() => again.Client.Connected.IsFaulted, Soon));
        Assert.Equal(LightTunnelError.InvalidKey, ErrorOf(again));
    }

    /// <summary>Messages about keys from where none may come, and false words about what was taken.</summary>
    [Fact]
    public void HostileMember_ChangesNobodysKey_AndFoolsOnlyItself()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = Join("alice");
        SimulatedNode mallory = Join("mallory");
        _network.AssertPasses(mallory, alice);
        _network.ChangeKey(Grace);
        Assert.True(_network.RunUntil(() => _network.HasKey("alice") && _network.HasKey("mallory"), Soon));
        int number = _network.KeyNumber();
        using PresharedKey forged = PresharedKey.Generate();
        var message = new NetworkKeyMessage { Number = number + 1, Key = forged, FormerSeconds = 0 };

        // To the server, in its conversation, and to another member, as if it were the server.
        mallory.Node.Post(() => mallory.Client.Session!.Send(message));
        byte[] frame = new byte[1200];
        byte[] body = ControlMessageCodec.Encode(message);
        foreach (uint conversation in new[] { 0u, alice.Client.Session!.Conversation })
        {
            int length = new ControlFrame(ControlFrameKind.Data, conversation, 1, body).Write(frame);
            mallory.Node.Post(() => mallory.Node.Sender.Frame(mallory.Peer("alice").Link!, frame.AsSpan(0, length)));
            _network.Run(TimeSpan.FromSeconds(2));
        }

        foreach (int claim in new[] { 0, number - 1, number + 1, int.MaxValue, number })
            mallory.Node.Post(() => mallory.Client.Session!.Send(new NetworkKeyTakenMessage { Number = claim }));
        mallory.MarkReady();
        _network.Run(TimeSpan.FromMinutes(5));

        Assert.All(new[] { server, alice, mallory }, node => Assert.Equal(number, node.Node.NetworkKeys.Number));
        Assert.Equal(_network.KeyStore.Keys.Key, alice.Node.NetworkKeys.Newest.Key.Bytes);
        _network.AssertPasses(alice, server);
        _network.AssertPasses(mallory, alice);
    }

    /// <summary>What a server tells is written to the disk: it is bounded how often, and the last word counts.</summary>
    [Fact]
    public void ServerThatFloodsWithKeys_CostsFewWrites_AndIsFollowedInTheEnd()
    {
        const int Flood = 500;
        SimulatedNode server = _network.StartServer();
        MemoryKeyStore kept = _network.NetworkKey.Keys();
        SimulatedNode alice = _network.AddClient("alice", keys: kept);
        Assert.True(_network.RunUntil(() => alice.IsUp, Soon));
        ClientSession session = ((ServedClient)server.Peer("alice")).Session!;
        using PresharedKey last = PresharedKey.Generate();
        for (int i = 1; i <= Flood; i++)
        {
            using PresharedKey key = PresharedKey.Generate();
            server.Node.Post(() => session.Send(new NetworkKeyMessage
            {
                Number = i, Key = i == Flood ? last : key, FormerSeconds = (int)NetworkKeyMessage.LongestGrace.TotalSeconds,
            }));
            _network.Settle();
        }

        _network.Run(TimeSpan.FromMinutes(3));
        Assert.InRange(kept.Count, 2, 16);
        Assert.Equal(Flood, alice.Node.NetworkKeys.Number);
        Assert.Equal(last.Bytes, kept.Keys.Key);
        Assert.True(alice.Node.NetworkKeys.All.Count <= 1 + NetworkKeySet.MostFormer);
        Assert.InRange(kept.Keys.Replaced.Count, 1, kept.Count);
    }

    [Fact]
    public async Task PlainClient_HasTheGracePeriod_OrUntilItsNewConfigurationIsUsed()
    {
        SimulatedNode server = _network.StartServer();
        SimulatedNode alice = Join("alice");
        PrivateKey identity = _network.NewKey();
        Lease lease = await _network.MakePlainAsync(identity.PublicKey, "phone");
        SimulatedNode phone = _network.AddPlain("phone", identity, lease.Addresses[0], "198.51.200.1");
        _network.AssertPasses(phone, alice);
        NetworkKeyReport report = _network.ChangeKey(Grace);
        Assert.Equal(["phone"], report.WireGuardClients);
        Assert.False(_network.HasKey("phone"));

        // The app is switched off and on with what it has, before a rekey and after.
        _network.Kill(phone);
        _network.Run(TimeSpan.FromSeconds(1));
        phone = _network.AddPlain("phone", identity, lease.Addresses[0], "198.51.200.2");
        _network.AssertPasses(phone, alice);
        _network.Run(TimeSpan.FromMinutes(10));
        _network.AssertPasses(phone, server);
        Assert.False(_network.HasKey("phone"));
        _network.Kill(phone);

        // It is given its configuration anew, of the same key pair.
        Assert.Equal(lease.Addresses, (await _network.MakePlainAsync(identity.PublicKey, "phone")).Addresses);
        Assert.Equal(AuditAction.ConfigurationRenewed, server.Log.Audited.Read(0)[^1].Action);
        using PresharedKey now = _network.CurrentKey();
        using PresharedKey derived = ClientPresharedKey.Derive(now, _network.ServerKey, identity.PublicKey);
        phone = _network.AddPlain("phone", identity, lease.Addresses[0], "198.51.200.3", derived);
        _network.AssertPasses(phone, alice, TimeSpan.FromSeconds(15));
        Assert.True(_network.HasKey("phone"));
        _network.Kill(phone);

        // Who has the one before has nothing now, also after the server was started again.
        _network.Run(TimeSpan.FromSeconds(5));
        _network.Stop(server);
        server = _network.StartServer();
        SimulatedNode thief = _network.AddPlain("thief", identity, lease.Addresses[0], "198.51.200.4");
        thief.Send(alice.Address, "stolen");
        _network.Run(TimeSpan.FromMinutes(1));
        Assert.DoesNotContain("stolen", alice.TakeReceived());
        Assert.Null(server.Node.Links.Find(identity.PublicKey)?.Suite);
        _network.Kill(thief);
        phone = _network.AddPlain("phone", identity, lease.Addresses[0], "198.51.200.5", derived);
        _network.AssertPasses(phone, alice, TimeSpan.FromSeconds(15));
    }

    [Fact]
    public async Task PlainClient_WithItsFormerConfiguration_IsOutAfterTheGracePeriod()
    {
        SimulatedNode server = _network.StartServer();
        PrivateKey identity = _network.NewKey();
        Lease lease = await _network.MakePlainAsync(identity.PublicKey, "phone");
        SimulatedNode phone = _network.AddPlain("phone", identity, lease.Addresses[0], "198.51.200.1");
        _network.AssertPasses(phone, server);
        _network.ChangeKey(TimeSpan.FromHours(1));
        _network.Run(TimeSpan.FromHours(2));
        phone.Send(server.Address, "late");
        _network.Run(TimeSpan.FromMinutes(1));
        Assert.DoesNotContain("late", server.TakeReceived());
        Assert.False(server.Peer("phone").Online);
    }

    private static LightTunnelError ErrorOf(SimulatedNode node) =>
        Assert.IsType<LightTunnelException>(node.Client.Connected.Exception!.InnerException).Error;

    private InvitationToken Invite()
    {
        Task<InvitationToken>? making = null;
        var wanted = new InvitationRecord { Id = 0, Digest = [], Created = default };
        _network.Server.Node.Post(() => making = ((ServerRole)_network.Server.Node.Role).Invitations.CreateAsync(wanted));
        _network.Settle();
        return making!.GetAwaiter().GetResult();
    }

    private SimulatedNode Join(string name, PrivateKey? identity = null, Func<ClientOptions, ClientOptions>? change = null)
    {
        SimulatedNode node = _network.AddClient(name, identity: identity, change: change);
        Assert.True(_network.RunUntil(() => node.IsUp, Soon), string.Join('\n', node.LogLines));
        return node;
    }
}
