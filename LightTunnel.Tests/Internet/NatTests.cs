using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Internet.Nats;
using Xunit;

namespace LightTunnel.Tests.Internet;

/// <summary>The NAT model, behaviour by behaviour; sections are of RFC 4787 where nothing else is named.</summary>
public sealed class NatTests
{
    private const string Public = "198.51.100.1";
    private static readonly UdpEndpoint Alice = Endpoint("192.168.1.10", 5000);
    private static readonly UdpEndpoint Bob = Endpoint("192.168.1.11", 5000);
    private static readonly UdpEndpoint Server = Endpoint("203.0.113.1", 9000);
    private static readonly UdpEndpoint ServersOtherPort = Endpoint("203.0.113.1", 9001);
    private static readonly UdpEndpoint Stranger = Endpoint("203.0.113.2", 9000);

    private TimeSpan _now = TimeSpan.FromHours(1);

    [Theory]
    [InlineData(5, 0, 40, 60)]
    [InlineData(0, 30, 29, 31)]
    [InlineData(5, 30, 69, 91)]
    public void OtherFlows_TakePortsMeanwhile(double perSecond, int burst, int least, int most)
    {
        Nat nat = Make(new NatSettings
        {
            Mapping = EndpointDependence.AddressAndPortDependent,
            Assignment = PortAssignment.Sequential,
            OtherFlows = perSecond,
            OtherBurst = burst,
        });
        int before = Open(nat, Alice, Server).Port;
        _now += TimeSpan.FromSeconds(10);
        Assert.InRange((Open(nat, Alice, Stranger).Port - before + 64512) % 64512, least, most);
    }

    [Theory]
    [InlineData(nameof(EndpointDependence.EndpointIndependent), true, true)]
    [InlineData(nameof(EndpointDependence.AddressDependent), true, false)]
    [InlineData(nameof(EndpointDependence.AddressAndPortDependent), false, false)]
    public void Mapping_Section41_IsSharedAsFarAsItDepends(string mapping, bool sharedByPorts, bool sharedByAddresses)
    {
        Nat nat = Make(new NatSettings { Mapping = Enum.Parse<EndpointDependence>(mapping), Assignment = PortAssignment.Random });

        UdpEndpoint outside = Open(nat, Alice, Server);

        Assert.Equal(outside, Open(nat, Alice, Server));
        Assert.Equal(sharedByPorts, outside == Open(nat, Alice, ServersOtherPort));
        Assert.Equal(sharedByAddresses, outside == Open(nat, Alice, Stranger));
        Assert.NotEqual(outside, Open(nat, Bob, Server));
        Assert.Equal(IPAddress.Parse(Public), outside.Address);
    }

    [Theory]
    [InlineData(nameof(EndpointDependence.EndpointIndependent), true, true)]
    [InlineData(nameof(EndpointDependence.AddressDependent), true, false)]
    [InlineData(nameof(EndpointDependence.AddressAndPortDependent), false, false)]
    public void Filtering_Section5_LetsInWhatItsBehaviourSays(string filtering, bool otherPort, bool otherAddress)
    {
        Nat nat = Make(new NatSettings { Filtering = Enum.Parse<EndpointDependence>(filtering) });
        Assert.Equal(NatVerdict.NoMapping, In(nat, Server, Endpoint(Public, 5000), out _));

        UdpEndpoint outside = Open(nat, Alice, Server);

        Assert.Equal(NatVerdict.Translated, In(nat, Server, outside, out UdpEndpoint inside));
        Assert.Equal(Alice, inside);
        Assert.Equal(otherPort ? NatVerdict.Translated : NatVerdict.Filtered, In(nat, ServersOtherPort, outside, out _));
        Assert.Equal(otherAddress ? NatVerdict.Translated : NatVerdict.Filtered, In(nat, Stranger, outside, out _));

        Open(nat, Alice, Stranger);
        Assert.Equal(NatVerdict.Translated, In(nat, Stranger, outside, out _));
    }

