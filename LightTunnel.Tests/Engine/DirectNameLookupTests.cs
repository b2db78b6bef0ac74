using System.Net;
using LightTunnel.Engine.Client;
using LightTunnel.Forwarding;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>Questions for the server's name that this machine asks itself, and what resolvers and strangers answer.</summary>
public sealed class DirectNameLookupTests
{
    private static readonly byte[] Question = DirectNameLookup.WriteQuestion("vpn.example.org", 0x1234, 1)!;

    private static byte[] Answer(byte[] question, params byte[][] records) =>
    [
        question[0], question[1], 0x81, 0x80, 0, 1, 0, (byte)records.Length, 0, 0, 0, 0, .. question[12..],
        .. records.SelectMany(each => each),
    ];

    private static byte[] Address(byte last) => [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203, 0, 113, last];

    [Fact]
    public void Addresses_AreThoseOfTheKindThatWasAskedFor_AlsoBehindAnAlias()
    {
        byte[] alias = [0xC0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 6, 3, (byte)'w', (byte)'w', (byte)'w', 0xC0, 16];
        byte[] other = [0xC0, 12, 0, 28, 0, 1, 0, 0, 0, 60, 0, 16, .. IPAddress.Parse("2001:db8::1").GetAddressBytes()];
        IReadOnlyList<IPAddress> found = DirectNameLookup.ReadAnswer(Answer(Question, alias, Address(1), other, Address(2)), Question);
        Assert.Equal(["203.0.113.1", "203.0.113.2"], found.Select(address => address.ToString()));
    }

    [Fact]
    public void AnswerToAnotherQuestion_OrAnError_TellsNothing()
    {
        byte[] good = Answer(Question, Address(1));
        Assert.Single(DirectNameLookup.ReadAnswer(good, Question));
        foreach ((string name, ushort id, ushort type) in
            ((string, ushort, ushort)[])[("vpn.example.org", 0x1235, 1), ("vpn.example.net", 0x1234, 1), ("vpn.example.org", 0x1234, 28)])
        {
            Assert.Empty(DirectNameLookup.ReadAnswer(Answer(DirectNameLookup.WriteQuestion(name, id, type)!, Address(1)), Question));
        }

        Assert.Empty(DirectNameLookup.ReadAnswer([.. good[..3], 0x83, .. good[4..]], Question)); // No such name.
        Assert.Empty(DirectNameLookup.ReadAnswer([.. good[..2], 0x01, .. good[3..]], Question)); // A question.
    }

    [Fact]
    public void HostileBytes_AreSurvived()
    {
        var random = new Random(1);
        for (int i = 0; i < 20_000; i++)
        {
            byte[] bytes = Answer(Question, Address(1), Address(2));
            for (int changes = random.Next(1, 6); changes > 0; changes--)
                bytes[random.Next(12, bytes.Length)] = (byte)random.Next(256);
            Assert.InRange(DirectNameLookup.ReadAnswer(bytes.AsSpan(0, random.Next(bytes.Length + 1)), Question).Count, 0, 16);
            random.NextBytes(bytes);
            Assert.InRange(DirectNameLookup.ReadAnswer(bytes, Question).Count, 0, 16);
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("a..b")]
    [InlineData("0123456789012345678901234567890123456789012345678901234567890123.example.org")]
    public void WhatIsNoName_IsNotAskedFor(string host) => Assert.Null(DirectNameLookup.WriteQuestion(host, 1, 1));

    [Fact]
    public void Resolvers_AreThoseThatOthersCanBeLedTo()
    {
        const string Text = "# nameserver 192.0.2.1\nnameserver 127.0.0.53\n nameserver\t192.168.1.1 \nnameserver ::1\n"
            + "nameserver fe80::1%eth0\nnameserver fd00::53\noptions edns0\nnameserver nonsense\n";
        Assert.Equal(["192.168.1.1", "fd00::53"], SystemResolvers.Parse(Text).Select(resolver => resolver.ToString()));
    }
}
