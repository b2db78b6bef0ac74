using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Client;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Data;
using LightTunnel.Engine.Server;
using LightTunnel.Management;
using LightTunnel.Membership;
using LightTunnel.Membership.Signing;
using LightTunnel.Routing;
using LightTunnel.Tests.Membership;
using LightTunnel.Timing;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>
/// Where members are signed by an admin's key that the server does not have, members take signed ones only: whatever the server says.
/// </summary>
public sealed class SignedNetworkTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromMinutes(2);

    private readonly SimulatedNetwork _network = new();
    private readonly SigningKey _admin = SigningSamples.Admin();
    private readonly Dictionary<string, PrivateKey> _keys = [];
    private readonly Dictionary<string, SigningMemory> _kept = [];
    private SimulatedNode _server;
    private SimulatedNode _alice;
    private SimulatedNode _bob;
    private ulong _revision = 1_000_000;

    public SignedNetworkTests()
    {
        _server = StartServer(_admin.PublicKey);
        _alice = Add("alice");
        _bob = Add("bob");
        Assert.True(_network.RunUntil(() => _alice.IsUp && _bob.IsUp && _alice.Client.Signed.Withheld.Count == 1, Soon));
    }

    private DateTimeOffset Now => _network.Time.GetUtcNow();

    public void Dispose()
    {
        _network.Dispose();
        _admin.Dispose();
        foreach (PrivateKey key in _keys.Values)
            key.Dispose();
    }

    [Fact]
    public void Newcomers_AreNoMembersToEachOther_UntilAnAdminSignsThem()
    {
        Assert.True(_network.RunUntil(() => _bob.Client.Signed.Withheld.Count == 1, Soon));
        Assert.Empty(_alice.Members);
        Assert.Empty(_bob.Members);
        AssertPasses(_alice, _server);
        AssertPasses(_server, _bob);

        // Each is told why, and what to do; the admin sees whom to sign.
        Assert.Equal(SignatureState.Missing, _alice.Client.Signing.State);
        Assert.StartsWith("This machine is not signed by an admin", _alice.Node.LastError, StringComparison.Ordinal);
        Assert.Contains(FingerprintOf(_alice), _alice.Node.LastError, StringComparison.Ordinal);
        PeerStatus shown = Shown(_alice, _bob);
        Assert.Equal(
            (PathReason.NotSigned, PathType.Offline, SignatureState.Missing), (shown.PathReason, shown.Path, shown.Signature));
        Assert.Single(
            _alice.Log.ReadSecurity(), entry => entry.Message.StartsWith("NotSigned: bob (10.0.0.", StringComparison.Ordinal)
                && entry.Message.Contains(FingerprintOf(_bob), StringComparison.Ordinal));

        Sign(_alice, _bob);
        Sign(_alice, _alice);
        AssertPasses(_alice, _bob);
        AssertPasses(_bob, _alice);
        Assert.Equal((SignatureState.Valid, SignatureState.Valid), (_alice.Client.Signing.State, _bob.Client.Signing.State));
        Assert.Equal((null, null), (_alice.Node.LastError, _bob.Node.LastError));
        Assert.Equal(SignatureState.Valid, Shown(_alice, _bob).Signature);
        AuditEntry[] signed =
            [.. _server.Log.Audited.Read(0).Where(entry => entry.Action == AuditAction.MemberSigned)];
        Assert.Equal(["bob", "alice"], signed.Select(entry => entry.Subject));
        Assert.All(signed, entry => Assert.Equal($"signing key {_admin.PublicKey.Fingerprint}", entry.By));
        Assert.All(signed, entry => Assert.EndsWith("brought by alice", entry.Message, StringComparison.Ordinal));
    }

    [Fact]
    public void Signatures_LastOverRestartsOfTheServerAndOfMembers()
    {
        SignBoth();
        _network.Settle();
        _network.Kill(_server);
        _network.Kill(_bob);
        _server = StartServer(_admin.PublicKey);
        _bob = Add("bob");

        Assert.True(_network.RunUntil(() => _bob.IsUp && _alice.IsUp && _bob.Client.Signing.State == SignatureState.Valid, Soon));
        AssertPasses(_bob, _alice);
    }

    [Fact]
    public void HostileServer_IntroducesNoKeyOfItsOwn()
    {
        SignBoth();
        PublicKey own = _network.NewKey().PublicKey;
        DirectoryEntry bob = EntryOf(_bob);
        uint id = bob.MemberId;
        DirectoryEntry eve = new() { MemberId = 77, Name = "eve", Addresses = [Address("10.0.0.77")], PublicKey = own, Online = true };
        using SigningKey other = SigningSamples.Admin(2);
        MemberStatement statement = Statement(eve);

        // Its own key: not signed; signed by itself; with the signature of another member, and of another network of the same admin.
        Assert.Equal(SignatureState.Missing, Told(eve));
        Assert.Equal(SignatureState.OtherKey, Told(eve with { Signature = MemberSignature.Make(other, statement) }));
        Assert.Equal(SignatureState.Mismatch, Told(eve with { Signature = bob.Signature }));
        Assert.Equal(
            SignatureState.Mismatch,
            Told(eve with { Signature = MemberSignature.Make(_admin, statement with { ServerKey = _network.NewKey().PublicKey }) }));

        // A known member's name and address with its own key; a known member with another's name, another's address, as a plain client.
        Assert.Equal(SignatureState.Mismatch, Told(bob with { PublicKey = own }));
        Assert.Equal(SignatureState.Mismatch, Told(bob with { Name = "eve" }));
        Assert.Equal(SignatureState.Mismatch, Told(bob with { Addresses = [Address("10.0.0.78")] }));
        Assert.Equal(SignatureState.Mismatch, Told(bob with { IsPlain = true }));
        Assert.Equal(SignatureState.Missing, Told(bob with { Signature = null }));

        Assert.Empty(_alice.Members);
        Assert.False(_alice.Node.Forwarding.TryFind(_bob.Address, out RouteTarget? target) && target is Peer);
        Assert.Null(_alice.Node.Links.Find(own));

        // As soon as the truth is told again, all is as before.
        Tell(bob);
        Assert.DoesNotContain(_alice.Client.Signed.Withheld, member => member.Entry.MemberId == id);
        AssertPasses(_alice, _bob);
    }

    [Fact]
    public void HostileServer_SwapsNoMembersNamesOrAddresses()
    {
        SignBoth();
        SimulatedNode carol = Add("carol");
        Assert.True(_network.RunUntil(() => carol.IsUp && _alice.Client.Signed.Withheld.Count == 1, Soon));
        Sign(_alice, carol);
        Assert.True(_network.RunUntil(() => _alice.Members.Count() == 2, Soon));
        (DirectoryEntry bob, DirectoryEntry other) = (EntryOf(_bob), EntryOf(carol));

        Tell(bob with { Name = other.Name, Addresses = other.Addresses }, other with { Name = bob.Name, Addresses = bob.Addresses });

        Assert.Empty(_alice.Members);
        Assert.Equal(2, _alice.Client.Signed.Withheld.Count);
    }

    [Fact]
    public void OlderSignature_OfTheSameMember_IsNotTaken_WhereALaterOneWasSeen()
    {
        SignBoth();
        DirectoryEntry before = EntryOf(_bob);
        Change(new MemberChange(MemberChangeKind.Set, KeyOf(_bob), "root") { Name = "robert" });
        Assert.True(_network.RunUntil(() => _alice.Client.Signed.Withheld.Any(member => member.Entry.Name == "robert"), Soon));
        Assert.Equal(SignatureState.Mismatch, Shown(_alice, _bob).Signature);
        Assert.True(_network.RunUntil(() => _bob.Client.Signing.State == SignatureState.Mismatch, Soon));
        Assert.StartsWith("This machine is not what an admin has signed", _bob.Node.LastError, StringComparison.Ordinal);
        _network.Run(TimeSpan.FromSeconds(5));
        Sign(_alice, _bob);
        AssertPasses(_alice, _bob);

        Assert.Equal(SignatureState.Outdated, Told(before));
        Assert.Empty(_alice.Members);

        // Nor after a restart, as it is kept.
        _network.Kill(_alice);
        _alice = Add("alice");
        Assert.True(_network.RunUntil(() => _alice.IsUp && _alice.Members.Any(), Soon));
        Assert.Equal(SignatureState.Outdated, Told(before));

        // The server would not store it either, whoever brings it.
        MemberSignature older = MemberSignature.Make(_admin, Statement(LeaseOf(_bob)) with { Issued = Now.AddDays(-1) });
        Assert.Contains("older than one", Refused(_bob, _bob, older).Message, StringComparison.Ordinal);
    }

    /// <summary>None that is made before then would be later, so a clock that was wrong once would keep the member out for years.</summary>
    [Fact]
    public void SignatureOfTheFuture_IsNotStored_AndNotRemembered()
    {
        SignBoth();
        DirectoryEntry told = EntryOf(_bob);
        MemberSignature early = MemberSignature.Make(_admin, Statement(LeaseOf(_bob)) with { Issued = Now.AddDays(2) });
        Assert.Contains("was made at", Refused(_bob, _bob, early).Message, StringComparison.Ordinal);

        Tell(told with { Signature = early });
        Tell(told);
        Assert.Empty(_alice.Client.Signed.Withheld);
        AssertPasses(_alice, _bob);
    }

    [Fact]
    public void Signature_WhoseTimeIsOver_EndsTheMember_UntilItIsSignedAgain()
    {
        Sign(_alice, _alice);
        Sign(_alice, _bob, Now.AddHours(2));
        AssertPasses(_alice, _bob);
        Assert.Equal(
            Shown(_alice, _bob).SignedUntil, _bob.Client.Signing.Expires);

        DirectoryEntry ended = EntryOf(_bob);
        Assert.True(_network.RunUntil(() => !_alice.Members.Any(), TimeSpan.FromHours(2.1)));
        Assert.Null(_alice.Node.Links.Find(_bob.Node.Links.PublicKey));
        Assert.Equal((PathReason.NotSigned, SignatureState.Expired), (Shown(_alice, _bob).PathReason, Shown(_alice, _bob).Signature));
        Assert.True(_network.RunUntil(() => _bob.Client.Signing.State == SignatureState.Expired, Soon));
        Assert.StartsWith("This machine has a signature whose time is over", _bob.Node.LastError, StringComparison.Ordinal);
        Assert.Equal(SignatureState.Expired, Told(ended));

        Sign(_alice, _bob);
        AssertPasses(_alice, _bob);
    }

    [Fact]
    public void Signature_ThatIsAboutToEnd_IsSaidAWeekBefore()
    {
        Sign(_alice, _alice, Now.AddDays(7).AddMinutes(5));
        Sign(_alice, _bob);
        Assert.Null(_alice.Node.LastError);

        Assert.True(_network.RunUntil(() => _alice.Node.LastError is not null, TimeSpan.FromMinutes(6)));
        Assert.StartsWith("The signature of this machine ends at ", _alice.Node.LastError, StringComparison.Ordinal);
        Assert.Equal(SignatureState.Valid, _alice.Client.Signing.State);

        Sign(_bob, _alice, Now.AddDays(365));
        Assert.True(_network.RunUntil(() => _alice.Node.LastError is null, Soon));
    }

    [Fact]
    public void HostileServer_MovesNoEnd_ByListingsThatItNeverEndsOrOtherNumbers()
    {
        Sign(_alice, _alice);
        Sign(_alice, _bob, Now.AddMinutes(10));
        AssertPasses(_alice, _bob);
        DirectoryEntry bob = EntryOf(_bob);
        _network.Run(TimeSpan.FromMinutes(5));

        Send(new DirectoryMessage { Revision = ++_revision, Changed = [bob with { MemberId = 90 }], Partial = true });
        Assert.Equal(90u, Assert.Single(_alice.Members).MemberId);
        Send(new DirectoryMessage { Revision = ++_revision, Start = true, More = true, Partial = true });

        Assert.True(_network.RunUntil(() => !_alice.Members.Any(), TimeSpan.FromMinutes(6)));
        Assert.Null(_alice.Node.Links.Find(_bob.Node.Links.PublicKey));
        Assert.Equal(SignatureState.Expired, Assert.Single(_alice.Client.Signed.Withheld).State);
    }

    [Fact]
    public void MemberOfBothFamilies_AndAPlainClient_AreSignedLikeAnyOther()
    {
        using var network = new SimulatedNetwork();
        SimulatedNode server = network.StartServer(
            options => options with { SigningKeys = [_admin.PublicKey] }, "10.0.0.1/24", "fd00::1/64");
        SimulatedNode carol = network.AddClient("carol", change: WithKeys, signed: (options, _) => Required(options.ServerKey));
        Assert.True(network.RunUntil(() => carol.IsUp, Soon));
        PublicKey phone = network.NewKey().PublicKey;
        var role = (ServerRole)server.Node.Role;
        server.Node.Post(() => _ = role.Administration.MakePlainAsync(phone, "phone", [], "root"));
        server.MarkReady();
        Assert.True(network.RunUntil(() => carol.Client.Signed.Withheld.Count == 1, Soon));

        foreach (Lease lease in network.SavedLeases)
        {
            Assert.Equal(2, lease.Addresses.Count);
            MemberStatement statement = Statement(lease) with { ServerKey = network.ServerKey, Issued = network.Time.GetUtcNow() };
            server.Node.Post(
                () => _ = role.Signatures.SignAsync(lease.PublicKey, MemberSignature.Make(_admin, statement), "root"));
            server.MarkReady();
        }

        Assert.True(network.RunUntil(() => carol.Client.Signing.State == SignatureState.Valid && carol.Members.Any(), Soon));
        Assert.True(Assert.Single(carol.Members).IsPlain);

        SignedMembers Required(PublicKey key) =>
            new(new SigningTrust(key, [_admin.PublicKey]), SigningMemory.None, network.Time, _ => { });
    }

    [Fact]
    public void MemberWithoutTheKey_SignsNobody_AndIsSoonNotLookedAtAnyMore()
    {
        using SigningKey own = SigningSamples.Admin(9);
        MemberSignature forged = MemberSignature.Make(own, Statement(LeaseOf(_bob)));
        Assert.Contains("another key than the network's", Refused(_bob, _bob, forged).Message, StringComparison.Ordinal);
        for (int i = 1; i < 10; i++)
            Refused(_bob, _bob, Mistyped(i));

        LightTunnelException refusal = Refused(_bob, _bob, Mistyped(10));
        Assert.Contains("it has to wait", refusal.Message, StringComparison.Ordinal);
        Assert.Null(LeaseOf(_bob).Signature);
        Assert.Contains(
            _server.Log.ReadSecurity(), entry => entry.Message.StartsWith("SignatureRefused: bob at ", StringComparison.Ordinal));
        Assert.InRange(
            _server.Log.ReadSecurity().Count(
                entry => entry.Message.StartsWith("SignatureRefused: ", StringComparison.Ordinal)), 1, SecurityLog.PerSubject);
        Assert.NotEmpty(_alice.Client.Signed.Withheld);

        // Who has the key is heard meanwhile, and so is this one in a while.
        Sign(_alice, _alice);
        _network.Run(TimeSpan.FromSeconds(11));
        Sign(_bob, _bob);

        // What everybody can see in the directory, brought again, changes nothing and counts for nothing.
        int audited = _server.Log.Audited.Read(0).Count;
        for (int i = 0; i < 20; i++)
            Assert.True(Brought(_bob, _alice, LeaseOf(_alice).Signature!).IsCompletedSuccessfully);
        Assert.Equal(audited, _server.Log.Audited.Read(0).Count);

        MemberSignature Mistyped(int second) => MemberSignature.Make(_admin, Statement(LeaseOf(_bob)) with { Name = $"x{second}" });
    }

    [Fact]
    public void Server_ThatNamesOtherSigningKeys_OrNone_IsNotBelieved()
    {
        SignBoth();
        SigningPublicKey other = SigningSamples.AdminsKey(2);
        Restart(other);
        AssertNotBelieved($"names the signing key {other.Fingerprint}");
        Restart();
        AssertNotBelieved("names no signing key any more");
        Restart(_admin.PublicKey);
        Assert.True(_network.RunUntil(() => _alice.IsUp && _alice.Node.LastError is null, Soon));

        void AssertNotBelieved(string what)
        {
            Assert.Contains(what, _alice.Node.LastError, StringComparison.Ordinal);
            Assert.Contains("-RequireSignedMembers:$false", _alice.Node.LastError, StringComparison.Ordinal);
            Assert.Contains(
                _alice.Log.ReadSecurity(), entry => entry.Message.StartsWith("SigningKeyRefused: ", StringComparison.Ordinal)
                    && entry.Message.Contains(what, StringComparison.Ordinal));
            AssertPasses(_alice, _bob);
            DirectoryEntry eve = EntryOf(_bob) with { MemberId = 78, Name = "eve", PublicKey = _network.NewKey().PublicKey };
            Assert.Equal(SignatureState.Mismatch, Told(eve));
            Assert.Equal(SignatureState.Missing, Told(eve with { Signature = null }));
        }

        void Restart(params SigningPublicKey[] keys)
        {
            _network.Settle();
            _network.Kill(_server);
            _server = StartServer(keys);
            Assert.True(_network.RunUntil(
                () => _alice.IsUp && _bob.IsUp && _server.Node.Peers.Count(peer => peer.Online) == 2, Soon));
            Assert.True(_network.RunUntil(() => _alice.Members.Any(member => member.Name == "bob" && member.IsListedOnline), Soon));
        }
    }

    [Fact]
    public void MachineThatWasNotGivenTheKeys_TakesEverybody_AndSaysSo()
    {
        SimulatedNode carol = _network.AddClient("carol");
        Assert.True(_network.RunUntil(() => carol.IsUp && carol.Members.Count() == 2, Soon));
        Assert.Empty(carol.Client.Signed.Withheld);
        Assert.StartsWith("This machine is not signed", carol.Node.LastError, StringComparison.Ordinal);
        Sign(_alice, carol);
        Assert.True(_network.RunUntil(
            () => carol.Node.LastError?.StartsWith("The server says that members of hub are signed", StringComparison.Ordinal) == true,
            Soon));
        Assert.Contains($"-SigningKey {_admin.PublicKey}", carol.Node.LastError, StringComparison.Ordinal);
    }

    [Fact]
    public void MachineMadeAnew_IsTakenWithAnAdminsSignature_AndTheFormerKeyIsNoneAnyMore()
    {
        SignBoth();
        DirectoryEntry former = EntryOf(_bob);
        _network.Kill(_bob);
        Change(new MemberChange(MemberChangeKind.Remove, KeyOf(_bob), "root"));
        _keys.Remove("bob");
        _bob = _network.AddClient("bob", former.Addresses[0].ToString(), identity: NewKey("bob"), change: WithKeys);
        Assert.True(_network.RunUntil(() => _bob.IsUp && _alice.Client.Signed.Withheld.Count > 0, Soon));
        Assert.Equal(former.Addresses[0], _bob.Address);
        _network.Run(TimeSpan.FromSeconds(5));

        Sign(_alice, _bob);
        AssertPasses(_alice, _bob);
        Assert.Empty(_alice.Client.Withheld);

        // The signature of the former key, which was good once, is a changed key now.
        Tell(former with { MemberId = 79 });
        Assert.Equal(former.PublicKey, Assert.Single(_alice.Client.Withheld).Entry.PublicKey);
    }

    [Fact]
    public void FloodOfUnsignedMembers_FillsNeitherMemoryNorLog()
    {
        SignedMembers signed = SigningOf(new SigningTrust(_network.ServerKey, [_admin.PublicKey]), "x");
        int told = 0;
        for (int i = 0; i < 70_000; i++)
        {
            byte[] key = new byte[32];
            BitConverter.TryWriteBytes(key, i);
            var entry = new DirectoryEntry
            {
                MemberId = (uint)(i + 2), Name = $"m{i}", Addresses = [Address("10.0.0.9")], PublicKey = new PublicKey(key),
            };
            Assert.Empty(signed.Filter(new DirectoryMessage { Revision = 1, Changed = [entry] }, _ => told++).Changed);
        }

        Assert.Equal((1024, Leases.DefaultMaximumCount), (told, signed.Withheld.Count));
        Assert.False(_kept.ContainsKey("x"));
    }

    [Fact]
    public void FloodOfSignatures_IsCheckedAtAPace_AndWhoIsSignedIsTakenInItsTurn()
    {
        SignedMembers signed = SigningOf(new SigningTrust(_network.ServerKey, [_admin.PublicKey]), "x");
        var taken = new List<uint>();
        var refused = new List<UnsignedMember>();
        for (uint i = 0; i < 1000; i++)
        {
            byte[] key = new byte[32];
            BitConverter.TryWriteBytes(key, i);
            var entry = new DirectoryEntry
            {
                MemberId = i + 2, Name = $"m{i}", Addresses = [Address("10.0.0.9")], PublicKey = new PublicKey(key),
            };
            entry = entry with { Signature = MemberSignature.Make(_admin, Statement(i % 100 == 50 ? entry : entry with { Name = "x" })) };
            DirectoryMessage page = signed.Filter(new DirectoryMessage { Revision = 1, Changed = [entry] }, refused.Add);
            taken.AddRange(page.Changed.Select(each => each.MemberId));
        }

        Assert.Equal([52, 152, 252], taken);
        Assert.Equal(253, refused.Count);
        Assert.Equal(744, signed.Withheld.Count(member => member.State == SignatureState.Unchecked));
        int turns = 0;
        for (Timestamp next = signed.NextTurn(Clock()); next != Timestamp.Never; next = signed.NextTurn(Clock()))
        {
            _network.Run(next - Clock());
            int before = refused.Count + taken.Count;
            taken.AddRange(signed.TakeChecked(1, refused.Add)?.Changed.Select(each => each.MemberId) ?? []);
            Assert.InRange(refused.Count + taken.Count - before, 0, 64);
            turns++;
        }

        Assert.Equal(Enumerable.Range(0, 10).Select(number => (uint)(52 + (100 * number))), taken);
        Assert.Equal((990, 990), (refused.Count, signed.Withheld.Count));
        Assert.InRange(turns, 20, 1000);
        Assert.Equal(10, _kept["x"].Seen.Count);

        Timestamp Clock() => _network.Time.Now();
    }

    private static TunnelAddress Address(string text) => ControlMessageTests.Address(text);

    private static string KeyOf(SimulatedNode node) => node.Node.Links.PublicKey.ToString();

    private static string FingerprintOf(SimulatedNode node) => KeyFingerprint.Of(KeyOf(node));

    private SimulatedNode StartServer(params SigningPublicKey[] keys) =>
        _network.StartServer(options => options with { SigningKeys = keys });

    private ClientOptions WithKeys(ClientOptions options) => options with { SigningKeys = [_admin.PublicKey] };

    private PrivateKey NewKey(string name)
    {
        if (!_keys.TryGetValue(name, out PrivateKey? key))
            _keys[name] = key = _network.NewKey();
        return new PrivateKey(Convert.FromBase64String(key.Reveal()));
    }

    private SimulatedNode Add(string name) => _network.AddClient(
        name, identity: NewKey(name), change: WithKeys,
        signed: (options, _) => SigningOf(new SigningTrust(options.ServerKey, options.SigningKeys), name));

    private SignedMembers SigningOf(SigningTrust trust, string name) => new(
        trust, _kept.GetValueOrDefault(name) ?? SigningMemory.None, _network.Time,
        seen => _kept[name] = new SigningMemory(trust.Keys, seen));

    private void SignBoth()
    {
        Sign(_alice, _alice);
        Sign(_alice, _bob);
        AssertPasses(_alice, _bob);
    }

    private Lease LeaseOf(SimulatedNode member) =>
        _network.SavedLeases.Single(lease => lease.PublicKey == member.Node.Links.PublicKey);

    private MemberStatement Statement(DirectoryEntry entry) => new()
    {
        ServerKey = _network.ServerKey, PublicKey = entry.PublicKey, Name = entry.Name, Addresses = entry.Addresses,
        IsPlain = entry.IsPlain, Issued = Now,
    };

    private MemberStatement Statement(Lease lease) => new()
    {
        ServerKey = _network.ServerKey, PublicKey = lease.PublicKey, Name = lease.Name, Addresses = lease.Addresses,
        IsPlain = lease.IsPlain, Issued = Now,
    };

    /// <summary>What the honest server tells of a member.</summary>
    private DirectoryEntry EntryOf(SimulatedNode member)
    {
        _network.Settle();
        Lease lease = LeaseOf(member);
        return new DirectoryEntry
        {
            MemberId = lease.MemberId, Name = lease.Name, Addresses = lease.Addresses, PublicKey = lease.PublicKey, Online = true,
            Signature = lease.Signature,
        };
    }

    /// <summary>An admin at a member signs another one as it is now, and the member hears of it.</summary>
    private void Sign(SimulatedNode at, SimulatedNode member, DateTimeOffset? expires = null)
    {
        _network.Settle();
        Task done = Brought(at, member, MemberSignature.Make(_admin, Statement(LeaseOf(member)) with { Expires = expires }));
        Assert.True(done.IsCompletedSuccessfully, done.Exception?.Message);
        Assert.True(_network.RunUntil(() => member.Client.Signing.State == SignatureState.Valid, Soon));
    }

    private Task Brought(SimulatedNode at, SimulatedNode member, MemberSignature signature)
    {
        Task? done = null;
        at.Node.Post(() => done = at.Client.Signing.SignAsync(member.Node.Links.PublicKey, signature));
        at.MarkReady();
        Assert.True(_network.RunUntil(() => done?.IsCompleted == true, Soon));
        return done!;
    }

    private LightTunnelException Refused(SimulatedNode at, SimulatedNode member, MemberSignature signature)
    {
        Task done = Brought(at, member, signature);
        return Assert.IsType<LightTunnelException>(done.Exception!.InnerException);
    }

    private void Change(MemberChange change)
    {
        _server.Node.Post(() => _ = ((ServerRole)_server.Node.Role).Administration.ChangeAsync(change));
        _server.MarkReady();
        _network.Settle();
    }

    private PeerStatus Shown(SimulatedNode at, SimulatedNode member) => new PeerReport("test", at.Tun, _network.Time).Peers(at.Node)
        .Single(peer => peer.PublicKey == KeyOf(member));

    /// <summary>The server is in bad hands, and tells alice of members.</summary>
    private void Tell(params DirectoryEntry[] entries) =>
        Send(new DirectoryMessage { Revision = ++_revision, Changed = entries, Partial = true });

    private void Send(DirectoryMessage page)
    {
        var session = ((ServedClient)_server.Peer("alice")).Session!;
        session.Send(page);
        _server.MarkReady();
        Assert.True(_network.RunUntil(() => session.IsIdle, Soon));
    }

    /// <summary>The same of one, who is none to her for a reason.</summary>
    private SignatureState Told(DirectoryEntry entry)
    {
        Tell(entry);
        Assert.DoesNotContain(_alice.Members, member => member.Key == entry.PublicKey);
        return _alice.Client.Signed.Withheld.Single(member => member.Entry.MemberId == entry.MemberId).State;
    }

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
}