    [Fact]
    public void Assignment_Section421_PreservesThePortAndFallsBackWhenItIsTaken()
    {
        Nat nat = Make(new NatSettings());

        Assert.Equal(5000, Open(nat, Alice, Server).Port);
        Assert.Equal(5001, Open(nat, Bob, Server).Port);
        Assert.Equal(80, Open(nat, Endpoint("192.168.1.12", 80), Server).Port);
        // REQ-3: what falls back leaves the well-known ports alone.
        Assert.Equal(1024, Open(nat, Endpoint("192.168.1.13", 80), Server).Port);
        Assert.Equal(65535, Open(nat, Endpoint("192.168.1.12", 65535), Server).Port);
        Assert.Equal(1025, Open(nat, Endpoint("192.168.1.13", 65535), Server).Port);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(7)]
    [InlineData(-2)]
    public void Assignment_Sequential_GoesByItsStepAndStaysAboveTheWellKnownPorts(int step)
    {
        Nat nat = Make(NatKinds.Layers(NatKind.SymmetricSequential)[0] with { PortStep = step, Capacity = 100 });
        int last = Open(nat, Alice, Server).Port;
        for (int i = 1; i < 70_000; i++)
        {
            int next = Open(nat, Alice, Endpoint("203.0.113.9", i % 65535)).Port;
            Assert.True(next >= 1024 && (next - last - step) % 64512 == 0, $"{last} was followed by {next}.");
            last = next;
        }
    }

    [Fact]
    public void Assignment_Random_IsSpreadUniqueAndDecidedByTheSeed()
    {
        NatSettings settings = NatKinds.Layers(NatKind.SymmetricRandom)[0] with { Capacity = 2000 };
        List<int> Ports(int seed)
        {
            Nat nat = Make(settings, seed);
            return [.. Enumerable.Range(1, 2000).Select(port => (int)Open(nat, Alice, Endpoint("203.0.113.9", port)).Port)];
        }

        List<int> ports = Ports(seed: 5);
        Assert.Equal(2000, ports.Distinct().Count());
        Assert.InRange(ports.Average(), 31_000, 35_600);
        Assert.InRange(ports.Min(), 1024, 2000);
        Assert.Equal(ports, Ports(seed: 5));
        Assert.NotEqual(ports, Ports(seed: 6));
    }

    [Fact]
    public void Hairpinning_Section6_ShowsTheSourceAsItsBehaviourSays()
    {
        foreach (Hairpinning hairpinning in Enum.GetValues<Hairpinning>())
        {
            Nat nat = Make(new NatSettings { Filtering = EndpointDependence.EndpointIndependent, Hairpinning = hairpinning });
            UdpEndpoint bobOutside = Open(nat, Bob, Server);
            UdpEndpoint aliceOutside = Open(nat, Alice, Server);

            UdpEndpoint source = Alice, destination = bobOutside;
            NatVerdict verdict = nat.Outbound(_now, NatProtocol.Udp, ref source, ref destination);

            Assert.Equal(hairpinning == Hairpinning.None ? NatVerdict.NoHairpinning : NatVerdict.Hairpinned, verdict);
            Assert.Equal(hairpinning == Hairpinning.None ? bobOutside : Bob, destination);
            Assert.Equal(hairpinning == Hairpinning.ExternalSource ? aliceOutside : Alice, source);
        }
    }

