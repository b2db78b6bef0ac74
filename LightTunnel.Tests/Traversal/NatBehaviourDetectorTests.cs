using LightTunnel.Addressing;
using LightTunnel.Internet.Nats;
using LightTunnel.Timing;
using LightTunnel.Traversal;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Traversal;

public sealed class NatBehaviourDetectorTests
{
    private static readonly UdpEndpoint Local = UdpEndpoint.FromIPv4(0xC0A80102, 9000);
    private static readonly UdpEndpoint PortA = UdpEndpoint.FromIPv4(0xCB007101, 9000);
    private static readonly UdpEndpoint PortB = UdpEndpoint.FromIPv4(0xCB007101, 9001);
    private static readonly UdpEndpoint Second = UdpEndpoint.FromIPv4(0xCB007102, 9000);

    private static readonly TimeSpan Delay = TimeSpan.FromMilliseconds(20);

    private static readonly LocalEnd[] Fresh = [.. Enumerable.Range(5, 4).Select(LocalEnd.Further)];

    private readonly FakeTimeProvider _time = new();
    private readonly PriorityQueue<(uint Transaction, UdpEndpoint From, UdpEndpoint Seen, ushort Port), (Timestamp At, int Order)> _wire =
        new();
    private readonly NatBehaviourDetector _detector;
    private readonly Random _random = new(3);
    private int _order;
    private int _sent;

    public NatBehaviourDetectorTests() => _detector = new NatBehaviourDetector(new Random(4));

    private Timestamp Now => _time.Now();

    private static TestNat Nat(
        EndpointDependence mapping, EndpointDependence filtering, PortAssignment assignment = PortAssignment.Preserving, int step = 1) =>
        new(
            new NatSettings { Mapping = mapping, Filtering = filtering, Assignment = assignment, PortStep = step },
            0xC6336401, new Random(9));

    /// <summary>The server's answer to a probe, unless the NAT keeps it out.</summary>
    private void Answer(TestNat? nat, ObservationProbe probe, NatObservers observers, double loss)
    {
        _sent++;
        var inner = new UdpEndpoint(Local.MappedAddress, (ushort)(Local.Port + probe.Socket.Index));
        UdpEndpoint seen = nat?.Out(inner, probe.Destination) ?? inner;
        UdpEndpoint[] elsewhere =
            [.. ((UdpEndpoint[])[observers.OtherPort, observers.OtherAddress]).Where(endpoint => endpoint.IsSpecified)];
        foreach (UdpEndpoint from in probe.Flags.HasFlag(ProbeFlags.AnswerFromElsewhere) && elsewhere.Length > 0
            ? elsewhere
            : [probe.Destination])
        {
            if (_random.NextDouble() >= loss)
                _wire.Enqueue((probe.Transaction, from, seen, seen.Port), (Now + (Delay * 2), _order++));
        }
    }

    private TimeSpan Run(TestNat? nat, NatObservers observers, bool changed = true, double loss = 0, NatObservers? truth = null)
    {
        Timestamp start = Now;
        _detector.Start(observers, [Local], changed, Now);
        var output = new List<ObservationProbe>();
        while (_detector.State == NatDetection.Running || _wire.Count > 0)
        {
            output.Clear();
            Timestamp next = _detector.RunTimers(Now, output, out _);
            foreach (ObservationProbe probe in output)
                Answer(nat, probe, truth ?? observers, loss);
            if (_wire.TryPeek(out _, out (Timestamp At, int Order) due) && due.At < next)
                next = due.At;
            if (next == Timestamp.Never)
                break;
            if (next > Now)
                _time.Advance(next - Now);
            while (_wire.TryPeek(out _, out due) && due.At <= Now)
            {
                (uint transaction, UdpEndpoint from, UdpEndpoint seen, ushort port) = _wire.Dequeue();
                if (nat is null || nat.TryIn(from, port, out _))
                    _detector.OnAnswer(transaction, from, seen, Now);
            }
        }

        return Now - start;
    }

