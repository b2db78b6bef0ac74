using System.Buffers.Binary;
using LightTunnel.Addressing;
using LightTunnel.PortMapping;
using LightTunnel.Tests.Membership;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.PortMapping;

/// <summary>What is said to a gateway, and what is made of its answers, byte by byte and second by second.</summary>
public sealed class GatewayDialogueTests
{
    private const ushort Port = 5000;
    private static readonly UInt128 Nonce = new(0x01020304, 0x05060708_090A0B0C);
    private static readonly UdpEndpoint Client = UdpEndpoint.FromIPv4(0xC0A8_010A, Port);
    private static readonly UdpEndpoint Outside = UdpEndpoint.FromIPv4(0xC633_6401, 6000);

    private readonly FakeTimeProvider _time = new();
    private readonly GatewayDialogue _dialogue;

    public GatewayDialogueTests() => _dialogue = new GatewayDialogue(_time, () => 0.5, Client, Nonce, UdpEndpoint.FromIPv4(0, Port));

    [Fact]
    public void FirstRequest_IsAPcpMapOfRfc6887()
    {
        const string Expected = "0201000000000E1000000000000000000000FFFFC0A8010A" // version, MAP, one hour, client
            + "0102030405060708090A0B0C" + "11000000" + "13881388" + "00000000000000000000FFFF00000000";
        Assert.Equal(Expected, Convert.ToHexString(Take()));
        Assert.Empty(Take());
    }

    [Fact]
    public void Pcp_Granted_IsMapped_AndRenewedAfterHalfOfTheLease()
    {
        Take();
        Assert.True(_dialogue.Receive(PcpAnswer(lifetime: 1000)));

        Assert.Equal((DialogueState.Mapped, PortMappingProtocol.Pcp, Outside), (_dialogue.State, _dialogue.Protocol, _dialogue.External));
        Assert.Equal(TimeSpan.FromSeconds(1000), _dialogue.LeaseLeft);
        Assert.InRange(_dialogue.UntilNext, TimeSpan.FromSeconds(500), TimeSpan.FromSeconds(625));
        Assert.Empty(Take());

        _time.Advance(_dialogue.UntilNext);
        byte[] renewal = Take();
        Assert.Equal(Outside.Port, BinaryPrimitives.ReadUInt16BigEndian(renewal.AsSpan(42)));
        Assert.Equal(Outside.MappedAddress, BinaryPrimitives.ReadUInt128BigEndian(renewal.AsSpan(44)));
        Assert.Equal(DialogueState.Mapped, _dialogue.State);
        Assert.True(_dialogue.Receive(PcpAnswer(lifetime: 1000, epoch: 562)));
        Assert.Equal(TimeSpan.FromSeconds(1000), _dialogue.LeaseLeft);
    }

    [Fact]
    public void Silence_IsAHandfulOfPackets_ThenTheEnd()
    {
        var requests = new List<(double At, byte Version)>();
        DateTimeOffset start = _time.GetUtcNow();
        while (!_dialogue.IsOver)
        {
            byte[] request = Take();
            if (request.Length > 0)
                requests.Add(((_time.GetUtcNow() - start).TotalSeconds, request[0]));
            else if (!_dialogue.IsOver)
                _time.Advance(_dialogue.UntilNext);
        }

        Assert.Equal(DialogueState.Silent, _dialogue.State);
        Assert.Equal([(0, 2), (3, 2), (9, 0), (9.25, 0), (9.75, 0), (10.75, 0)], requests);
        Assert.Equal(Timeout.InfiniteTimeSpan, _dialogue.UntilNext);
    }