    [Fact]
    public void Hairpinning_Section6_PassesTheFilterOnlyWhenBothHaveSent()
    {
        Nat nat = Make(new NatSettings());
        UdpEndpoint bobOutside = Open(nat, Bob, Server);
        UdpEndpoint aliceOutside = Open(nat, Alice, Server);

        UdpEndpoint source = Alice, destination = bobOutside;
        Assert.Equal(NatVerdict.Filtered, nat.Outbound(_now, NatProtocol.Udp, ref source, ref destination));

        (source, destination) = (Bob, aliceOutside);
        Assert.Equal(NatVerdict.Hairpinned, nat.Outbound(_now, NatProtocol.Udp, ref source, ref destination));
        (source, destination) = (Alice, bobOutside);
        Assert.Equal(NatVerdict.Hairpinned, nat.Outbound(_now, NatProtocol.Udp, ref source, ref destination));
        Assert.Equal((aliceOutside, Bob), (source, destination));
    }

    [Fact]
    public void Timeout_Section43_ForgetsWhatIsNotUsedAndNotBefore()
    {
        Nat nat = Make(new NatSettings { UdpTimeout = TimeSpan.FromSeconds(30), Assignment = PortAssignment.Random });
        UdpEndpoint outside = Open(nat, Alice, Server);

        Pass(29.9);
        Assert.Equal(NatVerdict.Translated, In(nat, Server, outside, out _));
        Pass(0.1);
        Assert.Equal(NatVerdict.NoMapping, In(nat, Server, outside, out _));
        Assert.NotEqual(outside, Open(nat, Alice, Server));
        Assert.Equal((1, 1), (nat.MappingCount, nat.SessionCount));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Timeout_Req6_OutboundRefreshesAndInboundOnlyWhenAsked(bool refreshesOnInbound)
    {
        Nat nat = Make(new NatSettings { UdpTimeout = TimeSpan.FromSeconds(30), RefreshesOnInbound = refreshesOnInbound });
        UdpEndpoint outside = Open(nat, Alice, Server);
        Pass(20);
        Open(nat, Alice, Server);
        Pass(20);
        Assert.Equal(NatVerdict.Translated, In(nat, Server, outside, out _));
        Pass(20);
        Assert.Equal(refreshesOnInbound ? NatVerdict.Translated : NatVerdict.NoMapping, In(nat, Server, outside, out _));
    }

    [Fact]
    public void Timeout_EachRemoteSideHasItsOwn()
    {
        Nat nat = Make(new NatSettings { UdpTimeout = TimeSpan.FromSeconds(30) });
        UdpEndpoint outside = Open(nat, Alice, Server);
        Open(nat, Alice, Stranger);
        Pass(20);
        Open(nat, Alice, Server);
        Pass(20);

        Assert.Equal(NatVerdict.Translated, In(nat, Server, outside, out _));
        Assert.Equal(NatVerdict.Filtered, In(nat, Stranger, outside, out _));
    }

    [Fact]
    public void Timeout_Rfc5382And5508_TcpAndIcmpHaveTheirOwn()
    {
        Nat nat = Make(new NatSettings());
        var query = new UdpEndpoint(Alice.MappedAddress, 77);
        var echoed = new UdpEndpoint(Server.MappedAddress, 0);
        UdpEndpoint udp = Open(nat, Alice, Server), tcp = Open(nat, Alice, Server, NatProtocol.Tcp),
            icmp = Open(nat, query, echoed, NatProtocol.Icmp);
        // Ports of different protocols are not in each other's way.
        Assert.Equal(udp, tcp);

        Pass(61);
        Assert.Equal(NatVerdict.NoMapping, In(nat, echoed, icmp, out _, NatProtocol.Icmp));
        Assert.Equal(NatVerdict.Translated, In(nat, Server, udp, out _));
        Pass(61);
        Assert.Equal(NatVerdict.NoMapping, In(nat, Server, udp, out _));
        Assert.Equal(NatVerdict.Translated, In(nat, Server, tcp, out _, NatProtocol.Tcp));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Capacity_FullTable_EvictsTheOldestOrRefuses(bool refuses)
    {
        Nat nat = Make(new NatSettings
        {
            Mapping = EndpointDependence.AddressAndPortDependent,
            Capacity = 3,
            WhenFull = refuses ? FullTable.Refuses : FullTable.EvictsOldest,
        });
        UdpEndpoint[] remotes = [.. Enumerable.Range(1, 4).Select(port => Endpoint("203.0.113.9", port))];
        UdpEndpoint[] outside = [.. remotes[..3].Select(remote => Open(nat, Alice, remote))];
        Pass(1);
        Open(nat, Alice, remotes[0]); // Now the second is the oldest.

        UdpEndpoint source = Alice, destination = remotes[3];
        NatVerdict verdict = nat.Outbound(_now, NatProtocol.Udp, ref source, ref destination);

        Assert.Equal(3, nat.SessionCount);
        Assert.Equal(refuses ? NatVerdict.TableFull : NatVerdict.Translated, verdict);
        Assert.Equal(NatVerdict.Translated, In(nat, remotes[0], outside[0], out _));
        Assert.Equal(refuses, In(nat, remotes[1], outside[1], out _) == NatVerdict.Translated);
        Assert.Equal(refuses ? 1 : 0, nat[NatVerdict.TableFull]);
    }

    [Fact]
    public void Capacity_OfOne_StillServesTheLastSender()
    {
        Nat nat = Make(new NatSettings { Capacity = 1 });
        for (int i = 1; i < 100; i++)
        {
            UdpEndpoint outside = Open(nat, Alice, Endpoint("203.0.113.9", i));
            Assert.Equal(NatVerdict.Translated, In(nat, Endpoint("203.0.113.9", i), outside, out UdpEndpoint inside));
            Assert.Equal(Alice, inside);
        }

        Assert.Equal((1, 1), (nat.MappingCount, nat.SessionCount));
    }

    [Fact]
    public void Replace_ForgetsAll_AndBehavesDifferently()
    {
        Nat nat = Make(NatKinds.Layers(NatKind.PortRestrictedCone)[0]);
        Assert.Equal(Open(nat, Alice, Server), Open(nat, Alice, Stranger));

        nat.Replace(NatKinds.Layers(NatKind.SymmetricRandom)[0]);

        Assert.Equal(0, nat.MappingCount);
        Assert.NotEqual(Open(nat, Alice, Server), Open(nat, Alice, Stranger));
    }

    [Fact]
    public void Reboot_ForgetsAll()
    {
        Nat nat = Make(NatKinds.Layers(NatKind.FullCone)[0] with { Assignment = PortAssignment.Random });
        UdpEndpoint outside = Open(nat, Alice, Server);

        nat.Reboot();

        Assert.Equal(NatVerdict.NoMapping, In(nat, Server, outside, out _));
        Assert.NotEqual(outside, Open(nat, Alice, Server));
    }

    [Fact]
    public void ChangeOutsideAddress_NewMappingsHaveItAndOldOnesAreGone()
    {
        Nat nat = Make(NatKinds.Layers(NatKind.FullCone)[0]);
        UdpEndpoint before = Open(nat, Alice, Server);

        nat.ChangeOutsideAddress(IPAddress.Parse("198.51.100.99"));
        Assert.Equal(NatVerdict.NoMapping, In(nat, Server, Endpoint("198.51.100.99", 5000), out _));
        UdpEndpoint after = Open(nat, Alice, Server);

        Assert.Equal(Endpoint("198.51.100.99", 5000), after);
        Assert.Equal(NatVerdict.NoMapping, In(nat, Server, before, out _));
        Assert.Equal(NatVerdict.Translated, In(nat, Stranger, after, out _));
    }

    [Fact]
    public void IcmpErrors_Rfc5508Req4_FindTheMappingAndRefreshNothing()
    {
        Nat nat = Make(new NatSettings { UdpTimeout = TimeSpan.FromSeconds(30) });
        UdpEndpoint outside = Open(nat, Alice, Server);
        Pass(20);
        Assert.True(nat.TryFindInside(_now, NatProtocol.Udp, outside, out UdpEndpoint inside));
        Assert.True(nat.TryFindOutside(_now, NatProtocol.Udp, Alice, Server, out UdpEndpoint found));
        Assert.Equal((Alice, outside), (inside, found));
        Assert.False(nat.TryFindOutside(_now, NatProtocol.Udp, Bob, Server, out _));
        Pass(20);
        Assert.False(nat.TryFindInside(_now, NatProtocol.Udp, outside, out _));
    }

    [Fact]
    public void UdpBlocked_LetsTcpAndIcmpPassOnly()
    {
        Nat nat = Make(NatKinds.Layers(NatKind.UdpBlocked)[0]);
        UdpEndpoint source = Alice, destination = Server;

        Assert.Equal(NatVerdict.Blocked, nat.Outbound(_now, NatProtocol.Udp, ref source, ref destination));
        Assert.Equal(NatVerdict.Blocked, In(nat, Server, Endpoint(Public, 5000), out _));
        Open(nat, Alice, Server, NatProtocol.Tcp);
        Open(nat, Alice, Server, NatProtocol.Icmp);
    }

    [Fact]
    public void Layers_EachKind_IsWhatItsNameSays()
    {
        Assert.Empty(NatKinds.Layers(NatKind.Open));
        Assert.Equal(2, NatKinds.Layers(NatKind.CarrierGrade).Count);
        foreach (NatKind kind in NatKinds.All.Except([NatKind.Open, NatKind.CarrierGrade, NatKind.UdpBlocked]))
        {
            Nat nat = Make(Assert.Single(NatKinds.Layers(kind)));
            UdpEndpoint outside = Open(nat, Alice, Server);
            Assert.Equal(
                kind is NatKind.SymmetricSequential or NatKind.SymmetricRandom, Open(nat, Alice, Endpoint("203.0.113.3", 1)) != outside);
            Assert.Equal(kind is NatKind.FullCone, In(nat, Stranger, outside, out _) == NatVerdict.Translated);
            Assert.Equal(
                kind is NatKind.FullCone or NatKind.RestrictedCone, In(nat, ServersOtherPort, outside, out _) == NatVerdict.Translated);
        }
    }

    /// <summary>
    /// Whatever hosts do, tables agree with each other and stay within their bound, and what is let in belongs to who sent out.
    /// </summary>
    [Fact]
    public void AnyTraffic_TablesStayBoundedAndPortsBelongToOneHost()
    {
        for (int seed = 0; seed < 200; seed++)
        {
            var random = new Random(seed);
            var settings = new NatSettings
            {
                Mapping = (EndpointDependence)random.Next(1, 4),
                Filtering = (EndpointDependence)random.Next(1, 4),
                Assignment = (PortAssignment)random.Next(1, 4),
                Capacity = random.Next(1, 20),
                WhenFull = (FullTable)random.Next(2),
                RefreshesOnInbound = random.Next(2) == 0,
                UdpTimeout = TimeSpan.FromSeconds(random.Next(1, 10)),
            };
            Nat nat = Make(settings, seed);
            for (int step = 0; step < 500; step++)
            {
                Pass(random.NextDouble());
                UdpEndpoint inside = Endpoint($"192.168.1.{random.Next(2, 6)}", random.Next(5000, 5003));
                UdpEndpoint remote = Endpoint($"203.0.113.{random.Next(1, 4)}", random.Next(1, 4)), destination = remote;
                UdpEndpoint outside = inside;
                if (random.Next(100) == 0)
                    nat.Reboot();
                NatVerdict verdict = nat.Outbound(_now, NatProtocol.Udp, ref outside, ref destination);
                if (verdict == NatVerdict.Translated)
                {
                    Assert.Equal(NatVerdict.Translated, In(nat, remote, outside, out UdpEndpoint back));
                    Assert.Equal(inside, back);
                }
                else
                {
                    Assert.Equal(NatVerdict.TableFull, verdict);
                }

                Assert.InRange(nat.SessionCount, 1, settings.Capacity);
                Assert.InRange(nat.MappingCount, 1, nat.SessionCount);
            }
        }
    }

    [Fact]
    public void Forward_EverybodyIsLetIn_AndWhatIsSentLeavesByTheSamePort_UntilItsTimeIsOver()
    {
        Nat nat = Make(new NatSettings { Mapping = EndpointDependence.AddressAndPortDependent, Assignment = PortAssignment.Random });
        UdpEndpoint toServer = Open(nat, Alice, Server);

        Assert.True(nat.TryForward(_now, NatProtocol.Udp, Alice, 6000, TimeSpan.FromHours(1), out UdpEndpoint outside));
        Assert.Equal(Endpoint(Public, 6000), outside);
        Assert.Equal(NatVerdict.Translated, In(nat, Stranger, outside, out UdpEndpoint inside));
        Assert.Equal(Alice, inside);
        Assert.Equal(outside, Open(nat, Alice, Stranger));
        Assert.Equal(toServer, Open(nat, Alice, Server));

        Pass(3599);
        Assert.Equal(NatVerdict.Translated, In(nat, ServersOtherPort, outside, out _));
        Pass(1);
        Assert.Equal(NatVerdict.NoMapping, In(nat, Stranger, outside, out _));
    }

    [Fact]
    public void Forward_MappingForAllThatIsThere_IsTheOneForwarded_AndFiltersAgainAfterwards()
    {
        Nat nat = Make(new NatSettings { Assignment = PortAssignment.Random });
        UdpEndpoint outside = Open(nat, Alice, Server);
        Assert.True(nat.TryForward(_now, NatProtocol.Udp, Alice, 6000, TimeSpan.FromHours(1), out UdpEndpoint forwarded));
        Assert.Equal(outside, forwarded);
        Assert.Equal(NatVerdict.Translated, In(nat, Stranger, outside, out _));

        nat.StopForwarding(NatProtocol.Udp, Alice);
        Assert.Equal(NatVerdict.Filtered, In(nat, Stranger, outside, out _));
        Assert.Equal(NatVerdict.Translated, In(nat, Server, outside, out _));
    }

    [Fact]
    public void Forward_PortOfAnother_GetsTheNext_AndARebootForgetsIt()
    {
        Nat nat = Make(new NatSettings());
        Assert.True(nat.TryForward(_now, NatProtocol.Udp, Alice, 6000, TimeSpan.FromHours(1), out _));
        Assert.True(nat.TryForward(_now, NatProtocol.Udp, Bob, 6000, TimeSpan.FromHours(1), out UdpEndpoint outside));
        Assert.Equal(6001, outside.Port);
        nat.Reboot();
        Assert.False(nat.IsForwarded(_now, NatProtocol.Udp, Alice));
        Assert.Equal(NatVerdict.NoMapping, In(nat, Stranger, outside, out _));
    }

    private static Nat Make(NatSettings settings, int seed = 1) => new(settings, IPAddress.Parse(Public), seed);

    private static UdpEndpoint Endpoint(string address, int port) => new(IPAddress.Parse(address), port);

    private void Pass(double seconds) => _now += TimeSpan.FromSeconds(seconds);

    private UdpEndpoint Open(Nat nat, UdpEndpoint inside, UdpEndpoint remote, NatProtocol protocol = NatProtocol.Udp)
    {
        UdpEndpoint destination = remote;
        Assert.Equal(NatVerdict.Translated, nat.Outbound(_now, protocol, ref inside, ref destination));
        Assert.Equal(remote, destination);
        return inside;
    }

    private NatVerdict In(Nat nat, UdpEndpoint remote, UdpEndpoint outside, out UdpEndpoint inside, NatProtocol protocol = NatProtocol.Udp)
    {
        inside = outside;
        return nat.Inbound(_now, protocol, remote, ref inside);
    }
}
