using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Management;
using LightTunnel.Membership;
using LightTunnel.WireGuard;
using Xunit;
using static LightTunnel.Tests.Membership.ControlMessageTests;

namespace LightTunnel.Tests.Management;

public sealed class WireGuardConfigurationTests : IDisposable
{
    private const string Own = "oAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHl8=", Shared = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    private readonly PrivateKey _own;
    private readonly PresharedKey _shared;

    public WireGuardConfigurationTests()
    {
        Assert.True(PrivateKey.TryParse(Own, out PrivateKey? own));
        Assert.True(PresharedKey.TryParse(Shared, out PresharedKey? shared));
        (_own, _shared) = (own, shared);
    }

    public void Dispose()
    {
        _own.Dispose();
        _shared.Dispose();
    }

    [Fact]
    public void Write_GivesWhatWgQuickReads()
    {
        string text = Write(_own);
        Assert.Equal(
            $"""
            # phone in the network office. Who has this is that member: keep it secret.
            [Interface]
            PrivateKey = {Own}
            Address = 10.0.0.7/32, fd00::7/128
            MTU = 1400

            [Peer]
            PublicKey = {Key(1)}
            PresharedKey = {Shared}
            Endpoint = [2001:db8::1]:9000
            AllowedIPs = 10.0.0.0/24, fd00::/64
            PersistentKeepalive = 25

            """.ReplaceLineEndings("\n"),
            text);

        string compact = new WireGuardClientText("phone", "office", [], string.Empty, string.Empty, text).ToCompactText();
        Assert.StartsWith("[Interface]\nPrivateKey", compact, StringComparison.Ordinal);
        Assert.Contains("MTU = 1400\n[Peer]\n", compact, StringComparison.Ordinal);
    }

    [Fact]
    public void Write_WithoutThePrivateKey_SaysWhereItBelongs() =>
        Assert.Contains("PrivateKey = (your private key)\n", Write(null), StringComparison.Ordinal);

    [Theory]
    [InlineData("a b", null, null, null, LightTunnelError.InvalidName)]
    [InlineData("", null, null, null, LightTunnelError.InvalidName)]
    [InlineData("phone", "10.0.0.7/24", null, null, LightTunnelError.InvalidAddress)]
    [InlineData("phone", null, "nokey", null, LightTunnelError.InvalidKey)]
    [InlineData("phone", null, null, 1279, LightTunnelError.InvalidOption)]
    [InlineData("phone", null, null, 1401, LightTunnelError.InvalidOption)]
    public void Check_WhatIsWrong_IsNamed_WithARemedy(string name, string? address, string? key, int? mtu, LightTunnelError expected)
    {
        var request = new WireGuardClientRequest(name, address is null ? [] : [address], key, Mtu: mtu);
        LightTunnelException refused = Assert.Throws<LightTunnelException>(() => PlainClientTerms.Check(request, 1400));
        Assert.Equal(expected, refused.Error);
        Assert.NotEmpty(refused.RecommendedAction);
    }

    [Fact]
    public void Check_OfAKey_NeverRepeatsWhatMayBeThePrivateOne()
    {
        var request = new WireGuardClientRequest("phone", [], Own[..43]);
        LightTunnelException refused = Assert.Throws<LightTunnelException>(() => PlainClientTerms.Check(request, 1400));
        Assert.DoesNotContain(Own[..20], refused.ToString(), StringComparison.Ordinal);
    }

    private string Write(PrivateKey? own)
    {
        Assert.True(ServerEndpoint.TryParse("[2001:db8::1]:9000", 1, out ServerEndpoint endpoint));
        return WireGuardConfiguration.Write(
            "phone", "office", own, [Address("10.0.0.7"), Address("fd00::7")], 1400, Key(1), _shared, endpoint,
            [Prefix("10.0.0.0/24"), Prefix("fd00::/64")]);
    }

    private static IpPrefix Prefix(string text)
    {
        Assert.True(IpPrefix.TryParse(text, out IpPrefix prefix));
        return prefix;
    }
}
