using System.Net;
using LightTunnel.Addressing;
using LightTunnel.Internet.Nats;
using LightTunnel.Tests.Membership;
using Xunit;

namespace LightTunnel.Tests.Internet;

/// <summary>The laboratory's PCP and NAT-PMP server, byte by byte: it must not be right in our own client's eyes only.</summary>
public sealed class PortForwarderTests
{
    private static readonly UdpEndpoint Alice = new(IPAddress.Parse("192.168.1.10"), 40000);
    private static readonly TimeSpan Now = TimeSpan.FromSeconds(100);

    private const string PcpMap = "0201000000000E1000000000000000000000FFFFC0A8010A" + "0102030405060708090A0B0C" + "11000000" + "13881770"
        + "00000000000000000000FFFF00000000";

    [Theory]
    [InlineData("0000", "0080000000000064C6336401")]
    [InlineData("000100001388177000000E10", "00810000000000641388177000000E10")]
    [InlineData("000200001388177000000E10", "0082000500000064")]
    [InlineData("0201000000000E1000000000000000000000FFFFC0A8010A", "0081000100000064")]
    [InlineData("0081", "")]
    [InlineData("00", "")]
    public void Answer_NatPmpOnly(string request, string answer) => Assert.Equal(answer, Ask(PortForwarding.NatPmp, request));

    [Theory]
    [InlineData(
        PcpMap, "0281000000000E100000006400000000000000000000000001020304" + "05060708090A0B0C" + "11000000" + "13881770"
            + "00000000000000000000FFFFC6336401")]
    [InlineData("0205000000000E1000000000000000000000FFFFC0A8010A", "0285000400000E1000000064000000000000000000000000")]
    [InlineData("0000", "0080000000000064C6336401")]
    [InlineData("0201", "")]
    public void Answer_Pcp(string request, string answer) => Assert.Equal(answer, Ask(PortForwarding.Pcp, request));

    [Fact]
    public void Answer_Pcp_MappingOfAnotherNonce_IsNotAuthorized_AndAForeignAddressIsAMismatch()
    {
        Nat nat = Make(PortForwarding.Pcp);
        var forwarder = new PortForwarder(nat);
        byte[] answer = new byte[PortForwarder.MaximumAnswer], request = Convert.FromHexString(PcpMap);
        Assert.Equal(60, forwarder.Answer(Now, Alice, request, answer));
        Assert.Equal(0, answer[3]);
        request[24] ^= 1;
        forwarder.Answer(Now, Alice, request, answer);
        Assert.Equal(2, answer[3]);
        request[23] ^= 1;
        forwarder.Answer(Now, Alice, request, answer);
        Assert.Equal(12, answer[3]);
        Assert.True(nat.IsForwarded(Now, NatProtocol.Udp, new UdpEndpoint(Alice.Address, 5000)));
    }

    [Fact]
    public void Answer_NoForwarding_IsSilent() => Assert.Equal("", Ask(PortForwarding.None, "0000"));

    [Fact]
    public void Answer_HostileBytes_NeverBreakIt()
    {
        var forwarder = new PortForwarder(Make(PortForwarding.Pcp));
        var mutator = new ByteMutator(Fuzz.Seed(5351));
        byte[] answer = new byte[PortForwarder.MaximumAnswer];
        for (int i = 0; i < Fuzz.Count(5000); i++)
        {
            Assert.InRange(
                forwarder.Answer(
                    Now, Alice, mutator.Mutate(Convert.FromHexString(i % 2 == 0 ? PcpMap : "000100001388177000000E10")), answer), 0,
                answer.Length);
        }
    }

    private static string Ask(PortForwarding forwarding, string request)
    {
        byte[] answer = new byte[PortForwarder.MaximumAnswer];
        int length = new PortForwarder(Make(forwarding)).Answer(Now, Alice, Convert.FromHexString(request), answer);
        return Convert.ToHexString(answer, 0, length);
    }

    private static Nat Make(PortForwarding forwarding) =>
        new(new NatSettings { Forwarding = forwarding }, IPAddress.Parse("198.51.100.1"), seed: 1);
}
