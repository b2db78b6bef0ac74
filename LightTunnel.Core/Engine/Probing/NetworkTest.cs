using System.Globalization;
using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Engine.Client;
using LightTunnel.Engine.Control;
using LightTunnel.Membership;
using LightTunnel.PortMapping;
using LightTunnel.Timing;
using LightTunnel.Traversal;

namespace LightTunnel.Engine.Probing;

/// <summary>
/// Tests what the network between a client and its server, and before it, lets pass: pings through the link, then some as long as the
/// tunnel's packets; beside it tells what the client knows already. Owned by the control loop.
/// </summary>
internal sealed class NetworkTest : NodeTest<NetworkTestReport>
{
    private const int Pings = 10;
    /// <summary>The measurement of the NAT tells nobody that it has ended, which it does soon.</summary>
    private static readonly TimeSpan DetectionInterval = TimeSpan.FromMilliseconds(50);

    /// <summary>Time stamps of handshakes and the end of invitations bear less than this.</summary>
    private static readonly TimeSpan WorstClockOffset = TimeSpan.FromMinutes(1);

    /// <summary>Share of lost pings that is worth a word.</summary>
    private const double WorstLoss = 0.15;

    private readonly Node _node;
    private readonly ClientRole _client;
    private readonly TimeProvider _time;
    private readonly Timestamp _waitUntil;
    private PingSeries? _short;
    private MtuSearch? _search;
    private uint? _question;

    /// <param name="node">The node.</param>
    /// <param name="client">Its role.</param>
    /// <param name="timeout">How long a server that is lost is waited for.</param>
    /// <param name="time">The clock.</param>
    /// <param name="progress">Told of each step; may be null.</param>
    public NetworkTest(Node node, ClientRole client, TimeSpan timeout, TimeProvider time, IProgress<TestProgress>? progress)
        : base(progress)
    {
        _node = node;
        _client = client;
        _time = time;
        _waitUntil = time.Now() + timeout;
    }

    private Peer Server => _client.Server;

    /// <inheritdoc/>
    public override Timestamp Run(Timestamp now)
    {
        if (_short is null && _node.State != TunnelState.Up && now < _waitUntil)
        {
            Tell("Waiting for the server", 0);
            return _waitUntil;
        }

        if (_short is null)
        {
            _short = new PingSeries(_node, Server, Pings, _time);
            AskOverIPv6();
            _client.Own.LookAgain(now);
        }

        Tell("Asking the server", 50 * _short.Sent / Pings);
        Timestamp next = _short.Run(now);
        if (!_short.IsDone)
            return next;
        if (_short.Result.Answered == 0)
            return Done(now);

        _search ??= new MtuSearch(_node, Server);
        Tell("Looking for the longest packet that passes", 50);
        next = _search.Run(now);
        return _search.IsDone ? Done(now) : next;
    }

    /// <inheritdoc/>
    public override void OnTooLong(uint transaction) => _search?.OnTooLong(transaction);

    /// <inheritdoc/>
    public override bool TryTakePong(in ControlFrame pong, Timestamp now) =>
        (_short is not null && _short.TryTakePong(pong, now))
        || (_search is not null && _search.TryTakePong(pong));

    /// <summary>The link goes on over IPv4 when it does: a probe asks beside it.</summary>
    private void AskOverIPv6()
    {
        UdpEndpoint other = _client.ServerEndpoints.FirstOrDefault(endpoint => !endpoint.IsIPv4);
        if (Server.Path.Endpoint.IsIPv4 && other.IsSpecified)
            _question = _client.Own.Ask(other);
    }

