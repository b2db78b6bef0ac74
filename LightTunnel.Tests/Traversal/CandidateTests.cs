using System.Net;
using FsCheck.Xunit;
using LightTunnel.Addressing;
using LightTunnel.Traversal;
using LightTunnel.Tun;
using Xunit;

namespace LightTunnel.Tests.Traversal;

public sealed class CandidateTests
{
    private static UdpEndpoint Endpoint(string text) => IPEndPoint.Parse(text);

    private static LocalAddressInfo Address(string name, string address, LocalAddressFlags flags = LocalAddressFlags.None) =>
        new(name, TunnelAddress.FromIPAddress(IPAddress.Parse(address)), flags);

    [Fact]
    public void Filter_TakesWhatOthersCanReach()
    {
        LocalAddressInfo[] all =
        [
            Address("docker0", "172.17.0.1"),
            Address("lo", "127.0.0.1", LocalAddressFlags.Loopback),
            Address("lo", "::1"),
            Address("eth0", "192.168.1.10"),
            Address("eth0", "192.168.1.10"),
            Address("eth0", "169.254.3.4"),
            Address("eth0", "fe80::1"),
            Address("eth0", "2001:db8::10"),
            Address("eth0", "2001:db8::11", LocalAddressFlags.Deprecated),
            Address("eth0", "2001:db8::12", LocalAddressFlags.Tentative),
            Address("eth1", "198.51.100.7", LocalAddressFlags.Down),
            Address("eth2", "224.0.0.1"),
            Address("eth2", "0.0.0.0"),
            Address("eth2", "10.9.0.5"),
            Address("ppp0", "192.0.2.8"),
            Address("lte0", "100.70.1.2"),
            Address("corp0", "10.1.0.1") with { Kind = InterfaceKind.Tunnel, Interface = 7 },
            Address("corp1", "100.64.0.1") with { Kind = InterfaceKind.Tunnel, Interface = 8 },
            Address("vx0", "10.3.0.1") with { Kind = InterfaceKind.Tunnel, Interface = 9 },
            Address("rented", "192.0.2.77") with { Kind = InterfaceKind.Tunnel, Interface = 10 },
            Address("machines", "192.168.122.1") with { Kind = InterfaceKind.Inner },
        ];
        Assert.True(IpPrefix.TryParse("10.9.0.0/24", out IpPrefix own));
        IReadOnlyList<Candidate> found = HostCandidates.Filter(all, 9000, [own], uplink: 7);
        Assert.Equal(
            ["192.168.1.10:9000", "[2001:db8::10]:9000", "192.0.2.8:9000", "100.70.1.2:9000", "10.1.0.1:9000", "192.0.2.77:9000",
                "172.17.0.1:9000", "192.168.122.1:9000"],
            found.Select(candidate => candidate.Endpoint.ToString()));
        Assert.All(found, candidate => Assert.Equal(CandidateKind.Host, candidate.Kind));
    }

    [Fact]
    public void Create_OrdersByPromiseAndKeepsTheBestKindOfEach()
    {
        CandidateList list = CandidateList.Create(
        [
            new(CandidateKind.Predicted, Endpoint("198.51.100.1:7001")),
            new(CandidateKind.ServerReflexive, Endpoint("198.51.100.1:7000")),
            new(CandidateKind.PeerReflexive, Endpoint("198.51.100.1:7000")),
            new(CandidateKind.PortMapped, Endpoint("198.51.100.1:6000")),
            new(CandidateKind.Manual, Endpoint("198.51.100.1:5000")),
            new(CandidateKind.Host, Endpoint("203.0.113.4:9000")),
            new(CandidateKind.Host, Endpoint("[2001:db8::1]:9000")),
            new(CandidateKind.Host, Endpoint("192.168.1.5:9000")),
            new(CandidateKind.Host, Endpoint("224.0.0.1:9000")),
        ]);
        Assert.Equal(
            ["192.168.1.5:9000", "[2001:db8::1]:9000", "203.0.113.4:9000", "198.51.100.1:5000", "198.51.100.1:6000", "198.51.100.1:7000",
                "198.51.100.1:7001"],
            list.Select(candidate => candidate.Endpoint.ToString()));
        Assert.Equal(CandidateKind.ServerReflexive, list[5].Kind);
    }