    [Theory]
    [InlineData((int)EndpointDependence.EndpointIndependent, (int)EndpointDependence.EndpointIndependent, "Full Cone")]
    [InlineData((int)EndpointDependence.EndpointIndependent, (int)EndpointDependence.AddressDependent, "Restricted Cone")]
    [InlineData((int)EndpointDependence.EndpointIndependent, (int)EndpointDependence.AddressAndPortDependent, "Port-Restricted Cone")]
    [InlineData((int)EndpointDependence.AddressDependent, (int)EndpointDependence.AddressDependent, "Symmetric")]
    [InlineData((int)EndpointDependence.AddressAndPortDependent, (int)EndpointDependence.AddressAndPortDependent, "Symmetric")]
    public void Run_ServerWithTwoAddresses_FindsMappingAndFiltering(int mapping, int filtering, string name)
    {
        TestNat nat = Nat(
            (EndpointDependence)mapping, (EndpointDependence)filtering, mapping == 1 ? PortAssignment.Preserving : PortAssignment.Random);
        TimeSpan took = Run(nat, new NatObservers(PortA, PortB, Second));
        Assert.Equal(NatDetection.Done, _detector.State);
        Assert.Equal((EndpointDependence)mapping, _detector.Behaviour.Mapping);
        Assert.Equal((EndpointDependence)filtering, _detector.Behaviour.Filtering);
        Assert.Equal(name, _detector.Behaviour.ClassicName);
        Assert.Equal(NatPresence.Translated, _detector.Behaviour.Presence);
        Assert.Equal("198.51.100.1", _detector.Behaviour.PublicAddress!.ToString());
        Assert.True(took < TimeSpan.FromMilliseconds(500), $"{took}");
        Assert.InRange(_sent, 3, 25);
    }

    [Theory]
    [InlineData((int)EndpointDependence.EndpointIndependent, "Restricted Cone")]
    [InlineData((int)EndpointDependence.AddressAndPortDependent, "Port-Restricted Cone")]
    public void Run_ServerWithOneAddress_StaysOnTheSafeSide(int filtering, string name)
    {
        Run(Nat(EndpointDependence.EndpointIndependent, (EndpointDependence)filtering), new NatObservers(PortA, PortB));
        Assert.Equal(name, _detector.Behaviour.ClassicName);
    }

    [Fact]
    public void OnUnsolicited_AfterRun_ShowsFullCone()
    {
        Run(Nat(EndpointDependence.EndpointIndependent, EndpointDependence.EndpointIndependent), new NatObservers(PortA, PortB));
        Assert.True(_detector.OnUnsolicited());
        Assert.Equal("Full Cone", _detector.Behaviour.ClassicName);
        Assert.False(_detector.OnUnsolicited());
    }

    [Fact]
    public void Run_NoNat_IsPublic()
    {
        Run(null, new NatObservers(PortA, PortB));
        Assert.Equal("None (Public IP)", _detector.Behaviour.ClassicName);
        Assert.Equal(Local, _detector.PublicEndpoint);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(-2)]
    [InlineData(8)]
    public void Run_SequentialPorts_StepAndNextPortAreKnown(int step)
    {
        TestNat nat = Nat(
            EndpointDependence.AddressAndPortDependent, EndpointDependence.AddressAndPortDependent, PortAssignment.Sequential, step);
        Run(nat, new NatObservers(PortA, PortB));
        Assert.Equal(PortAssignment.Sequential, _detector.Behaviour.Assignment);
        Assert.Equal(step, _detector.Behaviour.Step);
        Assert.True(_detector.Behaviour.IsPredictable);

        // Others take ports; new sockets tell where the counter is now.
        for (int i = 0; i < 40; i++)
            nat.TakePort();
        Assert.True(Burst(nat, others: 0));
        Assert.Equal(nat.Out(Local, UdpEndpoint.FromIPv4(0xC6336402, 1)), _detector.PredictedEndpoint);
    }

    /// <summary>256 is what a router does that counts in the other order of bytes, as "snat to :numgen inc" of nftables.</summary>
    [Theory]
    [InlineData(3)]
    [InlineData(256)]
    [InlineData(-256)]
    public void Burst_OthersTakePortsInBetween_TheStepIsTheSmallestDifference(int step)
    {
        TestNat nat = Nat(
            EndpointDependence.AddressAndPortDependent, EndpointDependence.AddressAndPortDependent, PortAssignment.Sequential, step);
        Run(nat, new NatObservers(PortA, PortB));
        Assert.True(_detector.WantsBurst);
        Assert.True(Burst(nat, others: 2));
        Assert.False(_detector.WantsBurst);
        Assert.Equal(step, _detector.Behaviour.Step);
    }

    [Fact]
    public void Burst_OneIsLost_TheOthersSuffice()
    {
        TestNat nat = Nat(
            EndpointDependence.AddressAndPortDependent, EndpointDependence.AddressAndPortDependent, PortAssignment.Sequential, 2);
        Run(nat, new NatObservers(PortA, PortB));
        Assert.False(Burst(nat, others: 0, lost: 1));
        Assert.Equal(2, _detector.Behaviour.Step);
        Assert.Equal(nat.Out(Local, UdpEndpoint.FromIPv4(0xC6336402, 1)), _detector.PredictedEndpoint);
    }

