using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Engine.Server;
using LightTunnel.Internet.Simulation;
using LightTunnel.Membership;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>
/// Members cannot be made to send much to somebody who has nothing to do with the network, and whose address another member names.
/// </summary>
public sealed class AmplificationTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(10);
    private static readonly IPAddress Victim = IPAddress.Parse("192.0.2.66");
    private static readonly UdpEndpoint AtVictim = new(Victim, 443);
    private static readonly UdpEndpoint Seen = new(IPAddress.Parse("198.51.100.9"), 4000);

    private readonly SimulatedNetwork _network = new();

    public void Dispose() => _network.Dispose();

    /// <summary>
    /// One member's 29 kB once made two others send 3.17 MB. However little is sent to the server, and by whomever: what comes to an
    /// address that is only named is at most 256 namings and 4 a second, some seven probes of 100 bytes for each, and from one member 128
    /// probes and 16 a second.
    /// </summary>
    [Theory]
    [InlineData(5, 2, 0, 77_000)]
    [InlineData(1, 2, 0, 77_000)]
    [InlineData(1, 12, 9, 250_000)]
    public void MemberThatNamesAVictim_UnderManyIdentities_WithEveryKindOfCandidate_HasLittleSentThere(
        int identities, int members, int ports, int most)
    {
        SimulatedNode server = _network.StartServer();
        for (int number = 0; number < members; number++)
            _network.AddClient($"member-{number}");
        SimulatedNode[] mallories = [.. Enumerable.Range(0, identities).Select(number => _network.AddClient($"mallory-{number}"))];
        Assert.True(_network.RunUntil(() => _network.Nodes.All(node => node.IsUp), Soon));
        _network.Run(Soon);
        uint[] others = [.. Enumerable.Range(0, members).Select(number => server.Peer($"member-{number}").MemberId)];

        long sent = 0, received = 0;
        _network.Filter = (in UdpEndpoint _, in UdpEndpoint to, ReadOnlySpan<byte> datagram) =>
        {
            if (to.MappedAddress == AtVictim.MappedAddress)
                received += datagram.Length;
            return true;
        };
        foreach (SimulatedNode mallory in mallories)
            _network.Kill(mallory);
        var sessions = mallories.Select((mallory, number) => new HandMadeSession(server, mallory.Name, (uint)number + 1)).ToArray();
        foreach (HandMadeSession session in sessions)
        {
            sent += session.Send(new RegisterMessage { Name = session.Name })
                + session.Send(new ReachabilityMessage { Reachability = Hostile(session.Endpoint, 0, ports) });
        }
        for (int round = 0; round < 100; round++)
        {
            foreach (HandMadeSession session in sessions)
            {
                sent += session.Send(new IntroduceMessage
                {
                    MemberId = others[round % members],
                    Reachability = Hostile(session.Endpoint, round, ports),
                    WithGuesses = true,
                });
            }
            server.MarkReady();
            _network.Run(TimeSpan.FromMilliseconds(100));
        }

        _network.Run(TimeSpan.FromSeconds(60));
        TestContext.Current.SendDiagnosticMessage($"{sent:N0} bytes to the server, {received:N0} to the victim");
        Assert.InRange(sent, 10_000, 200_000);
        Assert.InRange(received, 1, most); // Somebody may be there, and is asked.
    }

    [Fact]
    public void Screen_PassesWhatTheServerSees_AndWithholdsWhatNobodyCanBeAt()
    {
        var screen = new CandidateScreen(new VirtualTime(), new Random(1), [Prefix("10.0.0.0/24")]);
        Reachability told = Told(
            (CandidateKind.Host, "192.168.1.7"), (CandidateKind.Host, "127.0.0.1"),
            (CandidateKind.Host, "::1"), (CandidateKind.Host, "10.0.0.77"),
            (CandidateKind.Manual, "192.0.2.66"), (CandidateKind.PortMapped, "192.0.2.67"),
            (CandidateKind.PortMapped, "100.64.0.1"), (CandidateKind.PortMapped, "198.51.100.9"),
            (CandidateKind.ServerReflexive, "192.0.2.68"), (CandidateKind.PeerReflexive, "192.0.2.69"),
            (CandidateKind.Predicted, "192.0.2.70"), (CandidateKind.Predicted, "198.51.100.9"));

        string[] passed = [.. screen.Pass(told, new PathAddress(Seen)).Candidates.Select(candidate => candidate.ToString())];

        Assert.Equal(
            ["Host 192.168.1.7:443", "Manual 192.0.2.66:443", "PortMapped 100.64.0.1:443", "PortMapped 198.51.100.9:443",
                "Predicted 198.51.100.9:443", "ServerReflexive 198.51.100.9:4000"], passed);
        Assert.Equal(7, screen.Withheld);
    }

    [Fact]
    public void Screen_MemberWhoseAddressMayBeForged_IsNotVouchedFor()
    {
        var screen = new CandidateScreen(new VirtualTime(), new Random(1), []);
        Reachability told = Told((CandidateKind.ServerReflexive, "198.51.100.9"));

        Assert.Equal(
            [new Candidate(CandidateKind.PeerReflexive, Seen)], screen.Pass(told, new PathAddress(Seen) { IsUnproven = true }).Candidates);
        Assert.Empty(screen.Pass(told, default).Candidates);
    }

    [Fact]
    public void Screen_OneAddress_IsNamedSoOften_WhoeverNamesIt()
    {
        var time = new VirtualTime();
        var screen = new CandidateScreen(time, new Random(1), []);
        Reachability told = Told((CandidateKind.Manual, "192.0.2.66"));

        int passed = Enumerable.Range(0, 10_000)
            .Sum(number => screen.Pass(told, new PathAddress(new UdpEndpoint(Seen.Address, (ushort)(number + 1)))).Candidates.Count - 1);
        Assert.Equal(CandidateScreen.Burst, passed);
        time.Advance(TimeSpan.FromSeconds(10));
        passed = Enumerable.Range(0, 10_000).Sum(_ => screen.Pass(told, new PathAddress(Seen)).Candidates.Count - 1);
        Assert.InRange(passed, 1, CandidateScreen.Burst / 4);
    }

    [Fact]
    public void Screen_OneMember_NamesFewPublicAddresses()
    {
        var screen = new CandidateScreen(new VirtualTime(), new Random(1), []);
        Reachability told = Told([.. Enumerable.Range(1, 12).Select(number => (CandidateKind.Host, $"192.0.2.{number}"))]);
        Assert.Equal(CandidateScreen.MostUnseen, screen.Pass(told, default).Candidates.Count);

        // Addresses of one home are one.
        told = Told([.. Enumerable.Range(1, 12).Select(number => (CandidateKind.Host, $"2001:db8:1:1::{number}"))]);
        Assert.Equal(12, screen.Pass(told, default).Candidates.Count);
    }

    /// <summary>
    /// Where the member is, which the server sees is true, and where it is not; behind a NAT whose ports others are to guess.
    /// </summary>
    private static Reachability Hostile(UdpEndpoint own, int round, int ports)
    {
        IEnumerable<Candidate> victim = Enum.GetValues<CandidateKind>()
            .Select((kind, number) => new Candidate(kind, new UdpEndpoint(Victim, (ushort)(443 + number))));
        IEnumerable<Candidate> more = Enumerable.Range(0, ports)
            .Select(number => new Candidate(CandidateKind.Host, new UdpEndpoint(Victim, (ushort)(5000 + number))));
        (PortAssignment assignment, int step) = round % 4 < 2 ? (PortAssignment.Random, 0) : (PortAssignment.Sequential, 1);
        return new Reachability
        {
            Candidates = [new Candidate(CandidateKind.Host, own), .. more, .. victim],
            Nat = new NatBehaviour(
                EndpointDependence.AddressAndPortDependent, EndpointDependence.AddressAndPortDependent, assignment, step,
                NatPresence.Translated, Victim),
        };
    }

    private static Reachability Told(params (CandidateKind Kind, string Address)[] candidates) => new()
    {
        Candidates = [.. candidates.Select(one => new Candidate(one.Kind, new UdpEndpoint(IPAddress.Parse(one.Address), 443)))],
    };

    private static IpPrefix Prefix(string text)
    {
        Assert.True(IpPrefix.TryParse(text, out IpPrefix prefix));
        return prefix;
    }
}

/// <summary>
/// A member's messages to the server, made by hand and put in the server's inbox as if they had come through the member's link.
/// </summary>
file sealed class HandMadeSession(SimulatedNode server, string name, uint conversation)
{
    private uint _number;

    public string Name => name;

    public UdpEndpoint Endpoint { get; } = server.Peer(name).Path.Endpoint;

    /// <summary>Sends a message; how many bytes it takes.</summary>
    public int Send(ControlMessage message)
    {
        byte[] frame = new byte[ControlFrame.MaximumLength];
        int length = new ControlFrame(ControlFrameKind.Data, conversation, ++_number, ControlMessageCodec.Encode(message)).Write(frame);
        server.Node.Plane.TryPostControlFrame(server.Peer(name).Link!, frame.AsSpan(0, length));
        return length + 32;
    }
}
