using System.Security.Cryptography;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Membership;
using LightTunnel.Membership.Store;
using LightTunnel.Timing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Server;

/// <summary>
/// Where an admin gives the network another key. It is where a restart finds it before anybody is told of it, together with the ones
/// before and their ends; what follows from it (members are told, invitations that have the key before in their text end) follows again at
/// a start, as far as it had not come to it. Owned by the control loop.
/// </summary>
internal sealed class NetworkKeyDesk
{
    private static readonly TimeSpan RetryInterval = TimeSpan.FromMinutes(1);

    private static readonly TimeSpan LongestLook = TimeSpan.FromDays(1);

    private readonly Node _node;
    private readonly ServerOptions _options;
    private readonly Leases _leases;
    private readonly Admission _admission;
    private readonly ClientRoster _roster;
    private readonly NetworkKeyTeller _teller;
    private readonly INetworkKeyStore? _store;
    private bool _isKeeping;
    private bool _isUnkept;
    private Timestamp _nextTry = Timestamp.AtOnce;

    /// <param name="node">The node.</param>
    /// <param name="options">What the server is to be.</param>
    /// <param name="leases">Members and invitations.</param>
    /// <param name="admission">Commits changes of them.</param>
    /// <param name="roster">The clients.</param>
    /// <param name="teller">Tells them of the key.</param>
    /// <param name="store">Where the keys last; null for nowhere.</param>
    public NetworkKeyDesk(
        Node node, ServerOptions options, Leases leases, Admission admission, ClientRoster roster, NetworkKeyTeller teller,
        INetworkKeyStore? store)
    {
        _node = node;
        _options = options;
        _leases = leases;
        _admission = admission;
        _roster = roster;
        _teller = teller;
        _store = store;
        if (leases.Invitations.OfOtherKeys(Keys.Number, node.Time.GetUtcNow()).Count > 0)
            _ = EndInvitationsAsync();
    }

    private PresharedKeyRing Keys => _node.NetworkKeys;

    /// <summary>
    /// What a handshake with somebody is made with: members, and those who wait for approval, may have a key of before; who is nobody yet
    /// has none but the newest.
    /// </summary>
    public LinkKeys KeysOf(in PublicKey initiator, ServedClient? plain)
    {
        if (plain?.OwnKeys is { } own)
            return new LinkKeys(own, plain.KeyNumber);
        if (_leases.ByKey(initiator) is { } lease)
            return new LinkKeys(Keys, lease.KeyNumber);
        return _leases.Applicants.Find(initiator) is { Denied: null }
            ? new LinkKeys(Keys, 0)
            : new LinkKeys(Keys.NewestOnly, int.MaxValue);
    }

    /// <summary>Gives the network another key; the task completes when it lasts and members are being told.</summary>
    /// <exception cref="LightTunnelException">The time is out of range, too many keys are good now, or it cannot be saved.</exception>
    public async Task<NetworkKeyReport> ChangeAsync(NetworkKeyRequest request)
    {
        TimeSpan grace = request.GracePeriod;
        Check(grace);
        DateTimeOffset now = _node.Time.GetUtcNow();
        using PresharedKey key = PresharedKey.Generate();
        NetworkKeySet before = Keys.Set;
        NetworkKeySet next = before.Follow(key.Bytes, NetworkKeySet.NumberOf(before.Number, now), now, grace);
        var kept = new TaskCompletionSource<NetworkKeyReport>(TaskCreationOptions.RunContinuationsAsynchronously);
        Task ending = Task.CompletedTask;
        Keep(next, failure =>
        {
            if (failure is null)
            {
                NetworkKeyReport report = Begin(next, request.By, now);
                ending = EndInvitationsAsync();
                kept.SetResult(report);
                return;
            }

            // Whatever of it came to the disk nevertheless, a restart is to find the key that is in use.
            (_isUnkept, _nextTry) = (true, _node.Now);
            CryptographicOperations.ZeroMemory(next.Key);
            kept.SetException(new LightTunnelException(
                LightTunnelError.FileAccess, $"The network's key is not changed, as that cannot be saved: {failure}",
                "See that the server's state folder can be written and its disk has room, then try again.") { Target = _options.Name });
        });
        NetworkKeyReport made = await kept.Task.ConfigureAwait(false);
        await ending.ConfigureAwait(false);
        return made;
    }

    /// <summary>The report with who has the key by now; control loop.</summary>
    public NetworkKeyReport Complete(NetworkKeyReport report)
    {
        ILookup<bool, Lease> members = _leases.All.Where(lease => !lease.IsPlain && !_leases.Blocked.Contains(lease.PublicKey))
            .ToLookup(lease => lease.KeyNumber == Keys.Number);
        return report with
        {
            MembersFollowed = NamesOf(members[true]),
            MembersWaiting = NamesOf(members[false]),
            MembersOutdated = NamesOf(members[false].Where(lease => _roster.FindOnline(lease.PublicKey) is { TakesKeys: false })),
        };
    }