    [Fact]
    public void Burst_RandomPorts_IsRandom()
    {
        TestNat nat = Nat(EndpointDependence.AddressAndPortDependent, EndpointDependence.AddressAndPortDependent, PortAssignment.Random);
        Run(nat, new NatObservers(PortA, PortB));
        for (int i = 0; i < 3; i++)
        {
            Assert.True(_detector.WantsBurst);
            Assert.True(Burst(nat, others: 0));
        }

        Assert.False(_detector.WantsBurst);
        Assert.True(_detector.Behaviour.IsRandom);
    }

    [Fact]
    public void Burst_Unanswered_SaysNothingOfPorts()
    {
        TestNat nat = Nat(
            EndpointDependence.AddressAndPortDependent, EndpointDependence.AddressAndPortDependent, PortAssignment.Sequential, 3);
        Run(nat, new NatObservers(PortA, PortB));
        for (int i = 0; i < 3; i++)
        {
            Assert.True(_detector.WantsBurst);
            _detector.BeginBurst(Fresh, []);
            _detector.EndBurst();
        }

        Assert.NotEqual(PortAssignment.Random, _detector.Behaviour.Assignment);
        Assert.True(_detector.IsSilent);
        Assert.False(_detector.WantsBurst); // Not for ever.

        Run(nat, new NatObservers(PortA, PortB));
        Assert.True(Burst(nat, others: 0));
        for (int i = 0; i < 4; i++)
        {
            // Predictions that are not answered either: what is known stays.
            _detector.BeginBurst(Fresh, []);
            _detector.EndBurst();
        }

        Assert.Equal((PortAssignment.Sequential, 3), (_detector.Behaviour.Assignment, _detector.Behaviour.Step));
    }

    /// <summary>
    /// Fresh sockets ask in turn; somebody else takes ports after the second. True when the detector has seen all answers.
    /// </summary>
    private bool Burst(TestNat nat, int others, int lost = -1)
    {
        var output = new List<ObservationProbe>();
        _detector.BeginBurst(Fresh, output);
        bool isComplete = false;
        for (int i = 0; i < output.Count; i++)
        {
            Answer(nat, output[i], new NatObservers(PortA, PortB), 0);
            (uint transaction, UdpEndpoint from, UdpEndpoint seen, _) = _wire.Dequeue();
            if (i != lost)
                isComplete = _detector.OnAnswer(transaction, from, seen, Now);
            for (int other = 0; i == 1 && other < others; other++)
                nat.TakePort();
        }

        _detector.EndBurst();
        return isComplete;
    }

    [Fact]
    public void Run_RandomPorts_NothingIsPredicted()
    {
        Run(
            Nat(EndpointDependence.AddressAndPortDependent, EndpointDependence.AddressAndPortDependent, PortAssignment.Random),
            new NatObservers(PortA, PortB));
        Assert.Equal(PortAssignment.Random, _detector.Behaviour.Assignment);
        Assert.True(_detector.Behaviour.IsRandom);
        Assert.False(_detector.PredictedEndpoint.IsSpecified);
    }

    [Fact]
    public void Run_ServerHasNoOtherPort_FilteringStaysUnknown()
    {
        // The client believes in a second port; the server answers from the first.
        Run(
            Nat(EndpointDependence.EndpointIndependent, EndpointDependence.AddressAndPortDependent), new NatObservers(PortA, PortB),
            truth: new NatObservers(PortA));
        Assert.Equal(EndpointDependence.Unknown, _detector.Behaviour.Filtering);
        Assert.Equal("Unknown", _detector.Behaviour.ClassicName);
    }

    [Fact]
    public void Run_OnlyOnePort_MappingIsUnknownUntilAMemberLooks()
    {
        TestNat nat = Nat(EndpointDependence.EndpointIndependent, EndpointDependence.AddressAndPortDependent, PortAssignment.Random);
        Run(nat, new NatObservers(PortA));
        Assert.Equal(EndpointDependence.Unknown, _detector.Behaviour.Mapping);
        UdpEndpoint member = UdpEndpoint.FromIPv4(0xC6336477, 9000);
        Assert.True(_detector.OnMemberAnswer(member, nat.Out(Local, member), out bool isOdd));
        Assert.False(isOdd);
        Assert.Equal(EndpointDependence.EndpointIndependent, _detector.Behaviour.Mapping);
    }

    [Fact]
    public void OnMemberAnswer_MemberInOurLan_SaysNothingAboutTheNat()
    {
        Run(Nat(EndpointDependence.EndpointIndependent, EndpointDependence.AddressAndPortDependent), new NatObservers(PortA, PortB));
        Assert.False(_detector.OnMemberAnswer(UdpEndpoint.FromIPv4(0xC0A80105, 9000), Local, out _));
        Assert.Equal(EndpointDependence.EndpointIndependent, _detector.Behaviour.Mapping);
    }

