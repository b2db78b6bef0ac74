using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Data;
using LightTunnel.Membership;
using LightTunnel.Membership.Signing;
using LightTunnel.Timing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Server;

/// <summary>
/// A server's clients, one for each key: who there is, who is online, and what follows from that for routes, the directory, leases and
/// relaying. Strangers that hold the network's key are in it until they register or are forgotten. Owned by the control loop, but for
/// <see cref="Members"/>.
/// </summary>
internal sealed class ClientRoster(
    Node node, int mtu, Leases leases, DirectoryTeller directory, NatObserver observer)
{
    private readonly Dictionary<PublicKey, ServedClient> _peers = [];

    /// <summary>Members by id, for relaying; any thread.</summary>
    public MemberTable Members { get; } = new();

    /// <summary>A number that changes with who is a member.</summary>
    public long Generation { get; private set; }

    /// <summary>Everybody.</summary>
    public IReadOnlyCollection<ServedClient> All => _peers.Values;

    /// <summary>How many are online.</summary>
    public int Online { get; private set; }

    /// <summary>True when data was carried for it since the server was started.</summary>
    public static bool HasTraffic(ServedClient peer) => peer.LastTraffic != Timestamp.NotYet;

    /// <summary>The member with that key, when it is here; null else.</summary>
    public ServedClient? FindOnline(PublicKey member) => _peers.TryGetValue(member, out ServedClient? peer) && peer.Online ? peer : null;

    /// <summary>The plain WireGuard client of that key, whether it is here or not; null for all others.</summary>
    public ServedClient? FindPlain(in PublicKey key) =>
        _peers.GetValueOrDefault(key) is { IsPlain: true, MemberId: not 0 } peer ? peer : null;

    /// <summary>The member of that id that is online, and that others may introduce themselves to.</summary>
    public ServedClient? FindMember(uint id) => Members.Find(id) as ServedClient;

    /// <summary>The member that has an address or a key, or a prefix with the address in it.</summary>
    public ServedClient? Find(MemberSubject subject)
    {
        ServedClient? found = null;
        if (subject.Key is { } key)
            _peers.TryGetValue(key, out found);
        else if (subject.Address is { } address)
            found = node.Forwarding.TryFind(address, out RouteTarget? target) ? target as ServedClient : null;
        return found is { MemberId: not 0 } ? found : null;
    }

    /// <summary>The client of that key, which is new when nobody has it.</summary>
    public ServedClient Meet(in PublicKey key)
    {
        if (!_peers.TryGetValue(key, out ServedClient? peer))
        {
            peer = new ServedClient(key, node.Time) { Owner = node.Thread, Rules = node.Rules };
            _peers.Add(key, peer);
        }

        return peer;
    }

    /// <summary>The client takes part from now on.</summary>
    public void SetOnline(ServedClient peer)
    {
        if (!peer.Online)
        {
            peer.Online = true;
            Online++;
        }

        peer.Updated = node.Time.GetUtcNow();
        node.Journal.Note(peer);
        if (!peer.IsPlain)
            Members.Set(peer.MemberId, peer);
        leases.SetOnline(peer.Key, online: true, node.Time.GetUtcNow());
        UpdateDirectory(peer);
        directory.OnReady(peer);
        node.Hurry(peer);
    }

    /// <summary>The client takes part no more.</summary>
    public void SetOffline(ServedClient peer, string why)
    {
        peer.Online = false;
        peer.Updated = node.Time.GetUtcNow();
        if (HasTraffic(peer))
            leases.NoteUsed(peer.Key);
        Online--;
        node.Journal.Note(peer);
        Members.Set(peer.MemberId, null);
        leases.SetOnline(peer.Key, online: false, node.Time.GetUtcNow());
        UpdateDirectory(peer);
        node.Log.Information("Client {Client} ({Address}) {Event}", peer.Name, peer.Addresses[0], why);
    }

    /// <summary>Lets go of the peer's link; a member stays known as offline, a stranger is forgotten.</summary>
    public void Unlink(ServedClient peer)
    {
        if (peer.Online)
            SetOffline(peer, "is gone");
        Node.DropStaged(peer);
        observer.Forget(peer);
        EndSession(peer);
        if (peer.Link is { } link)
        {
            peer.Link = null;
            node.Links.Remove(link);
        }

        if (peer.MemberId == 0)
            Drop(peer);
    }

    /// <summary>A member has this lease. Who is kept out is nobody's peer.</summary>
    public void Remember(Lease lease)
    {
        if (leases.Blocked.Contains(lease.PublicKey) || leases.IsOver(lease, node.Time.GetUtcNow()))
            return;
        ServedClient peer = Meet(lease.PublicKey);
        peer.KeyNumber = lease.KeyNumber;
        if (lease.IsPlain && peer.OwnKeys is null)
            Expect(peer);
        peer.MemberId = lease.MemberId;
        peer.Name = lease.Name;
        peer.Addresses = [.. lease.Addresses];
        peer.Signature = lease.Signature;
        peer.NetworkMtu = mtu;
        if (peer.Addresses.Length == 0)
            return; // The network's prefix is another one now: the member gets a new address when it comes back.
        node.AddRoutes(peer);
        node.Journal.Remember(peer);
        Generation++;
        UpdateDirectory(peer);
    }

    /// <summary>Something that the directory says of a member has changed.</summary>
    public void Tell(ServedClient peer) => UpdateDirectory(peer);

    /// <summary>
    /// An admin has made a member of a machine, or given a member another name or other addresses: all others are told. If it is here it
    /// registers again, and so learns of it; its links stay.
    /// </summary>
    public void Change(Lease lease)
    {
        if (!_peers.TryGetValue(lease.PublicKey, out ServedClient? peer) || peer.MemberId == 0)
        {
            if (peer is { IsBlocked: true })
                Unlink(peer); // It was sent away a moment ago.
            Remember(lease);
            AskAnew(lease.PublicKey);
            return;
        }

        if (peer.Name == lease.Name && peer.Addresses.AsSpan().SequenceEqual([.. lease.Addresses]))
        {
            ChangeSignature(peer, lease.Signature);
            return;
        }

        node.RemoveRoutes(peer);
        peer.Name = lease.Name;
        peer.Addresses = [.. lease.Addresses];
        peer.Signature = lease.Signature;
        node.AddRoutes(peer);
        node.Journal.Note(peer);
        UpdateDirectory(peer);
        if (peer is { Link: { } link, Session: { } session })
            SendReset(link, session.Conversation);
        EndSession(peer);
        node.Hurry(peer);
    }

    /// <summary>An admin has signed a member: all others are told, and it is.</summary>
    private void ChangeSignature(ServedClient peer, MemberSignature? signature)
    {
        if (Equals(peer.Signature, signature))
            return;
        peer.Signature = signature;
        UpdateDirectory(peer);
        if (signature is not null && peer is { Online: true, Session: { Registered: true } session })
            session.Send(new SignatureMessage { Signature = signature });
        node.Hurry(peer);
    }

    /// <summary>A machine that is no member, if it is here, is to ask again, as the answer is another now.</summary>
    public void AskAnew(in PublicKey machine)
    {
        if (!_peers.TryGetValue(machine, out ServedClient? peer) || peer is not { Link: { } link, Session: not { Registered: true } })
            return;
        peer.IsApplicant = false;
        peer.LinkedAt = node.Now;
        SendReset(link, peer.Session?.Conversation ?? 0);
        node.Hurry(peer);
    }

    /// <summary>A member whose lease has ended, for a reason that is told.</summary>
    public void Forget(Lease lease, string why)
    {
        if (Remove(lease))
        {
            node.Log.Audit(
                AuditAction.Forgotten, by: null, lease.Name, lease.PublicKey.ToString(),
                $"Client {lease.Name} ({string.Join(", ", lease.Addresses)}) is forgotten: {why}");
        }
    }

    /// <summary>A member whose lease an admin has ended; false when it is nobody's peer.</summary>
    public bool Remove(Lease lease)
    {
        if (!_peers.TryGetValue(lease.PublicKey, out ServedClient? peer))
            return false;
        Unlink(peer);
        node.Journal.NoteGone(peer);
        node.RemoveRoutes(peer);
        directory.Remove(lease.PublicKey);
        peer.MemberId = 0; // Whoever still has it at hand must not bring it back into the directory.
        Drop(peer);
        return true;
    }

    /// <summary>A plain client's handshakes have a pre-shared key of their own from now on; what was agreed on by another ends.</summary>
    private void Expect(ServedClient peer)
    {
        peer.OwnKeys = new PresharedKeyRing(PlainKeysOf(peer));
        peer.IsPlain = true;
        EndSession(peer);
        peer.Link = null;
        if (node.Links.Find(peer.Key) is { } before)
            node.Links.Remove(before);
    }

    /// <summary>
    /// A plain client's keys follow from those of the network: the one that its configuration was made with, and those that came after.
    /// </summary>
    private NetworkKeySet PlainKeysOf(ServedClient peer)
    {
        PresharedKeyRing network = node.NetworkKeys;
        return new NetworkKeySet
        {
            Key = Of(network.Newest),
            Number = network.Number,
            Former =
            [
                .. network.All.Skip(1).Zip(network.Set.Former, (key, former) => former with { Key = Of(key) })
                    .Where(former => former.Number >= peer.KeyNumber),
            ],
        };

        byte[] Of(NumberedKey key)
        {
            using PresharedKey derived = ClientPresharedKey.Derive(key.Key, node.Links.PublicKey, peer.Key);
            return derived.Bytes.ToArray();
        }
    }

    /// <summary>The network's keys are others, or a plain client has shown that it has a later one.</summary>
    public void RenewKeys(ServedClient plain)
    {
        if (plain.OwnKeys is not { } own)
            return;
        NetworkKeySet before = own.Set;
        own.Take(PlainKeysOf(plain));
        before.ZeroOthersThan(null);
    }

    /// <summary>A member is known to have one of the network's keys: others are told, as they know it by that from now on.</summary>
    public void NoteKey(ServedClient peer, int number)
    {
        peer.KeyNumber = number;
        leases.NoteKey(peer.Key, number);
        if (peer.IsPlain)
            RenewKeys(peer);
        else if (peer.Addresses.Length > 0)
            UpdateDirectory(peer);
    }

    /// <summary>
    /// Keeps a member out that was in: nothing goes to it or comes from it any more, and all others are told that it is none. If it is
    /// here, it is told why, and its link goes when it has taken that.
    /// </summary>
    public void Block(in PublicKey member)
    {
        if (_peers.TryGetValue(member, out ServedClient? peer) && !peer.IsBlocked)
            Exclude(peer, "was blocked", LeaveReason.Blocked);
    }

    /// <summary>Keeps a member out whose membership has ended, in the same way; false when it was none already.</summary>
    public bool Expire(in PublicKey member)
    {
        if (!_peers.TryGetValue(member, out ServedClient? peer) || peer.IsBlocked || peer.MemberId == 0)
            return false;
        Exclude(peer, "is no member any more, as its time is over", LeaveReason.Expired);
        return true;
    }

    private void Exclude(ServedClient peer, string why, LeaveReason reason)
    {
        if (peer.Online)
            SetOffline(peer, why);
        Node.DropStaged(peer);
        observer.Forget(peer);
        if (peer.MemberId != 0)
        {
            node.Journal.NoteGone(peer);
            node.RemoveRoutes(peer);
            directory.Remove(peer.Key);
        }

        directory.End(peer);
        peer.MemberId = 0;
        peer.Addresses = [];
        Generation++;
        peer.IsBlocked = true;
        if (peer is not { Link: not null, Session: { IsBroken: false } session })
        {
            Unlink(peer);
            return;
        }

        session.HasLeft = true;
        session.Registered = false;
        session.Send(new LeaveMessage { Reason = reason });
        peer.LinkedAt = node.Now;
        node.Hurry(peer);
    }

    /// <summary>A member may come in again: others know it as offline until it does.</summary>
    public void Unblock(in PublicKey member)
    {
        if (_peers.TryGetValue(member, out ServedClient? peer) && peer.IsBlocked)
            Unlink(peer);
        if (leases.ByKey(member) is { } lease)
            Remember(lease);
    }

    private void UpdateDirectory(ServedClient peer) => directory.Update(new DirectoryEntry
    {
        MemberId = peer.MemberId,
        Name = peer.Name,
        Addresses = peer.Addresses,
        PublicKey = peer.Key,
        Online = peer.Online,
        SoftwareVersion = peer.Version ?? string.Empty,
        PreferredSuite = peer.PreferredSuite,
        IsPlain = peer.IsPlain,
        Signature = peer.Signature,
        KeyNumber = peer.IsPlain ? 0 : peer.KeyNumber,
        Routes = peer.Subnets,
    });

    /// <summary>The client's conversation is over.</summary>
    public void EndSession(ServedClient peer)
    {
        peer.WasAnswered = peer.Session is { Registered: true, IsAnswered: true };
        directory.End(peer);
        peer.Session = null;
    }

    /// <summary>
    /// Another server has ended or changed a member's lease: what is known here of it goes, and if the member is here, it registers again
    /// and so learns of it.
    /// </summary>
    public void Displace(Lease lease)
    {
        if (!_peers.TryGetValue(lease.PublicKey, out ServedClient? peer) || peer.MemberId == 0)
            return;
        if (peer.IsPlain)
            Unlink(peer); // It cannot register; its next handshake finds what is known by then.
        if (peer.Online)
            SetOffline(peer, "has to register again, as its lease was changed elsewhere");
        if (peer is { Link: { } link, Session: { } session })
        {
            SendReset(link, session.Conversation);
            peer.LinkedAt = node.Now;
            node.Hurry(peer);
        }

        EndSession(peer);
        node.Journal.NoteGone(peer);
        node.RemoveRoutes(peer);
        directory.Remove(peer.Key);
        peer.MemberId = 0;
        peer.Addresses = [];
        Generation++;
        if (peer.Link is null)
            Drop(peer);
    }

    private void Drop(ServedClient peer)
    {
        _peers.Remove(peer.Key);
        Generation++;
        if (peer.IsPlain && node.Links.Find(peer.Key) is { } pending)
            node.Links.Remove(pending); // Its handshake was under way.
        if (peer.OwnKeys is { } own)
        {
            own.Dispose();
            own.Set.ZeroOthersThan(null);
        }
    }

    /// <summary>Has the client begin a new conversation.</summary>
    public void SendReset(Link link, uint conversation)
    {
        Span<byte> frame = stackalloc byte[ControlFrame.HeaderLength];
        new ControlFrame(ControlFrameKind.Reset, conversation, 0).Write(frame);
        node.Sender.Frame(link, frame);
    }
}
