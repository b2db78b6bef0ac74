using LightTunnel.Membership;
using Xunit;

namespace LightTunnel.Tests.Membership;

public sealed class ControlFrameTests
{
    [Fact]
    public void Write_DataFrame_HasTheDocumentedLayout()
    {
        byte[] buffer = new byte[64];
        int length = new ControlFrame(ControlFrameKind.Data, 0x01020304, 0x0A0B0C0D, "hi"u8).Write(buffer);
        Assert.Equal("C100000201020304" + "0A0B0C0D" + "6869", Convert.ToHexString(buffer.AsSpan(0, length)));
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(0, 1150)]
    [InlineData(1, 0)]
    [InlineData(2, 0)]
    [InlineData(2, 60_000)]
    [InlineData(3, 0)]
    [InlineData(4, 0)]
    public void TryRead_WhatWasWrittenAndPadded_GivesItBack(int kind, int bodyLength)
    {
        byte[] body = new ByteMutator(1).Random(bodyLength);
        byte[] buffer = new byte[ControlFrame.HeaderLength + bodyLength + 15];
        new ControlFrame((ControlFrameKind)kind, 7, uint.MaxValue, body).Write(buffer);

        Assert.True(ControlFrame.IsControlFrame(buffer));
        Assert.True(ControlFrame.TryRead(buffer, out ControlFrame frame));
        Assert.Equal((ControlFrameKind)kind, frame.Kind);
        Assert.Equal(7u, frame.Conversation);
        Assert.Equal(uint.MaxValue, frame.Number);
        Assert.True(frame.Body.SequenceEqual(body));
    }

    [Theory]
    [InlineData("")]
    [InlineData("C1")]
    [InlineData("C1000001000000010000000", 1)]
    [InlineData("C200000100000001000000016A")]
    [InlineData("C107000000000001000000016A")]
    [InlineData("C100000200000001000000016A")]
    [InlineData("C1000000000000010000000100")]
    [InlineData("4500000100000001000000016A")]
    public void TryRead_CutShortOrOfAnotherKind_IsRefused(string hex, int drop = 0) =>
        Assert.False(ControlFrame.TryRead(Convert.FromHexString(hex[..^drop]), out _));

    [Fact]
    public void TryRead_DataLongerThanAllowed_IsRefused()
    {
        byte[] buffer = new byte[ControlFrame.MaximumLength + 1];
        new ControlFrame(ControlFrameKind.Ping, 0, 1, new byte[ControlFrame.MaximumBodyLength + 1]).Write(buffer);
        Assert.True(ControlFrame.TryRead(buffer, out _));
        buffer[1] = (byte)ControlFrameKind.Data;
        Assert.False(ControlFrame.TryRead(buffer, out _));
    }

    [Fact]
    public void IsControlFrame_IpPackets_AreNone()
    {
        Assert.False(ControlFrame.IsControlFrame([0x45]));
        Assert.False(ControlFrame.IsControlFrame([0x60]));
        Assert.False(ControlFrame.IsControlFrame([]));
        Assert.True(ControlFrame.IsControlFrame([0xC2]));
    }

    [Fact]
    public void TryRead_HostileBytes_NeverThrowsNorReadsOutside()
    {
        byte[] good = new byte[80];
        new ControlFrame(ControlFrameKind.Data, 1, 1, new byte[60]).Write(good);
        var mutator = new ByteMutator(2);
        int accepted = 0;
        for (int i = 0; i < Fuzz.Count(20_000); i++)
        {
            byte[] bytes = mutator.Mutate(good);
            if (!ControlFrame.TryRead(bytes, out ControlFrame frame))
                continue;
            accepted++;
            Assert.InRange(frame.Body.Length, 0, bytes.Length - ControlFrame.HeaderLength);
        }

        Assert.InRange(accepted, 1, Fuzz.Count(20_000) - 1);
    }
}