    [Fact]
    public void Renewal_Unanswered_IsRepeatedMoreAndMoreSlowly_UntilTheLeaseIsOver()
    {
        Take();
        _dialogue.Receive(PcpAnswer(lifetime: 3600));
        int requests = 0;
        while (!_dialogue.IsOver)
        {
            requests += Take().Length > 0 ? 1 : 0;
            if (!_dialogue.IsOver)
                _time.Advance(_dialogue.UntilNext);
        }

        Assert.Equal((DialogueState.Silent, default), (_dialogue.State, _dialogue.External));
        Assert.Equal(TimeSpan.FromHours(1), _time.GetUtcNow() - _time.Start);
        Assert.InRange(requests, 8, 12);
    }

    [Theory]
    [InlineData("0081000100000000")] // NAT-PMP, as RFC 6887 appendix A tells.
    [InlineData("0181000100000000000000000000000000000000000000000000")] // PCP of another version.
    public void UnsupportedVersion_LeadsToNatPmpAtOnce(string answer)
    {
        Take();
        _dialogue.Receive(Convert.FromHexString(answer));
        Assert.Equal("0000", Convert.ToHexString(Take()));
        Assert.Equal(PortMappingProtocol.NatPmp, _dialogue.Protocol);
    }

    [Fact]
    public void NatPmp_Granted_IsMapped_AndAsksForTheAddressAgainWhenItRenews()
    {
        MapByNatPmp();

        Assert.Equal(
            (DialogueState.Mapped, PortMappingProtocol.NatPmp, Outside), (_dialogue.State, _dialogue.Protocol, _dialogue.External));
        _time.Advance(_dialogue.UntilNext);
        Assert.Equal("0000", Convert.ToHexString(Take()));
        _dialogue.Receive(NatPmpAddress(0xC633_6402));
        Assert.Equal("00010000138817700000" + "0E10", Convert.ToHexString(Take()));
        Assert.True(_dialogue.Receive(NatPmpMap(3600)));
        Assert.Equal(UdpEndpoint.FromIPv4(0xC633_6402, 6000), _dialogue.External);
    }

    [Fact]
    public void Nobody_Listening_EndsTheSearch_ButNoMapping()
    {
        Take();
        _dialogue.NobodyListens();
        Assert.Equal(DialogueState.NotSupported, _dialogue.State);

        var mapped = new GatewayDialogue(_time, () => 0.5, Client, Nonce, Outside);
        mapped.TakeRequest(new byte[GatewayDialogue.MaximumRequestLength]);
        mapped.Receive(PcpAnswer());
        mapped.NobodyListens();
        Assert.Equal(DialogueState.Mapped, mapped.State);
    }

    [Fact]
    public void Refusals_ByBothProtocols_AreTheEnd_WithTheFirstReason()
    {
        Take();
        _dialogue.Receive(PcpAnswer(result: 2));
        Assert.Equal("0000", Convert.ToHexString(Take()));
        _dialogue.Receive(Convert.FromHexString("0080000300000005"));

        Assert.Equal(DialogueState.Refused, _dialogue.State);
        Assert.Equal(GatewayResults.Describe(PortMappingProtocol.Pcp, 2), _dialogue.Refusal);
        Assert.Empty(Take());
    }

    [Fact]
    public void Refusal_ByPcp_NatPmpMayStillGrant()
    {
        Take();
        _dialogue.Receive(PcpAnswer(result: 2));
        Take();
        _dialogue.Receive(NatPmpAddress());
        Take();
        _dialogue.Receive(NatPmpMap(3600));
        Assert.Equal((DialogueState.Mapped, null), (_dialogue.State, _dialogue.Refusal));
    }

    [Theory]
    [InlineData(1, 0, 0, false)] // another nonce
    [InlineData(0, 1, 0, false)] // another port
    [InlineData(0, 0, 1, false)] // another version
    [InlineData(0, 0, 0, true)]
    public void Answers_ThatAreNotToOurQuestion_AreIgnored(int nonce, int port, int version, bool maps)
    {
        Take();
        byte[] answer = PcpAnswer();
        answer[35] += (byte)nonce;
        answer[41] += (byte)port;
        answer[0] += (byte)version;
        Assert.Equal(maps, _dialogue.Receive(answer));
        Assert.Equal(maps ? DialogueState.Mapped : DialogueState.Asking, _dialogue.State);
    }

