using LightTunnel.Access;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Tests.Management;
using LightTunnel.Tests.Membership;
using Xunit;

namespace LightTunnel.Tests.Configuration;

/// <summary>Access rules as a file: what is written is read back, and what is wrong is named with its line.</summary>
public sealed class RuleFileTests
{
    [Fact]
    public void Rules_AreReadAsTheyWereWritten_AndWrittenAsTheyWereRead()
    {
        RuleStatus odd = FakeTunnel.SampleRules[0] with
        {
            Number = 999, Name = "\"quoted\" \\ ä: - #", From = ["fd00::5", "fd00::/64", "*"],
        };
        RuleStatus[] rules = [.. FakeTunnel.SampleRules, odd];
        string text = RuleFile.Write("office", [.. rules, FakeTunnel.SampleRules[0] with { Number = 0 }]);
        IReadOnlyList<RuleSpec> read = RuleFile.Parse("rules.yaml", text);
        Assert.Equal(rules.Length, read.Count);
        for (int i = 0; i < rules.Length; i++)
        {
            Assert.Equal(
                (rules[i].Number, rules[i].Name, rules[i].Protocol, rules[i].Action, rules[i].Enabled),
                (read[i].Number, read[i].Name, read[i].Protocol, read[i].Action, read[i].Enabled));
            Assert.Equal(rules[i].From, read[i].From);
            Assert.Equal(rules[i].To, read[i].To);
            Assert.Equal(rules[i].Ports, read[i].Ports);
        }

        Assert.Equal("rules.yaml, line 3", read[0].Origin);
        Assert.Equal("""
            # Access rules of office: the first that fits decides; where none does, all is allowed.
            rules:
              - number: 10
                name: "ssh of the office"
                from: ["group:office"]
                to: ["group:servers", "10.0.0.5"]
                protocol: Tcp
                ports: [22, 443, 8000-8099]
                action: Allow
              - number: 15
                from: ["clients"]
                to: ["*"]
                protocol: Icmp
                action: Allow
                enabled: false
              - number: 20
                from: ["*"]
                to: ["group:servers"]
                action: Deny

            """.ReplaceLineEndings("\n"), RuleFile.Write("office", FakeTunnel.SampleRules));
        Assert.Empty(RuleFile.Parse("rules.yaml", RuleFile.Write("office", [])));
    }

    [Theory]
    [InlineData("rules:\n  - number: 10\n    from: [a]\n    to: [b]\n", 2, "'action'")]
    [InlineData("rules:\n  - number: 10\n    from: [a]\n    to: [b]\n    action: Permit\n", 5, "'Permit'")]
    [InlineData("rules:\n  - number: 10\n    from: [a]\n    to: [b]\n    action: 1\n", 5, "'1'")]
    [InlineData("rules:\n  - number: 0\n    from: [a]\n    to: [b]\n    action: Allow\n", 2, "number")]
    [InlineData("rules:\n  - from: [a]\n    to: [b]\n    action: Allow\n", 2, "number")]
    [InlineData("rules:\n  - number: 10\n    from: [a, 10.0.0.1/24]\n    to: [b]\n    action: Allow\n", 3, "'10.0.0.1/24'")]
    [InlineData("rules:\n  - number: 10\n    from: [a]\n    action: Allow\n", 2, "'to'")]
    [InlineData("rules:\n  - number: 10\n    from: [a]\n    to: [b]\n    ports: [http]\n    action: Allow\n", 5, "'http'")]
    [InlineData("rules:\n  - number: 10\n    from: [a]\n    to: [b]\n    acton: Allow\n", 5, "'acton'")]
    [InlineData("rules:\n  - number: 10\n    number: 11\n    from: [a]\n    to: [b]\n    action: Allow\n", 3, "'number' twice")]
    [InlineData("rules:\n  - {number: 1, from: a, to: b, action: Deny}\n  - {number: 1, from: a, to: b, action: Deny}\n", 3, "two rules 1")]
    [InlineData("rules:\n  - {number: 1, from: a, to: b, action: Deny, enabled: maybe}\n", 2, "'maybe'")]
    [InlineData("roles: []\n", 1, "'roles'")]
    [InlineData("rules: [\n", 2, "")]
    [InlineData("", 1, "")]
    [InlineData("rules:\n  - &a {number: 1, from: x, to: y, action: Deny}\n  - *a\n", 3, "")]
    public void WrongFile_IsRefused_WithItsLine(string text, int line, string culprit)
    {
        LightTunnelException refused = Assert.Throws<LightTunnelException>(() => RuleFile.Parse("/etc/rules.yaml", text));
        Assert.DoesNotContain("..", refused.Message, StringComparison.Ordinal);
        Assert.Equal(LightTunnelError.InvalidConfiguration, refused.Error);
        Assert.StartsWith($"rules.yaml, line {line}: ", refused.Message, StringComparison.Ordinal);
        Assert.Contains(culprit, refused.Message, StringComparison.Ordinal);
        Assert.NotEmpty(refused.RecommendedAction);
    }

    [Fact]
    public void FileOfHostileBytes_IsReadOrRefused_AndNothingElse()
    {
        byte[] good = System.Text.Encoding.UTF8.GetBytes(RuleFile.Write("office", FakeTunnel.SampleRules));
        var mutator = new ByteMutator(Fuzz.Seed(11));
        int read = 0;
        for (int i = 0; i < Fuzz.Count(3_000); i++)
        {
            try
            {
                RuleFile.Parse("rules.yaml", System.Text.Encoding.UTF8.GetString(mutator.Mutate(good)));
                read++;
            }
            catch (LightTunnelException refused)
            {
                Assert.Equal(LightTunnelError.InvalidConfiguration, refused.Error);
            }
        }

        Assert.InRange(read, 1, Fuzz.Count(3_000) - 1);
    }
}