    /// <summary>Lets go of keys whose time is over; returns when to call again.</summary>
    public Timestamp Run(Timestamp now)
    {
        if (_isKeeping)
            return Timestamp.Never;
        DateTimeOffset wall = _node.Time.GetUtcNow();
        if (Keys.Set.NextEnd <= wall)
        {
            NetworkKeySet before = Keys.Set;
            Take(before.At(wall));
            TellOfEnd(before);
            _isUnkept = true;
            _nextTry = now;
        }

        if (_isUnkept && now >= _nextTry)
        {
            _isUnkept = false;
            Keep(Keys.Set, failure =>
            {
                _isUnkept = failure is not null;
                _nextTry = _node.Now + RetryInterval;
                _node.Wake();
            });
        }

        Timestamp end = Keys.Set.NextEnd is { } until
            ? now + (until - wall < LongestLook ? until - wall : LongestLook)
            : Timestamp.Never;
        return _isUnkept ? Timestamp.Earliest(end, _nextTry) : end;
    }

    private static string[] NamesOf(IEnumerable<Lease> members) =>
        [.. members.Select(lease => lease.Name).Order(StringComparer.OrdinalIgnoreCase)];

    private void Check(TimeSpan grace)
    {
        // PowerShell takes a mere number for one of 100 ns.
        if (grace != TimeSpan.Zero && (grace < TimeSpan.FromSeconds(1) || grace > NetworkKeyMessage.LongestGrace))
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidOption, $"GracePeriod {grace:c} is no time that a key can be good for.",
                "Give a time such as 30.00:00 for thirty days, or 0 for none.") { Target = grace };
        }

        if (_isKeeping)
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidOption, "The network's key is being changed already.", "Try again in a moment.")
                {
                    Target = _options.Name,
                };
        }

        if (grace > TimeSpan.Zero && Keys.Set.At(_node.Time.GetUtcNow()).Former.Count >= NetworkKeySet.MostFormer)
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidOption,
                $"{NetworkKeySet.MostFormer} former keys are good still, the first until {Keys.Set.NextEnd:u}: there cannot be more.",
                "Wait until then, or end all of them with -GracePeriod 0: members that are not online now then need new invitations.")
                {
                    Target = _options.Name,
                };
        }
    }

    /// <summary>Keeps keys, and calls back on the control loop.</summary>
    private void Keep(NetworkKeySet keys, Action<string?> done)
    {
        _isKeeping = true;
        if (_store is null)
            OnKept(null);
        else
            _store.Keep(keys, failure => _node.Post(() => OnKept(failure)));

        void OnKept(string? failure)
        {
            _isKeeping = false;
            done(failure);
        }
    }

    /// <summary>The network has another key, as a restart would find it.</summary>
    private NetworkKeyReport Begin(NetworkKeySet next, string by, DateTimeOffset now)
    {
        Take(next);
        LetStrangersGo();
        DateTimeOffset? ends = next.Former.Count == 0 ? null : next.Former.Max(former => former.Until);
        string user = LocalUsers.Shown(by);
        string before = ends is { } until ? $"is good for known members until {until:u}" : "is good for nothing from now on";
        _node.Log.Audit(
            AuditAction.NetworkKeyChanged, user, _options.Name, null,
            $"The key of the network {_options.Name} was changed on this machine by {user}; the one before {before}");
        _teller.TellAll();
        return new NetworkKeyReport
        {
            Tunnel = _options.Name,
            Changed = now,
            GraceEnds = ends,
            InvitationsEnded =
                [.. _leases.Invitations.OfOtherKeys(next.Number, now).Select(record => InvitationRecord.TextOf(record.Id))],
            WireGuardClients = NamesOf(_leases.All.Where(lease => lease.IsPlain)),
            IsKeyConfigured = _options.NetworkKey is not null,
        };
    }

    private void Take(NetworkKeySet keys)
    {
        Keys.Take(keys);
        foreach (ServedClient plain in _roster.All)
            _roster.RenewKeys(plain);
    }

    /// <summary>Who is no member, and has a link by the key before, has none any more.</summary>
    private void LetStrangersGo()
    {
        foreach (Link link in _node.Links.Links.Where(link => ReferenceEquals(link.Keys, Keys.NewestOnly)).ToArray())
        {
            if (link.Owner is ServedClient stranger)
                _roster.Unlink(stranger);
            _node.Links.Remove(link);
        }
    }

    /// <summary>Nobody can come any more by an invitation whose text has another key.</summary>
    private async Task EndInvitationsAsync()
    {
        Task ended = _admission.ChangeAsync(new OwnerChange(
            "its invitations", all => all.Invitations.RemoveOfOtherKeys(Keys.Number, _node.Time.GetUtcNow())));
        _node.Wake();
        try
        {
            await ended.ConfigureAwait(false);
        }
        catch (LightTunnelException failure)
        {
            _node.Log.Warning(
                "Invitations that have a former network key in them admit nobody, and are listed nevertheless until this server is started "
                    + "again: {Reason}", failure.Message);
        }
    }

    private void TellOfEnd(NetworkKeySet before)
    {
        int[] good = [Keys.Number, .. Keys.Set.Former.Select(former => former.Number)];
        int[] over = [.. before.Former.Select(former => former.Number).Except(good)];
        string[] left = NamesOf(_leases.All.Where(lease => over.Contains(lease.KeyNumber)));
        if (left.Length == 0)
        {
            _node.Log.Information("The time of a former network key is over; every member has a later one");
            return;
        }

        const int MostNames = 20;
        _node.Log.Warning(
            "The time of a former network key is over. {Count} members have no other, and need a new invitation (or configuration, with "
                + "plain WireGuard): {Members}",
            left.Length, string.Join(", ", left.Take(MostNames)) + (left.Length > MostNames ? ", ..." : string.Empty));
    }
}
