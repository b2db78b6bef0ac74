using System.Net;
using LightTunnel.Access;
using LightTunnel.Addressing;
using LightTunnel.Membership;
using LightTunnel.Membership.Signing;
using LightTunnel.WireGuard;
using static LightTunnel.Tests.Membership.ControlMessageTests;

namespace LightTunnel.Tests.Membership;

/// <summary>Messages to encode: of each kind one with everything in it that there can be, and one with as little as there may be.</summary>
internal static class ControlMessageSamples
{
    private static readonly Reachability Everything = new()
    {
        Candidates =
        [
            new Candidate(CandidateKind.Host, UdpEndpoint.FromIPv4(0xC0000207, 4713)),
            new Candidate(CandidateKind.Predicted, new UdpEndpoint(IPAddress.Parse("2001:db8::7"), 4714)),
        ],
        Nat = new NatBehaviour(
            EndpointDependence.AddressAndPortDependent,
            EndpointDependence.AddressDependent,
            PortAssignment.Sequential,
            Step: -2,
            NatPresence.Translated,
            IPAddress.Parse("192.0.2.7")),
        IsRelay = true,
    };

    private static readonly MemberSignature Signature = SigningSamples.Signed(
        SigningSamples.Entry(7, "n", "10.0.0.7"), expires: SigningSamples.Issued.AddYears(1)).Signature!;

    /// <summary>Of a newer version's form.</summary>
    private static readonly MemberSignature UnknownSignature =
        MemberSignature.TryParse("Ag", out MemberSignature? signature) ? signature : throw new FormatException();

    private static readonly DirectoryEntry BareEntry = new()
    {
        MemberId = 7,
        Name = "n",
        Addresses = [Address("10.0.0.7"), Address("fd00::7")],
        PublicKey = Key(7),
    };

