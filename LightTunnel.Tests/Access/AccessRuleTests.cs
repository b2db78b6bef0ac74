using LightTunnel.Access;
using LightTunnel.Diagnostics;
using Xunit;

namespace LightTunnel.Tests.Access;

/// <summary>What may be written in a rule, and what is said of what may not.</summary>
public sealed class AccessRuleTests
{
    [Theory]
    [InlineData("*", (int)SelectorKind.Everybody, "*")]
    [InlineData("clients", (int)SelectorKind.Clients, "clients")]
    [InlineData("Server", (int)SelectorKind.Server, "server")]
    [InlineData("group:office", (int)SelectorKind.Group, "group:office")]
    [InlineData("GROUP:a.b-c_1", (int)SelectorKind.Group, "group:a.b-c_1")]
    [InlineData("laptop", (int)SelectorKind.Member, "laptop")]
    [InlineData("node-1.example", (int)SelectorKind.Member, "node-1.example")]
    [InlineData("10.0.0.5", (int)SelectorKind.Prefix, "10.0.0.5")]
    [InlineData("10.0.0.0/28", (int)SelectorKind.Prefix, "10.0.0.0/28")]
    [InlineData("fd00::/64", (int)SelectorKind.Prefix, "fd00::/64")]
    [InlineData("fd00::5", (int)SelectorKind.Prefix, "fd00::5")]
    [InlineData("", (int)SelectorKind.Nobody, "")]
    [InlineData("group:", (int)SelectorKind.Nobody, "")]
    [InlineData("group:two words", (int)SelectorKind.Nobody, "")]
    [InlineData("10.0.0.5/28", (int)SelectorKind.Nobody, "")]
    [InlineData("10.0.0.500", (int)SelectorKind.Nobody, "")]
    [InlineData("-laptop", (int)SelectorKind.Nobody, "")]
    [InlineData("lap top", (int)SelectorKind.Nobody, "")]
    public void Selector_IsReadAndWritten(string text, int kind, string written)
    {
        bool isOne = RuleSelector.TryParse(text, out RuleSelector selector);
        Assert.Equal((SelectorKind)kind, selector.Kind);
        Assert.Equal(kind != (int)SelectorKind.Nobody, isOne);
        if (isOne)
            Assert.Equal(written, selector.ToString());
    }

    [Theory]
    [InlineData("22", 22, 22)]
    [InlineData("8000-8099", 8000, 8099)]
    [InlineData("0", 0, 0)]
    [InlineData("65535-65535", 65535, 65535)]
    public void Ports_AreRead(string text, int first, int last)
    {
        Assert.True(PortRange.TryParse(text, out PortRange range));
        Assert.Equal(new PortRange((ushort)first, (ushort)last), range);
        Assert.True(PortRange.TryParse(range.ToString(), out PortRange again));
        Assert.Equal(range, again);
    }

    [Theory]
    [InlineData("")]
    [InlineData("65536")]
    [InlineData("-1")]
    [InlineData("10-")]
    [InlineData("9-8")]
    [InlineData("1-2-3")]
    [InlineData(" 22")]
    [InlineData("http")]
    public void WrongPorts_AreNone(string text) => Assert.False(PortRange.TryParse(text, out _));

    [Fact]
    public void RuleOutOfItsBounds_IsRefused_WithItsNumber()
    {
        AccessRule good = RulePackets.Rule(10, "Allow Tcp 22 group:office > 10.0.0.5");
        good.Check();
        RuleSelector one = RulePackets.Selector("10.0.0.1");
        AccessRule[] wrong =
        [
            good with { Number = 0 }, good with { Number = AccessRule.HighestNumber + 1 }, good with { Number = -1 },
            good with { From = [] }, good with { To = [] },
            good with { From = [.. Enumerable.Repeat(one, AccessRule.MaximumSelectors + 1)] },
            good with { To = [.. Enumerable.Repeat(one, AccessRule.MaximumSelectors + 1)] },
            good with { Ports = [.. Enumerable.Repeat(new PortRange(1, 1), AccessRule.MaximumPortRanges + 1)] },
            good with { Protocol = RuleProtocol.Icmp }, good with { Protocol = RuleProtocol.Any },
            good with { Name = new string('x', AccessRule.LongestName + 1) },
            good with { From = [RuleSelector.Clients, one] }, good with { To = [one, RuleSelector.Everybody] },
        ];
        foreach (AccessRule rule in wrong)
        {
            LightTunnelException refused = Assert.Throws<LightTunnelException>(rule.Check);
            Assert.Equal((LightTunnelError.InvalidOption, rule.Number), (refused.Error, refused.Target));
            Assert.NotEmpty(refused.RecommendedAction);
        }
    }

    [Fact]
    public void Rule_IsEqualByValue_AndSaysItselfInOneLine()
    {
        AccessRule one = RulePackets.Rule(20, "Allow Tcp 22,443 group:office > 10.0.0.5,server");
        Assert.Equal(one, RulePackets.Rule(20, "Allow Tcp 22,443 group:office > 10.0.0.5,server"));
        Assert.NotEqual(one, one with { Ports = [] });
        Assert.Equal("20 Allow Tcp 22,443 from group:office to 10.0.0.5,server", one.ToString());
    }
}
