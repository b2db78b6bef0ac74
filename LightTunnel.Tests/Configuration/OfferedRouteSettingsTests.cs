using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Tests.Membership;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Configuration;

/// <summary>Which networks a node may say that it has behind it.</summary>
public sealed class OfferedRouteSettingsTests
{
    private static readonly ServerSettings Server = new() { Address = ["10.0.0.1/24", "fd00::1/64"], Name = "hub" };
    private static readonly ClientSettings Client = new() { Invitation = new Secret(InvitationTests.Sample().Reveal()), Name = "pc" };
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));

    [Fact]
    public void Networks_AreTakenInTheirOrder_AndTranslatedUnlessSomebodySaysNo()
    {
        ServerOptions server = SettingsResolver.Resolve(Server with { Route = [" 192.168.7.0/24 ", "2001:db8:7::/64", "10.9.0.5/32"] });
        Assert.Equal(["192.168.7.0/24", "2001:db8:7::/64", "10.9.0.5/32"], server.Routes.Select(route => route.Told.ToString()));
        Assert.All(server.Routes, route => Assert.True(route is { As: null, TranslateSources: true }));
        ClientOptions client = SettingsResolver.Resolve(Client with { Route = ["192.168.7.0/24"], NoSnat = true }, _time);
        Assert.False(Assert.Single(client.Routes).TranslateSources);
        Assert.Empty(SettingsResolver.Resolve(Client, _time).Routes);
    }

    [Theory]
    [InlineData("192.168.7.0", "has no prefix length", "192.168.7.0/32")]
    [InlineData("192.168.7.5/24", "is an address in the network 192.168.7.0/24", "Write 192.168.7.0/24.")]
    [InlineData("192.168.7.0/33", "is not the prefix of a network", "192.168.7.0/24")]
    [InlineData("office", "is not the prefix of a network", "192.168.7.0/24")]
    [InlineData("office/24", "is not the prefix of a network", "192.168.7.0/24")]
    [InlineData("", "is not the prefix of a network", "192.168.7.0/24")]
    [InlineData("0.0.0.0/0", "is a default route, and no network", "-OfferExitNode")]
    [InlineData("::/0", "is a default route, and no network", "-OfferExitNode")]
    [InlineData("128.0.0.0/1", "is too short a prefix", "192.168.7.0/24")]
    [InlineData("2000::/3", "is too short a prefix", "192.168.7.0/24")]
    [InlineData("127.0.0.0/8", "is a loopback address", "192.168.7.0/24")]
    [InlineData("224.0.0.0/8", "is a multicast address", "192.168.7.0/24")]
    [InlineData("fe80::/64", "is a link-local address", "192.168.7.0/24")]
    [InlineData("10.0.0.0/24", "has addresses of the tunnel's own network 10.0.0.0/24", "outside of the tunnel's")]
    [InlineData("10.0.0.128/25", "has addresses of the tunnel's own network 10.0.0.0/24", "outside of the tunnel's")]
    [InlineData("10.0.0.0/8", "has addresses of the tunnel's own network 10.0.0.0/24", "outside of the tunnel's")]
    [InlineData("fd00::7/128", "has addresses of the tunnel's own network fd00::/64", "outside of the tunnel's")]
    public void NetworkThatCannotBeOffered_IsNamedWithARemedy(string network, string what, string remedy)
    {
        LightTunnelException exception =
            Assert.Throws<LightTunnelException>(() => SettingsResolver.Resolve(Server with { Route = ["172.16.5.0/24", network] }));
        Assert.Equal(LightTunnelError.InvalidAddress, exception.Error);
        Assert.Contains($"'{network}' {what}", exception.Message, StringComparison.Ordinal);
        Assert.Contains(remedy, exception.RecommendedAction, StringComparison.Ordinal);
    }

    [Fact]
    public void ExitNode_IsOfferedBesideNetworks_AndChosenByName()
    {
        ServerOptions server = SettingsResolver.Resolve(Server with { Route = ["192.168.7.0/24"], NoSnat = true, OfferExitNode = true });
        Assert.Equal(["192.168.7.0/24", "0.0.0.0/0", "::/0"], server.Routes.Select(route => route.Told.ToString()));
        Assert.Equal([false, true, true], server.Routes.Select(route => route.TranslateSources));
        ClientOptions client = SettingsResolver.Resolve(Client with { ExitNode = " office ", KillSwitch = true }, _time);
        Assert.Equal(new ExitOptions("office", AllowLan: false, KillSwitch: true), client.Exit);
        Assert.Equal(ExitOptions.None, SettingsResolver.Resolve(Client with { ExitNode = "None" }, _time).Exit);
    }

    [Theory]
    [InlineData("office", true, false, "cannot go out by another")]
    [InlineData("none", false, true, "there is no exit node")]
    [InlineData(null, false, true, "there is no exit node")]
    [InlineData(" ", false, false, "is the name of no member")]
    public void ExitNode_ThatContradictsItself_IsNamed(string? node, bool offers, bool closes, string what)
    {
        LightTunnelException exception = Assert.Throws<LightTunnelException>(() => SettingsResolver.Resolve(
            Client with { ExitNode = node, OfferExitNode = offers, KillSwitch = closes }, _time));
        Assert.Contains(what, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ClientsOwnNetwork_IsThatOfItsInvitation()
    {
        string own = InvitationTests.Sample().Prefixes[0].ToString();
        LightTunnelException exception =
            Assert.Throws<LightTunnelException>(() => SettingsResolver.Resolve(Client with { Route = [own] }, _time));
        Assert.Contains("has addresses of the tunnel's own network", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void NetworksTwiceOrTooMany_AreRefused()
    {
        LightTunnelException twice = Assert.Throws<LightTunnelException>(
            () => SettingsResolver.Resolve(Server with { Route = ["192.168.7.0/24", "192.168.7.0/24"] }));
        Assert.Contains("192.168.7.0/24 is there twice", twice.Message, StringComparison.Ordinal);
        string[] all = [.. Enumerable.Range(0, OfferedRoute.MaximumCount + 1).Select(i => $"192.168.{i}.0/24")];
        Assert.Equal(OfferedRoute.MaximumCount, SettingsResolver.Resolve(Server with { Route = all[1..] }).Routes.Count);
        LightTunnelException many = Assert.Throws<LightTunnelException>(() => SettingsResolver.Resolve(Server with { Route = all }));
        Assert.Contains("65 networks are too many", many.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void NamesOfNetworks_AreTakenInTheOrderOfTheNetworks()
    {
        ServerOptions server = SettingsResolver.Resolve(Server with
        {
            Route = ["192.168.1.0/24", "192.168.2.0/24", "2001:db8:7::/64"], As = ["10.99.1.0/24", "192.168.2.0/24", "2001:db8:8::/64"],
        });
        Assert.Equal(["10.99.1.0/24", "192.168.2.0/24", "2001:db8:8::/64"], server.Routes.Select(route => route.Told.ToString()));
        Assert.Equal(["10.99.1.0/24", null, "2001:db8:8::/64"], server.Routes.Select(route => route.As?.ToString()));
    }

    [Theory]
    [InlineData("192.168.1.0/24", "10.99.1.0/25", "192.168.1.0/24 cannot be known as 10.99.1.0/25", "the length /24")]
    [InlineData("192.168.1.1/32", "2001:db8::/32", "is not as large", "the same family")]
    [InlineData("192.168.1.0/24", "10.0.0.0/24", "has addresses of the tunnel's own network", "outside of the tunnel's")]
    [InlineData("192.168.1.0/24", "10.99.1.5/24", "is an address in the network 10.99.1.0/24", "Write 10.99.1.0/24.")]
    [InlineData("192.168.1.0/24", "10.99.1.0/24 10.99.2.0/24", "there are 2 networks for the 1 of Route", "one for each of Route")]
    [InlineData("", "10.99.1.0/24", "there are 1 networks for the 0 of Route", "one for each of Route")]
    [InlineData("192.168.1.0/24 192.168.2.0/24", "10.99.1.0/24 10.99.1.0/24", "contradicts 192.168.1.0/24 as 10.99.1.0/24", "common")]
    [InlineData("192.168.1.0/24 192.168.0.0/16", "10.99.1.0/24 192.168.0.0/16", "contradicts", "no address in common")]
    [InlineData("192.168.1.0/24 10.99.0.0/16", "10.99.1.0/24 10.99.0.0/16", "contradicts", "no address in common")]
    public void NameThatANetworkCannotHave_IsRefusedWithARemedy(string routes, string names, string what, string remedy)
    {
        LightTunnelException exception = Assert.Throws<LightTunnelException>(
            () => SettingsResolver.Resolve(Server with { Route = Split(routes), As = Split(names) }));
        Assert.Contains(what, exception.Message, StringComparison.Ordinal);
        Assert.Contains(remedy, exception.RecommendedAction, StringComparison.Ordinal);

        static string[] Split(string text) => text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
    }

    [Fact]
    public void Overlay_Parameters_WinOverTheFile()
    {
        ServerSettings both = SettingsResolver.Overlay(
            Server with { Route = ["192.168.7.0/24"], As = ["10.99.7.0/24"], NoSnat = true },
            new ServerSettings { Route = ["192.168.8.0/24"] });
        Assert.Equal(["192.168.8.0/24"], both.Route);
        Assert.Null(both.As);
        Assert.True(both.NoSnat);
    }
}
