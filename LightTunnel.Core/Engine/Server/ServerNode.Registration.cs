using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Membership;

namespace LightTunnel.Engine.Server;

/// <summary>The part of a server that admits clients: who may come in, and what they get.</summary>
internal sealed partial class ServerNode
{
    private readonly HeldRegistrations _held = new();
    private string? _saveFailure;
    private string? _otherError;

    /// <summary>A save has come to an end; any thread.</summary>
    /// <param name="number">Its number: all before it are as far.</param>
    /// <param name="failure">Why it failed, null when it is on the disk.</param>
    public void OnSaved(long number, string? failure) => Post(() =>
    {
        if (failure is null && _saveFailure is not null)
            LastError = _otherError;
        else if (failure is not null && _saveFailure is null)
            _otherError = LastError;
        _saveFailure = failure;
        if (failure is not null)
        {
            LastError = $"The state cannot be saved, so that no new members are admitted: {failure}";
            RefuseHeld(number, failure);
        }
        else
        {
            AdmitHeld(number);
        }
    });

    private void Register(Peer peer, RegisterMessage register)
    {
        ControlSession session = peer.Session!;
        if (register.CheckFormat() is { } malformed)
        {
            Refuse(peer, register, malformed);
            return;
        }

        if (!session.Registered && !IsOnlyOne(peer, register))
            return;
        if (IsFullFor(peer))
        {
            Refuse(peer, register, Full());
            return;
        }

        Lease? before = _leases.ByKey(peer.Key);
        bool isKept = _save is null || (before is not null && !_held.Contains(peer) && register.RequestedAddresses.All(before.Addresses.Contains));
        if (!isKept && _saveFailure is { } failure)
        {
            Refuse(peer, register, CannotSave(failure));
            return;
        }

        if (before is null && !_newcomers.TryTake(peer.Path.Endpoint.Subscriber, _leases))
        {
            Refuse(peer, register, new RefusedMessage
            {
                Reason = RefusalReason.AddressPoolExhausted,
                Text = $"More than half of the addresses are taken, and many by new members from {peer.Path.Endpoint.Address} within an hour: try later.",
            });
            return;
        }

        LeaseResult result = _leases.Acquire(peer.Key, register.Name, register.RequestedAddresses, Time.GetUtcNow());
        if (result.Evicted is { } evicted)
            Forget(evicted, "its address is needed");
        if (result.Lease is not { } lease)
        {
            Refuse(peer, register, result.Refusal!);
            return;
        }

        _leasesChanged = true;
        if (isKept)
            Admit(peer, register, lease);
        else
            _held.Add(new HeldRegistration(peer, session, register, lease, before));
    }

    private void AdmitHeld(long number)
    {
        foreach (HeldRegistration held in _held.Take(number))
        {
            // Who has begun anew meanwhile waits again; a lease that somebody else got meanwhile is nobody's promise yet.
            if (held.Peer.Session != held.Session || _leases.ById(held.Lease.MemberId) is not { } lease || !lease.Addresses.SequenceEqual(held.Lease.Addresses))
                continue;
            if (IsFullFor(held.Peer))
                Refuse(held.Peer, held.Register, Full());
            else
                Admit(held.Peer, held.Register, lease);
        }
    }

    /// <summary>Nothing is promised that a restart would forget: it is as if they had not asked.</summary>
    private void RefuseHeld(long number, string failure)
    {
        foreach (HeldRegistration held in _held.Take(number))
        {
            _leasesChanged = true;
            if (held.Before is { } before)
                _leases.Acquire(before.PublicKey, before.Name, before.Addresses, Time.GetUtcNow());
            else
                _leases.Remove(held.Lease.MemberId);
            if (held.Peer.Session == held.Session)
                Refuse(held.Peer, held.Register, CannotSave(failure));
        }
    }

    private bool IsFullFor(Peer peer) => !peer.Online && _online >= _options.MaxClients;

    private RefusedMessage Full() => new() { Reason = RefusalReason.ServerFull, Text = $"{_options.MaxClients} clients are online." };

    private static RefusedMessage CannotSave(string failure) =>
        new() { Reason = RefusalReason.Other, Text = $"It cannot save whom it gives an address, and admits nobody new until it can. {failure}" };

