using System.Runtime.Versioning;
using LightTunnel.Tun;
using Xunit;
using static LightTunnel.Tests.Packets.TestPackets;

namespace LightTunnel.Tests.Tun;

[SupportedOSPlatform("linux")]
public sealed class NetlinkMessageTests
{
    // RTM_NEWADDR of lo as a kernel answers it: 127.0.0.1/8, IFA_ADDRESS, IFA_LOCAL, IFA_LABEL, IFA_FLAGS; little-endian.
    private static readonly byte[] AddressAnswer =
    [
        52, 0, 0, 0, 20, 0, 2, 0, 7, 0, 0, 0, 0, 0, 0, 0,
        2, 8, 0x80, 254, 1, 0, 0, 0,
        8, 0, 1, 0, 127, 0, 0, 1,
        8, 0, 2, 0, 127, 0, 0, 1,
        7, 0, 3, 0, (byte)'l', (byte)'o', 0, 0,
        4, 0, 8, 0,
    ];

    [Fact]
    public void Request_WithNestedAttributes_HasLengthsAndPadding()
    {
        var request = new NetlinkRequest(new byte[256], 16, 5, 9);
        request.Append(0x01020304);
        int outer = request.Open(26);
        request.Attribute(8, [1]);
        request.Close(outer);
        request.Attribute(4, 1380);
        Assert.Equal(
            [40, 0, 0, 0, 16, 0, 5, 0, 9, 0, 0, 0, 0, 0, 0, 0, 4, 3, 2, 1, 12, 0, 26, 0, 5, 0, 8, 0, 1, 0, 0, 0, 8, 0, 4, 0, 100, 5, 0, 0],
            request.Finish().ToArray());
    }

    [Fact]
    public void TryReadAddress_KernelAnswer_IsRead()
    {
        var reader = new NetlinkReader(AddressAnswer);
        Assert.True(reader.MoveNext());
        Assert.Equal((20, 7u), (reader.Type, reader.Sequence));
        Assert.True(RouteMessage.TryReadAddress(reader.Body, out AssignedAddress address));
        Assert.Equal(new AssignedAddress(1, Interface("127.0.0.1/8")), address);
        Assert.False(reader.MoveNext());
    }

    [Fact]
    public void TryReadAddress_PointToPoint_TakesTheLocalEnd()
    {
        byte[] answer = (byte[])AddressAnswer.Clone();
        answer[31] = 99; // IFA_ADDRESS: the other end.
        Assert.True(RouteMessage.TryReadAddress(answer.AsSpan(16), out AssignedAddress address));
        Assert.Equal("127.0.0.1/8", address.Address.ToString());
    }

    [Fact]
    public void Error_OfAnErrorMessage_IsTheErrno()
    {
        var reader = new NetlinkReader([20, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xEF, 0xFF, 0xFF, 0xFF]);
        Assert.True(reader.MoveNext());
        Assert.Equal((NetlinkReader.TypeError, 17), (reader.Type, reader.Error));
    }

    [Fact]
    public void Error_CutShort_IsNoSuccess()
    {
        var reader = new NetlinkReader([18, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        Assert.True(reader.MoveNext());
        Assert.NotEqual(0, reader.Error);
    }

    [Fact]
    public void Fuzz_MutatedAnswers_EndTheWalkWithoutThrowing()
    {
        var random = new Random(Fuzz.Seed(20260102));
        byte[] seed = [.. AddressAnswer, .. AddressAnswer, 20, 0, 0, 0, 3, 0, 2, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        int messages = 0, addresses = 0;
        for (int i = 0; i < Fuzz.Count(50_000); i++)
        {
            byte[] answer = (byte[])seed.Clone();
            for (int changes = random.Next(6); changes > 0; changes--)
                answer[random.Next(answer.Length)] = (byte)(random.Next(2) == 0 ? random.Next(256) : random.Next(16));
            var reader = new NetlinkReader(answer.AsSpan(0, random.Next(3) == 0 ? random.Next(answer.Length + 1) : answer.Length));
            while (reader.MoveNext())
            {
                messages++;
                _ = reader.Error;
                if (RouteMessage.TryReadAddress(reader.Body, out AssignedAddress address))
                {
                    addresses++;
                    Assert.InRange(address.Address.PrefixLength, 0, address.Address.Address.BitLength);
                }

                RouteMessage.TryReadLink(reader.Body, out _, out _);
                RouteMessage.TryReadDetails(reader.Body, out _);
                RouteMessage.TryReadRoute(reader.Body, out _);
                if (PolicyRoutes.TryRead(reader.Body, out _, out TableRoute route))
                    Assert.InRange(route.Prefix.Length, 0, route.Prefix.Network.BitLength);
            }
        }

        Assert.InRange(messages, Fuzz.Count(30_000), Fuzz.Count(150_000));
        Assert.InRange(addresses, Fuzz.Count(5_000), Fuzz.Count(100_000));
    }

    [Theory]
    [InlineData(16, true, "00 00 01 00 07 00 00 00 01 00 00 00 00 00 00 00")]
    [InlineData(17, false, "00 00 01 00 08 00 00 00 01 00 00 00 00 00 00 00")]
    [InlineData(21, true, "02 18 00 00 07 00 00 00")]
    [InlineData(20, false, "02 18 00 00 08 00 00 00")]
    [InlineData(25, true, "02 18 00 00 FE 02 FD 01 00 00 00 00 08 00 04 00 07 00 00 00")] // By the interface.
    // 10.0.0.0/24 by another one.
    [InlineData(24, true, "02 18 00 00 FE 02 FD 01 00 00 00 00 08 00 01 00 0A 00 00 00 08 00 04 00 08 00 00 00")]
    [InlineData(24, false, "02 19 00 00 FE 02 FD 01 00 00 00 00 08 00 01 00 0A 00 00 00 08 00 04 00 08 00 00 00")] // 10.0.0.0/25.
    [InlineData(24, false, "02 18 00 00 FE 02 FD 01 00 00 00 00 08 00 01 00 0A 00 01 00 08 00 04 00 08 00 00 00")] // 10.0.1.0/24.
    [InlineData(24, false, "02 18 00 00")]
    [InlineData(99, false, "02 18 00 00 07 00 00 00")]
    public void IsAbout_Message_TellsWhetherItConcernsTheInterface(int type, bool expected, string body) => Assert.Equal(
        expected,
        RouteMessage.IsAbout(
            (ushort)type, Convert.FromHexString(body.Replace(" ", string.Empty, StringComparison.Ordinal)), 7, [Interface("10.0.0.1/24")]));
}