    private Timestamp Done(Timestamp now)
    {
        if (_client.Own.Detection == NatDetection.Running)
        {
            Tell("Looking at the NAT", 90);
            return now + DetectionInterval;
        }

        UdpEndpoint server = Server.Path.Endpoint;
        NatBehaviour nat = _client.Own.Nat;
        PortMappingStatus mapping = _client.PortMappingStatus;
        var report = new NetworkTestReport
        {
            Server = server.IsSpecified ? server.ToIPEndPoint() : null,
            Pings = _short!.Result,
            Nat = nat.ClassicName,
            Mapping = nat.Mapping,
            Filtering = nat.Filtering,
            PortAssignment = nat.Assignment,
            PublicEndpoint = _client.PublicEndpoint.IsSpecified ? _client.PublicEndpoint.ToIPEndPoint() : null,
            PortMappingProtocol = mapping.State == PortMappingState.Mapped ? NameOf(mapping.Protocol) : null,
            PortMappingEndpoint = mapping.External.IsSpecified ? mapping.External.ToIPEndPoint() : null,
            PortMappingFailure = mapping.State switch
            {
                PortMappingState.Mapped => null,
                PortMappingState.Disabled => "Port mapping is switched off.",
                PortMappingState.Searching => "The router has not answered yet.",
                _ => mapping.Reason,
            },
            IPv6Address = GlobalIPv6(),
            IsServerReachableByIPv6 = server is { IsSpecified: true, IsIPv4: false } ? _short.Result.Answered > 0
                : _question is { } question ? _client.Own.IsAnswered(question) : null,
            Mtu = Server.NetworkMtu,
            LargestPacket = _search?.Longest,
            ClockOffset = _short.ClockOffset,
        };
        Finish(report with { Problems = [.. ProblemsOf(report)] });
        return Timestamp.Never;
    }

    private static string NameOf(PortMappingProtocol protocol) => protocol switch
    {
        PortMappingProtocol.Pcp => "PCP",
        PortMappingProtocol.NatPmp => "NAT-PMP",
        PortMappingProtocol.UpnpIgd => "UPnP-IGD",
        _ => protocol.ToString(),
    };

    /// <summary>The first address of an own interface that others can send to over IPv6.</summary>
    private IPAddress? GlobalIPv6() => _client.Own.Candidates
        .Where(candidate => candidate.Kind == CandidateKind.Host && !candidate.Endpoint.IsIPv4 && !candidate.Endpoint.IsLocal)
        .Select(candidate => candidate.Endpoint.Address)
        .FirstOrDefault();

    /// <summary>What is wrong, the worst first.</summary>
    internal static IEnumerable<NetworkProblem> ProblemsOf(NetworkTestReport report)
    {
        if (!report.IsServerReachable)
        {
            yield return new NetworkProblem(
                $"The server does not answer at {report.Server?.ToString() ?? "any endpoint"} over UDP.",
                "See with Get-LtServer there that it runs, and that no firewall between the two drops UDP to its port.");
            yield break;
        }

        if (report.ClockOffset is { } offset && offset.Duration() > WorstClockOffset)
        {
            yield return new NetworkProblem(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"This machine's clock is {offset.Duration().TotalMinutes:0.0} minutes "
                        + $"{(offset > TimeSpan.Zero ? "behind" : "ahead of")} the server's."),
                "Set the clock that is wrong, best by NTP: handshakes and the end of invitations depend on it.");
        }

        if (report.LargestPacket is null or < TunnelOptions.MinimumMtu)
        {
            yield return new NetworkProblem(
                $"No packet of {TunnelOptions.MinimumMtu} bytes or more came through, although shorter ones do.",
                "See that no firewall between the two drops fragments or ICMP: the network must carry IP packets of 1,360 bytes.");
        }
        else if (report.LargestPacket < report.Mtu)
        {
            yield return new NetworkProblem(
                $"Packets longer than {report.LargestPacket} bytes are lost, while the tunnel's MTU is {report.Mtu}.",
                $"Join with Connect-LtNetwork -Mtu {report.LargestPacket}.");
        }

        if (report.Pings.Loss >= WorstLoss)
        {
            yield return new NetworkProblem(
                string.Create(CultureInfo.InvariantCulture, $"{report.Pings.Loss:P0} of the packets to the server and back are lost."),
                "See whether the network is overloaded, or the radio link weak.");
        }

        if (report is { Mapping: > EndpointDependence.EndpointIndependent, PortAssignment: PortAssignment.Random,
            PortMappingEndpoint: null })
        {
            yield return new NetworkProblem(
                "The NAT chooses another random port for each destination, so that members behind NATs like it are reached through the "
                    + "server only.",
                "Let the router forward a UDP port, by UPnP or PCP, or by hand together with Connect-LtNetwork -ListenPort and "
                    + "-AdvertiseEndpoint.");
        }
    }
}