    private void Admit(Peer peer, RegisterMessage register, Lease lease)
    {
        ControlSession session = peer.Session!;
        bool isNew = peer.MemberId == 0;
        bool isRenamed = lease.Name != register.Name;
        if (isRenamed && lease.Name != peer.Name)
            TellOfName(lease, register.Name);
        RemoveRoutes(peer);
        peer.MemberId = lease.MemberId;
        peer.Name = lease.Name;
        peer.Version = register.SoftwareVersion;
        peer.PreferredSuite = register.PreferredSuite;
        peer.Addresses = [.. lease.Addresses];
        peer.NetworkMtu = _mtu;
        session.Registered = true;
        AddRoutes(peer);
        SetOnline(peer);

        ProtocolRange.TryAgree(ProtocolRange.Own, register.Protocols, out int protocol);
        session.Send(new RegisteredMessage
        {
            Protocol = protocol,
            MemberId = lease.MemberId,
            NetworkName = _options.Name,
            ServerName = _options.Name,
            Addresses = [.. lease.Addresses.Select(WithPrefixLength)],
            ServerAddresses = [.. _options.Addresses.Select(own => own.Address)],
            Mtu = _mtu,
            ObservedEndpoint = peer.Path.Endpoint,
            ClientIsolation = _options.ClientIsolation,
            SoftwareVersion = SoftwareVersion.Text,
            PreferredSuite = PreferredSuite,
            ObserverPort = _observer.Port,
            ObserverAddresses = _observer.Addresses,
            GivenName = isRenamed ? lease.Name : string.Empty,
        });
        if (peer.Identity!.TakeNews())
            session.Send(new NoticeMessage { Kind = NoticeKind.IdentityShared });
        if (!_options.ClientIsolation)
            _directory.Begin(peer, register.AsksForMembers);
        Log.Information(
            "Client {Client} ({Address}) {Event} from {Endpoint}", peer.Name, peer.Addresses[0], isNew ? "joined for the first time" : "joined", peer.Path.Endpoint);
    }

    /// <summary>False for the later one of two machines that have one key: it is told, and waits.</summary>
    private bool IsOnlyOne(Peer peer, RegisterMessage register)
    {
        peer.Identity ??= new IdentityWatch(Time);
        IdentityVerdict verdict = peer.Identity.OnRegister(register.Instance, peer.WasAnswered);
        if (verdict == IdentityVerdict.Admit)
            return true;
        if (verdict == IdentityVerdict.Replace)
        {
            Log.Security(
                SecurityEvent.IdentityReplaced, peer.Key.ToString(),
                $"Two machines use the identity of {peer.Name} ({string.Join(", ", peer.Addresses)}): the later one, at {peer.Path.Endpoint}, was sent away");
        }

        peer.Session!.Send(new LeaveMessage { Reason = LeaveReason.Replaced });
        return false;
    }

    /// <summary>A member asked for a name that is another's: whoever has it should know of both.</summary>
    private void TellOfName(Lease lease, string asked)
    {
        Peer? owner = _leases.ByName(asked) is { } other ? _members.Find(other.MemberId) : null;
        Log.Warning(
            "A member with the address {Address} asked for the name {Asked}, which is {Owner}'s: it is known as {Name}",
            lease.Addresses[0], asked, owner?.Addresses[0].ToString() ?? "another", lease.Name);
        if (owner?.Session is { Registered: true, IsIdle: true } session)
            session.Send(new NoticeMessage { Kind = NoticeKind.NameAskedFor, Subject = lease.Name });
    }

    private InterfaceAddress WithPrefixLength(TunnelAddress address) =>
        new(address, _options.Addresses.First(own => own.Address.IsIPv4 == address.IsIPv4).PrefixLength);

    private void Refuse(Peer peer, RegisterMessage register, RefusedMessage refusal)
    {
        Log.Security(
            SecurityEvent.Refused, peer.Key.ToString(),
            $"Client {register.Name} from {peer.Path.Endpoint} was refused: {refusal.Reason}. {refusal.Text}");
        peer.Session!.Send(refusal);
    }

    private void NoteRegistrationFlood(Peer peer) => Log.Security(
        SecurityEvent.Flood, peer.Key.ToString(), $"{(peer.Name.Length == 0 ? peer.Key.ToString() : peer.Name)} at {peer.Path.Endpoint} registers again and again");
}