    [Fact]
    public void Request_ComingBackAsAnAnswer_IsIgnored()
    {
        Assert.False(_dialogue.Receive(Take()));
        Assert.Equal(DialogueState.Asking, _dialogue.State);
    }

    [Theory]
    [InlineData(0u)]
    [InlineData(0xE000_0001u)]
    [InlineData(0xFFFF_FFFFu)]
    public void Address_ThatNobodyCanBeAt_IsNoMapping(uint address)
    {
        Take();
        _dialogue.Receive(PcpAnswer(external: UdpEndpoint.FromIPv4(address, 6000)));
        Assert.NotEqual(DialogueState.Mapped, _dialogue.State);
    }

    [Theory]
    [InlineData(1u, 30)]
    [InlineData(uint.MaxValue, 86400)]
    public void Lifetime_OutOfAllReason_IsLimited(uint granted, int seconds)
    {
        Take();
        _dialogue.Receive(PcpAnswer(lifetime: granted));
        Assert.Equal(TimeSpan.FromSeconds(seconds), _dialogue.LeaseLeft);
    }

    [Fact]
    public void Update_WithoutAQuestion_ChangesTheMapping()
    {
        Take();
        _dialogue.Receive(PcpAnswer());
        UdpEndpoint other = UdpEndpoint.FromIPv4(0xC633_6409, 7000);
        Assert.True(_dialogue.Receive(PcpAnswer(external: other)));
        Assert.Equal(other, _dialogue.External);
    }

    [Fact]
    public void Announcement_OfARestart_AsksAgainAtOnce_AndOneThatGoesOnDoesNot()
    {
        Take();
        _dialogue.Receive(PcpAnswer(epoch: 1000));
        _time.Advance(TimeSpan.FromSeconds(100));

        _dialogue.ReceiveAnnouncement(PcpAnnouncement(1101));
        Assert.Empty(Take());
        _dialogue.ReceiveAnnouncement(PcpAnnouncement(1));
        Assert.Equal(PcpMessages.MapLength, Take().Length);
        Assert.Equal(DialogueState.Mapped, _dialogue.State);
        _dialogue.ReceiveAnnouncement(PcpAnnouncement(0)); // A question is out already.
        Assert.Empty(Take());
    }

    [Fact]
    public void Announcement_OfAnotherAddress_AsksAgainAtOnce()
    {
        MapByNatPmp();
        _dialogue.ReceiveAnnouncement(NatPmpAddress());
        Assert.Empty(Take());
        _dialogue.ReceiveAnnouncement(NatPmpAddress(0xC633_6402));
        Assert.Equal("0000", Convert.ToHexString(Take()));
        Assert.Equal(Outside, _dialogue.External);
    }

    [Fact]
    public void Removal_IsInTheProtocolOfTheMapping()
    {
        byte[] buffer = new byte[GatewayDialogue.MaximumRequestLength];
        Take();
        _dialogue.Receive(PcpAnswer());
        Assert.Equal(PcpMessages.MapLength, _dialogue.WriteRemoval(buffer));
        Assert.Equal(0u, BinaryPrimitives.ReadUInt32BigEndian(buffer.AsSpan(4)));

        var byNatPmp = new GatewayDialogueTests();
        byNatPmp.MapByNatPmp();
        int length = byNatPmp._dialogue.WriteRemoval(buffer);
        Assert.Equal("000100001388000000000000", Convert.ToHexString(buffer, 0, length));
    }

    [Fact]
    public void Epoch_GoesOnOnlyWithTheClock()
    {
        var epoch = new GatewayEpoch(_time);
        Assert.True(epoch.Continues(1000));
        Assert.True(epoch.Continues(999)); // Seconds are rounded.
        Assert.False(epoch.Continues(997));
        _time.Advance(TimeSpan.FromSeconds(1600));
        Assert.True(epoch.Continues(997 + 1500)); // A sixteenth wrong.
        _time.Advance(TimeSpan.FromSeconds(1600));
        Assert.False(epoch.Continues(997 + 1500 + 1490));
        Assert.False(epoch.Continues(uint.MaxValue));
    }

