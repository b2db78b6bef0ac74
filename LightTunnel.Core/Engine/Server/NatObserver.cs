using LightTunnel.Addressing;
using LightTunnel.Engine.Control;
using LightTunnel.Timing;
using LightTunnel.Transport;
using LightTunnel.Traversal;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Server;

/// <summary>
/// The server's part in the measurement of its members' NATs (RFC 5780): it answers their probes with where they came from, and on request
/// from where nothing was sent to yet: a second port, and a second public address when it has one. Owned by the control loop.
/// </summary>
internal sealed class NatObserver : IDisposable
{
    private readonly PrivateKey _identity;
    private readonly PresharedKeys _networkKeys;
    private readonly NodeServices _services;
    private readonly UnprovenBudget _unproven;
    private readonly TurnOutputs _outputs;
    private readonly Dictionary<ServedClient, ProbeResponder> _responders = [];

    // Of the second port: one for all addresses, or one for each of two.
    private readonly List<LocalEnd> _sockets = [];

    /// <param name="identity">The server's key pair; not owned.</param>
    /// <param name="networkKeys">The network's keys; not owned.</param>
    /// <param name="port">The second port; null for the one after the first, 0 for none. Another one is taken when it is in use.</param>
    /// <param name="addresses">The server's own addresses.</param>
    /// <param name="tunnel">The network's prefixes.</param>
    /// <param name="unproven">How much may go to whom may not exist: a member's probe says where it came from, and may lie.</param>
    /// <param name="outputs">Takes what is to be sent.</param>
    /// <param name="services">What the node stands on.</param>
    public NatObserver(
        PrivateKey identity, PresharedKeys networkKeys, int? port, IReadOnlyList<LocalAddressInfo> addresses,
        IReadOnlyList<IpPrefix> tunnel, UnprovenBudget unproven, TurnOutputs outputs, NodeServices services)
    {
        _identity = identity;
        _networkKeys = networkKeys;
        _services = services;
        _unproven = unproven;
        _outputs = outputs;
        if (port != 0)
            Open(port ?? services.Transport.LocalPort + 1, PublicAddresses(addresses, tunnel));
    }

    /// <summary>The second port, 0 for none.</summary>
    public int Port { get; private set; }

    /// <summary>The two addresses that are told apart; none when the server has one.</summary>
    public IReadOnlyList<TunnelAddress> Addresses { get; private set; } = [];

    /// <summary>A member's probe, or what looks like one.</summary>
    public void OnProbe(ServedClient member, ReadOnlySpan<byte> datagram, in PathAddress source, Timestamp now)
    {
        Span<byte> answer = stackalloc byte[ProbeCodec.Size];
        if (ResponderOf(member) is not { } responder
            || !responder.TryAnswer(datagram, source.Endpoint, now, answer, out bool fromElsewhere))
        {
            return;
        }
        if (!fromElsewhere || _sockets.Count == 0)
        {
            if (_unproven.TryTake(source.Endpoint))
                _outputs.Send((source with { IsUnproven = true }).Handle, [], answer);
            return;
        }

        foreach (LocalEnd socket in _sockets)
        {
            if (_unproven.TryTake(source.Endpoint))
                _outputs.Send(source.By(socket).Handle, [], answer);
        }
    }

    /// <summary>Forgets a member that is gone.</summary>
    public void Forget(ServedClient member)
    {
        if (_responders.Remove(member, out ProbeResponder? responder))
            responder.Dispose();
    }

    /// <summary>Zeroes all keys.</summary>
    public void Dispose()
    {
        foreach (ProbeResponder responder in _responders.Values)
            responder.Dispose();
        _responders.Clear();
    }

    private void Open(int wanted, TunnelAddress[] addresses)
    {
        IDatagramTransport transport = _services.Transport;
        if (addresses.Length > 1 && transport.TryOpenSocket(out LocalEnd first, wanted, addresses[0].ToIPAddress()))
        {
            Port = wanted;
            _sockets.Add(first);
            if (!transport.TryOpenSocket(out LocalEnd second, wanted, addresses[1].ToIPAddress()))
                return;
            _sockets.Add(second);
            Addresses = addresses;
            return;
        }

        if (!transport.TryOpenSocket(out LocalEnd socket, wanted is > 0 and <= ushort.MaxValue ? wanted : 0)
            && !transport.TryOpenSocket(out socket))
        {
            _services.Log.Warning("UDP port {Port} cannot be opened: clients cannot measure their NATs", wanted);
            return;
        }

        Port = transport.PortOf(socket);
        _sockets.Add(socket);
        if (Port != wanted)
            _services.Log.Information("UDP port {Wanted} is taken: clients' NATs are looked at from port {Port}", wanted, Port);
    }

    /// <summary>Two public IPv4 addresses, if there are so many: private ones say nothing of the members' NATs.</summary>
    private static TunnelAddress[] PublicAddresses(IReadOnlyList<LocalAddressInfo> addresses, IReadOnlyList<IpPrefix> tunnel) =>
    [
        .. HostCandidates.Filter(addresses, port: 1, tunnel)
            .Where(candidate => candidate.Endpoint is { IsIPv4: true, IsLocal: false })
            .Select(candidate => TunnelAddress.FromIPAddress(candidate.Endpoint.Address))
            .Distinct()
            .Take(2),
    ];

    private ProbeResponder? ResponderOf(ServedClient member)
    {
        if (_responders.TryGetValue(member, out ProbeResponder? known))
            return known;
        if (!ProbeKeys.TryMake(_identity, member.Key, _networkKeys, out ProbeKeys? keys))
            return null;
        var channel = new ProbeChannel(keys, Membership.Leases.ServerMemberId, _services.RisingNow) { PeerKeyNumber = member.KeyNumber };
        var responder = new ProbeResponder(channel, _services.Time);
        _responders.Add(member, responder);
        return responder;
    }
}