    public static readonly ControlMessage[] Full =
    [
        new RegisterMessage
        {
            Protocols = new ProtocolRange(1, 2),
            Name = "laptop",
            RequestedAddresses = [Address("10.0.0.20"), Address("fd00::20")],
            SoftwareVersion = "0.1.0",
            PreferredSuite = CipherSuite.Aegis256,
            AsksForMembers = true,
            Instance = ulong.MaxValue,
            System = "Linux X64",
            Invitation = InvitationTests.Token,
            KnowsRules = true,
            KeyNumber = 29_000_000,
            TakesKeys = true,
            OffersRoutes = true,
        },
        new RegisteredMessage
        {
            Protocol = 1,
            MemberId = 2,
            NetworkName = "net",
            ServerName = "hub",
            Addresses = [Interface("10.0.0.20/24"), Interface("fd00::20/64")],
            ServerAddresses = [Address("10.0.0.1"), Address("fd00::1")],
            Mtu = 1400,
            ObservedEndpoint = new UdpEndpoint(IPAddress.Parse("192.0.2.7"), 4711),
            ClientIsolation = true,
            SoftwareVersion = "0.1.0",
            PreferredSuite = CipherSuite.Aegis256,
            ObserverPort = 9001,
            ObserverAddresses = [Address("192.0.2.1"), Address("192.0.2.2")],
            GivenName = "laptop-1",
            IsNamed = true,
            HasRules = true,
            SigningKeys = [SigningSamples.AdminsKey(1), SigningSamples.AdminsKey(2)],
            Signature = Signature,
            HasRoutes = true,
        },
        new RefusedMessage { Reason = RefusalReason.ServerFull, Text = "ä full" },
        new DirectoryMessage
        {
            Revision = ulong.MaxValue,
            Changed = [Entry(2), Entry(3, online: false), Entry(uint.MaxValue), BareEntry],
            Removed = [4, 5],
            More = true,
            Start = true,
            Partial = true,
            Unknown = [MemberSubject.Of(Address("10.0.0.9")), MemberSubject.Of(Address("fd00::9")), MemberSubject.Of(Key(9))],
        },
        new LeaveMessage { Reason = LeaveReason.Unusable },
        new ReachabilityMessage { Reachability = Everything },
        new IntroduceMessage { MemberId = 2, Reachability = Everything, WithGuesses = true },
        new IntroductionMessage
        {
            MemberId = 2,
            Reachability = Everything,
            Delay = IntroductionMessage.MaximumDelay,
            Guessing = Guessing.Now,
        },
        new FindMessage
        {
            Subjects = [MemberSubject.Of(Address("10.0.0.20")), MemberSubject.Of(Address("fd00::20")), MemberSubject.Of(Key(1))],
        },
        new ForgetMessage { Revision = 17, Members = [2, uint.MaxValue] },
        new ListMessage { Question = 3, Pattern = "web*", After = 20 },
        new ListingMessage
        {
            Question = 3,
            Entries =
            [
                Entry(21),
                Entry(22) with { IsPlain = true, KeyNumber = 29_000_000, Signature = Signature, Routes = [Prefix("192.168.7.0/24")] },
            ],
            GoOnAfter = 0,
        },
        new NoticeMessage { Kind = NoticeKind.NameAskedFor, Subject = "other" },
        new RulesMessage
        {
            Rules =
            [
                new ToldRule
                {
                    Rule = new NodeRule
                    {
                        Number = 20,
                        Direction = RuleDirection.Outbound,
                        Action = RuleAction.Allow,
                        Protocol = RuleProtocol.Tcp,
                        Ports = [new PortRange(22, 22), new PortRange(8000, 8099)],
                        Own = [Address("10.0.0.20"), Address("fd00::20")],
                        Sets = [1, uint.MaxValue],
                        Behind = RuleBehind.Listed,
                        BehindSet = 3,
                        OnlyBehind = true,
                    },
                },
                new ToldRule { Rule = new NodeRule { Number = AccessRule.HighestNumber, Scope = RuleScope.Clients } },
            ],
            RemovedRules = [21],
            Sets = [new ToldSet { Id = 1, Added = [Prefix("10.0.0.5/32"), Prefix("fd00::/64")], Removed = [Prefix("10.0.0.0/28")] }],
            RemovedSets = [2],
            More = true,
            Start = true,
        },
        new NetworkKeyMessage
        {
            Number = 29_000_000,
            Key = new PresharedKey([.. Enumerable.Range(0, 32).Select(value => (byte)value)]),
            FormerSeconds = 30 * 24 * 3600,
        },
        new NetworkKeyTakenMessage { Number = 29_000_000 },
        new SignMessage { Question = 4, Member = Key(7), Signature = Signature },
        new SignAnswerMessage { Question = 4, Outcome = SignOutcome.TooMany, Text = "wait" },
        new SignatureMessage { Signature = Signature },
        new RoutesMessage
        {
            Kind = RoutesKind.Offered,
            Prefixes = [Prefix("192.168.7.0/24"), Prefix("10.0.0.9/32"), Prefix("2001:db8:7::/61")],
        },
    ];

    private static IpPrefix Prefix(string text) => Packets.TestPackets.Prefix(text);

    public static readonly ControlMessage[] Least =
    [
        new RegisterMessage { Name = "n1" },
        new RegisteredMessage
        {
            MemberId = uint.MaxValue,
            NetworkName = "n",
            ServerName = "n",
            Addresses = [Interface("10.0.0.20/24")],
            ServerAddresses = [Address("10.0.0.1")],
            Mtu = 576,
        },
        new RefusedMessage { Reason = RefusalReason.Other },
        new DirectoryMessage { Revision = 0 },
        new LeaveMessage { Reason = LeaveReason.Other },
        new ReachabilityMessage { Reachability = new Reachability() },
        new IntroduceMessage { MemberId = 2 },
        new IntroductionMessage { MemberId = 2, Reachability = new Reachability() },
        new FindMessage { Subjects = [] },
        new ForgetMessage { Revision = 0, Members = [] },
        new ListMessage { Question = 0, Pattern = string.Empty },
        new ListingMessage { Question = 0 },
        new NoticeMessage { Kind = NoticeKind.Other },
        new RulesMessage(),
        new NetworkKeyMessage { Number = 0, Key = new PresharedKey(new byte[32]) },
        new NetworkKeyTakenMessage { Number = 0 },
        new SignMessage { Question = 0, Member = Key(7), Signature = UnknownSignature },
        new SignAnswerMessage { Question = 0, Outcome = SignOutcome.Refused },
        new SignatureMessage { Signature = UnknownSignature },
        new RoutesMessage { Kind = RoutesKind.Other },
    ];
}