    [Fact]
    public void HostileBytes_NeverBreakIt_AndItStaysBounded()
    {
        int seed = Fuzz.Seed(6887);
        var mutator = new ByteMutator(seed);
        byte[][] good = [PcpAnswer(), PcpAnswer(result: 8), NatPmpAddress(), NatPmpMap(3600), PcpAnnouncement(7),
            Convert.FromHexString("0081000100000000"), []];
        for (int run = 0; run < Fuzz.Count(400); run++)
        {
            var dialogue = new GatewayDialogue(_time, () => 0.5, Client, Nonce, Outside);
            int requests = 0;
            for (int step = 0; step < 50 && !dialogue.IsOver; step++)
            {
                requests += dialogue.TakeRequest(new byte[GatewayDialogue.MaximumRequestLength]) > 0 ? 1 : 0;
                byte[] data = step % 7 == 0 ? mutator.Random(step) : mutator.Mutate(good[(run + step) % good.Length]);
                dialogue.Receive(data);
                dialogue.ReceiveAnnouncement(data);
                Assert.True(
                    dialogue.State != DialogueState.Mapped
                        || (Candidate.IsUsable(dialogue.External) && dialogue.LeaseLeft > TimeSpan.Zero));
            }

            Assert.True(requests <= 51);
        }
    }

    private void MapByNatPmp()
    {
        Take();
        _dialogue.Receive(Convert.FromHexString("0081000100000000"));
        Take();
        _dialogue.Receive(NatPmpAddress());
        Assert.Equal("00010000138813880000" + "0E10", Convert.ToHexString(Take()));
        Assert.True(_dialogue.Receive(NatPmpMap(3600)));
    }

    private byte[] Take()
    {
        byte[] request = new byte[GatewayDialogue.MaximumRequestLength];
        return request[.._dialogue.TakeRequest(request)];
    }

    private static byte[] PcpAnswer(byte result = 0, uint lifetime = 3600, uint epoch = 0, UdpEndpoint? external = null)
    {
        UdpEndpoint assigned = external ?? Outside;
        byte[] answer = new byte[60];
        answer[0] = 2;
        answer[1] = 0x81;
        answer[3] = result;
        BinaryPrimitives.WriteUInt32BigEndian(answer.AsSpan(4), lifetime);
        BinaryPrimitives.WriteUInt32BigEndian(answer.AsSpan(8), epoch);
        Convert.FromHexString("0102030405060708090A0B0C11").CopyTo(answer, 24);
        BinaryPrimitives.WriteUInt16BigEndian(answer.AsSpan(40), Port);
        BinaryPrimitives.WriteUInt16BigEndian(answer.AsSpan(42), assigned.Port);
        BinaryPrimitives.WriteUInt128BigEndian(answer.AsSpan(44), assigned.MappedAddress);
        return answer;
    }

    private static byte[] PcpAnnouncement(uint epoch)
    {
        byte[] announcement = new byte[24];
        announcement[0] = 2;
        announcement[1] = 0x80;
        BinaryPrimitives.WriteUInt32BigEndian(announcement.AsSpan(8), epoch);
        return announcement;
    }

    private static byte[] NatPmpAddress(uint address = 0xC633_6401) =>
        [0, 0x80, 0, 0, 0, 0, 0, 5, (byte)(address >> 24), (byte)(address >> 16), (byte)(address >> 8), (byte)address];

    private static byte[] NatPmpMap(int lifetime) =>
        [0, 0x81, 0, 0, 0, 0, 0, 5, 0x13, 0x88, 0x17, 0x70, 0, 0, (byte)(lifetime >> 8), (byte)lifetime];
}
