using System.Text;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Membership;
using LightTunnel.WireGuard;
using Xunit;
using static LightTunnel.Tests.Membership.ControlMessageTests;

namespace LightTunnel.Tests.Membership;

public sealed class InvitationTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 2, 3, 4, 5, 678, TimeSpan.Zero);

    /// <summary>The bytes 1 to 20.</summary>
    internal static InvitationToken Token { get; } = ParseToken("AQIDBAUGBwgJCgsMDQ4PEBESExQ");

    internal static Invitation Sample(DateTimeOffset? expires = null) => new()
    {
        Endpoints = [new ServerEndpoint("vpn.example.org", 9000), new ServerEndpoint("2001:db8::1", 9000)],
        ServerKey = Key(1),
        NetworkKey = new PresharedKey(new ByteMutator(2).Random(32)),
        NetworkName = "home",
        Prefixes = [new IpPrefix(Address("10.0.0.0"), 24), new IpPrefix(Address("fd00::"), 64)],
        Expires = expires,
        Token = Token,
    };

    private static InvitationToken ParseToken(string text)
    {
        Assert.True(InvitationToken.TryParse(text, out InvitationToken? token));
        return token;
    }

    private static LightTunnelException Fails(string? text)
    {
        Assert.False(Invitation.TryParse(text, Now, out Invitation? invitation, out LightTunnelException? error));
        Assert.Null(invitation);
        Assert.NotEmpty(error.RecommendedAction);
        return error;
    }

    [Fact]
    public void Parse_WhatWasRevealed_GivesItBack()
    {
        Invitation sample = Sample(Now.AddHours(1));
        string text = sample.Reveal();
        Assert.Matches("^lt1:[A-Za-z0-9_-]+$", text);
        Assert.InRange(text.Length, 100, 300);
        Invitation parsed = Invitation.Parse(text, Now);
        Assert.Equal(sample.Endpoints, parsed.Endpoints);
        Assert.Equal(sample.Prefixes, parsed.Prefixes);
        Assert.Equal(sample.ServerKey, parsed.ServerKey);
        Assert.Equal(sample.NetworkKey, parsed.NetworkKey);
        Assert.Equal("home", parsed.NetworkName);
        Assert.Equal(Token, parsed.Token);
        Assert.Equal(DateTimeOffset.FromUnixTimeSeconds(Now.AddHours(1).ToUnixTimeSeconds()), parsed.Expires);
        Assert.Null(Invitation.Parse(Sample().Reveal(), Now).Expires);
    }

    [Fact]
    public void Parse_WrappedQuotedOrPadded_IsStillRead()
    {
        string text = Sample().Reveal();
        string wrapped = string.Join("\r\n  ", text.Chunk(60).Select(chars => new string(chars)));
        foreach (string variant in new[] { $"  {text}\n", $"\"{text}\"", $"'{text}'", wrapped, text.Insert(50, "\u200B"), text + "==",
            "\uFEFF" + text, "LT" + text[2..], Quoted(wrapped), $"# from bob\n\n{wrapped}\n# {text}\n" })
        {
            Assert.Equal("home", Invitation.Parse(variant, Now).NetworkName);
        }
    }

    private static string Quoted(string text) => "> # so it came\r\n>> " + text.Replace("\r\n", "\r\n> > ", StringComparison.Ordinal);

    [Fact]
    public void Parse_CutShortAnywhere_SaysSo()
    {
        string text = Sample().Reveal();
        for (int length = 1; length < text.Length; length++)
        {
            LightTunnelException error = Fails(text[..length]);
            Assert.Equal(LightTunnelError.InvalidInvitation, error.Error);
            Assert.Contains("cut short", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Parse_OneCharacterMistyped_IsNeverTaken()
    {
        string text = Sample().Reveal();
        for (int at = 0; at < text.Length; at++)
        {
            foreach (char wrong in "A_z9")
            {
                if (text[at] == wrong)
                    continue;
                LightTunnelException error = Fails(text[..at] + wrong + text[(at + 1)..]);
                Assert.Equal(LightTunnelError.InvalidInvitation, error.Error);
                Assert.DoesNotContain(text[10..20], error.Message, StringComparison.Ordinal);
                if (at > 10)
                    Assert.Contains("mistyped", error.Message, StringComparison.Ordinal);
            }
        }
    }

    [Theory]
    [InlineData(null, "empty")]
    [InlineData(" ", "empty")]
    [InlineData("# nothing\n\n> # but comments", "empty")]
    [InlineData("hello", "does not begin with lt1:")]
    [InlineData("https://example.org/lt1:abc", "does not begin with lt1:")]
    [InlineData("lt2:AAAA", "newer version")]
    [InlineData("lt0:AAAA", "does not begin with lt1:")]
    [InlineData("ltx:AAAA", "does not begin with lt1:")]
    [InlineData("lt1:AA%A", "characters that no invitation has")]
    [InlineData("lt1:", "cut short")]
    public void TryParse_NoInvitation_SaysWhy(string? text, string expected)
    {
        LightTunnelException error = Fails(text);
        Assert.Equal(LightTunnelError.InvalidInvitation, error.Error);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void TryParse_TooLong_IsRefusedUnread() =>
        Assert.Contains("too long", Fails("lt1:" + new string('A', 100_000)).Message, StringComparison.Ordinal);

    [Fact]
    public void TryParse_Expired_SaysWhen()
    {
        string text = Sample(new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero)).Reveal();
        LightTunnelException error = Fails(text);
        Assert.Equal(LightTunnelError.InvitationExpired, error.Error);
        Assert.Contains("2026-01-02 03:04:05 UTC", error.Message, StringComparison.Ordinal);
        Assert.Equal("home", Invitation.Parse(text, Now.AddSeconds(-1)).NetworkName);
    }

    [Fact]
    public void ToString_Invitation_RevealsNothing()
    {
        Invitation sample = Sample();
        Assert.Equal("(invitation to home)", sample.ToString());
        Assert.Equal("(invitation to home)", $"{sample}");
    }

    [Fact]
    public void Reveal_PartsOutOfBounds_IsTheCallersFault()
    {
        Assert.Throws<ArgumentException>(() => (Sample() with { Endpoints = [] }).Reveal());
        Assert.Throws<ArgumentException>(() => (Sample() with { NetworkName = "a b" }).Reveal());
        Assert.Throws<ArgumentException>(() => (Sample() with { Prefixes = [] }).Reveal());
    }

    [Fact]
    public void TryParse_HostileText_NeverThrows()
    {
        byte[] good = Encoding.ASCII.GetBytes(Sample().Reveal());
        var mutator = new ByteMutator(5);
        int accepted = 0;
        for (int i = 0; i < Fuzz.Count(20_000); i++)
        {
            string text = Encoding.Latin1.GetString(i % 20 == 0 ? mutator.Random(i % 400) : mutator.Mutate(good));
            if (Invitation.TryParse(text, Now, out _, out LightTunnelException? error))
                accepted++;
            else
                Assert.Equal(LightTunnelError.InvalidInvitation, error.Error);
        }

        Assert.InRange(accepted, 0, Fuzz.Count(1000));
    }

    [Fact]
    public void TryParse_ChecksumRightAndContentHostile_NeverThrows()
    {
        string text = (Sample(Now.AddDays(1)) with { SigningKeys = [SigningSamples.AdminsKey()] }).Reveal();
        byte[] bytes = System.Buffers.Text.Base64Url.DecodeFromChars(text.AsSpan(4));
        byte[] content = bytes[2..^4];
        var mutator = new ByteMutator(6);
        for (int i = 0; i < Fuzz.Count(20_000); i++)
        {
            byte[] mutated = mutator.Mutate(content);
            byte[] digest = System.Security.Cryptography.SHA256.HashData(mutated);
            byte[] whole = [(byte)(mutated.Length >> 8), (byte)mutated.Length, .. mutated, .. digest[..4]];
            string hostile = "lt1:" + System.Buffers.Text.Base64Url.EncodeToString(whole);
            if (Invitation.TryParse(hostile, Now, out Invitation? invitation, out _))
                Assert.NotEmpty(invitation.Reveal());
        }
    }
}