    [Fact]
    public void Create_ManyInterfaces_DoNotCrowdOutTheOthers()
    {
        var all = Enumerable.Range(1, 200)
            .Select(i => new Candidate(CandidateKind.Host, UdpEndpoint.FromIPv4(0x0A000000 + (uint)i, 9000)))
            .ToList();
        all.Add(new(CandidateKind.ServerReflexive, Endpoint("198.51.100.1:7000")));
        CandidateList list = CandidateList.Create(all);
        Assert.Equal(CandidateList.MaximumCount, list.Count);
        Assert.True(list.TryFindIPv4(CandidateKind.ServerReflexive, out _));
    }

    [Property]
    public void Create_AnyInput_IsBoundedDistinctAndOrdered((byte Kind, uint Address, ushort Port)[] input)
    {
        CandidateList list = CandidateList.Create(
            input.Select(one => new Candidate((CandidateKind)(one.Kind % 6), UdpEndpoint.FromIPv4(one.Address, one.Port))));
        Assert.InRange(list.Count, 0, CandidateList.MaximumCount);
        Assert.Equal(list.Count, list.Select(candidate => candidate.Endpoint).Distinct().Count());
        Assert.Equal(list.Select(CandidateList.Rank).Order(), list.Select(CandidateList.Rank));
        Assert.Equal(list, CandidateList.Create(list));
    }

    [Theory]
    [InlineData("192.0.2.1:9000", 7)]
    [InlineData("[2001:db8::1]:65535", 19)]
    public void Candidate_Written_IsReadBack(string endpoint, int size)
    {
        Span<byte> bytes = stackalloc byte[Candidate.MaximumSize];
        var candidate = new Candidate(CandidateKind.PortMapped, Endpoint(endpoint));
        Assert.Equal(size, candidate.Write(bytes));
        Assert.True(Candidate.TryRead(bytes[..size], out Candidate read));
        Assert.Equal(candidate, read);
    }

    [Fact]
    public void Candidate_UnknownKindOrUselessEndpoint_IsNotRead()
    {
        Assert.True(Candidate.TryRead([0, 192, 0, 2, 1, 0, 1], out _));
        Assert.False(Candidate.TryRead([6, 192, 0, 2, 1, 0, 1], out _));
        Assert.False(Candidate.TryRead([0, 192, 0, 2, 1, 0, 0], out _));
        Assert.False(Candidate.TryRead([0, 224, 0, 0, 1, 0, 1], out _));
        Assert.False(Candidate.TryRead([0, 255, 255, 255, 255, 0, 1], out _));
        Assert.False(Candidate.TryRead([0, 169, 254, 0, 1, 0, 1], out _));
    }

    [Property]
    public void TryRead_AnyBytes_NeverThrows(byte[] bytes)
    {
        if (Candidate.TryRead(bytes, out Candidate candidate))
            Assert.True(Candidate.IsUsable(candidate.Endpoint));
        if (NatBehaviour.TryRead(bytes, out NatBehaviour behaviour))
            Assert.NotNull(behaviour.ClassicName);
    }

    [Theory]
    [InlineData(null, 6)]
    [InlineData("198.51.100.1", 10)]
    [InlineData("2001:db8::1", 22)]
    public void NatBehaviour_Written_IsReadBack(string? address, int size)
    {
        Span<byte> bytes = stackalloc byte[NatBehaviour.MaximumSize];
        var behaviour = new NatBehaviour(
            EndpointDependence.AddressAndPortDependent, EndpointDependence.AddressDependent, PortAssignment.Sequential, -2,
            NatPresence.Translated, address is null ? null : IPAddress.Parse(address));
        Assert.Equal(size, behaviour.Write(bytes));
        Assert.True(NatBehaviour.TryRead(bytes[..size], out NatBehaviour read));
        Assert.Equal(behaviour, read);
    }

    [Fact]
    public void NatBehaviour_ValueOfALaterVersion_IsUnknown()
    {
        Assert.True(NatBehaviour.TryRead([9, 9, 9, 9, 0, 1], out NatBehaviour behaviour));
        Assert.Equal(new NatBehaviour(EndpointDependence.Unknown, Step: 1), behaviour);
        Assert.Equal("Unknown", behaviour.ClassicName);
    }
}