    /// <summary>A member's view from before the NAT was started again must not make a symmetric NAT of it.</summary>
    [Fact]
    public void OnMemberAnswer_ContradictsTheServersViews_AsksForAnotherLook_OnceForEach()
    {
        Run(Nat(EndpointDependence.EndpointIndependent, EndpointDependence.AddressAndPortDependent), new NatObservers(PortA, PortB));
        UdpEndpoint member = UdpEndpoint.FromIPv4(0xC6336477, 9000), before = UdpEndpoint.FromIPv4(0xC6336455, 4000);
        Assert.False(_detector.OnMemberAnswer(member, before, out bool isOdd));
        Assert.True(isOdd);
        Assert.False(_detector.OnMemberAnswer(member, before, out isOdd));
        Assert.False(isOdd);
        Assert.Equal(EndpointDependence.EndpointIndependent, _detector.Behaviour.Mapping);
    }

    /// <summary>With one port of the server, members are the only other views: what they say after another look counts.</summary>
    [Fact]
    public void OnMemberAnswer_NoOtherPort_DiffersAfterAnotherLook_IsSymmetric()
    {
        TestNat nat = Nat(EndpointDependence.AddressAndPortDependent, EndpointDependence.AddressAndPortDependent, PortAssignment.Random);
        Run(nat, new NatObservers(PortA));
        UdpEndpoint member = UdpEndpoint.FromIPv4(0xC6336477, 9000);
        Assert.False(_detector.OnMemberAnswer(member, nat.Out(Local, member), out bool isOdd));
        Assert.True(isOdd);
        Run(nat, new NatObservers(PortA), changed: false);
        Assert.True(_detector.OnMemberAnswer(member, nat.Out(Local, member), out _));
        Assert.Equal("Symmetric", _detector.Behaviour.ClassicName);
    }

    [Fact]
    public void OnMemberAnswer_Thousands_StaysBounded()
    {
        TestNat nat = Nat(EndpointDependence.EndpointIndependent, EndpointDependence.AddressAndPortDependent);
        Run(nat, new NatObservers(PortA, PortB));
        for (uint i = 0; i < 5000; i++)
            _detector.OnMemberAnswer(UdpEndpoint.FromIPv4(0xC6340000 + i, 9000), nat.Out(Local, PortA), out _);
        Assert.Equal(EndpointDependence.EndpointIndependent, _detector.Behaviour.Mapping);
    }

    [Fact]
    public void Run_NothingComesBack_IsUnreachableWithinFiveSeconds()
    {
        TimeSpan took = Run(
            Nat(EndpointDependence.EndpointIndependent, EndpointDependence.EndpointIndependent), new NatObservers(PortA, PortB), loss: 1);
        Assert.Equal(NatDetection.Unreachable, _detector.State);
        Assert.InRange(took, TimeSpan.FromSeconds(3), TimeSpan.FromSeconds(6));
        Assert.InRange(_sent, 5, 25);
    }

    [Fact]
    public void Run_Again_SameNetworkKeepsFilteringThatOurProbesWouldFalsify()
    {
        TestNat nat = Nat(EndpointDependence.EndpointIndependent, EndpointDependence.AddressAndPortDependent);
        Run(nat, new NatObservers(PortA, PortB));
        Run(nat, new NatObservers(PortA, PortB), changed: false);
        Assert.Equal("Port-Restricted Cone", _detector.Behaviour.ClassicName);
    }

    [Fact]
    public void Run_Again_NewNetworkIsMeasuredAnew()
    {
        Run(Nat(EndpointDependence.EndpointIndependent, EndpointDependence.AddressAndPortDependent), new NatObservers(PortA, PortB));
        Run(
            Nat(EndpointDependence.AddressAndPortDependent, EndpointDependence.AddressAndPortDependent, PortAssignment.Random),
            new NatObservers(PortA, PortB));
        Assert.Equal("Symmetric", _detector.Behaviour.ClassicName);
    }

    [Fact]
    public void Run_WithLoss_MappingIsStillRightAndItEnds()
    {
        for (int i = 0; i < 50; i++)
        {
            TestNat nat = Nat(
                EndpointDependence.AddressAndPortDependent, EndpointDependence.AddressAndPortDependent, PortAssignment.Random);
            Run(nat, new NatObservers(PortA, PortB), loss: 0.2);
            Assert.Equal(NatDetection.Done, _detector.State);
            Assert.Contains(
                _detector.Behaviour.Mapping,
                (EndpointDependence[])[EndpointDependence.AddressAndPortDependent, EndpointDependence.Unknown]);
        }
    }

    [Fact]
    public void OnAnswer_Unasked_IsIgnored()
    {
        Assert.False(_detector.OnAnswer(7, PortA, Local, Now));
        Assert.Equal(NatDetection.Idle, _detector.State);
    }
}
