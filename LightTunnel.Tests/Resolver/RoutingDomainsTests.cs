using LightTunnel.Resolver;
using Xunit;

namespace LightTunnel.Tests.Resolver;

/// <summary>A server says which suffixes it answers, and may want more than is its.</summary>
public sealed class RoutingDomainsTests
{
    [Theory]
    [InlineData("office.lt", "office.lt")]
    [InlineData("Corp.Example.", "corp.example")]
    [InlineData("0.10.in-addr.arpa", "0.10.in-addr.arpa")]
    [InlineData("d.f.ip6.arpa", "d.f.ip6.arpa")]
    [InlineData("xn--bcher-kva.example", "xn--bcher-kva.example")]
    public void Suffix_IsTaken(string wanted, string taken)
    {
        var problems = new List<string>();
        Assert.Equal([taken], RoutingDomains.Allowed(Scope(wanted, wanted), problems));
        Assert.Empty(problems);
    }

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("com")]
    [InlineData("lt.")]
    [InlineData("arpa")]
    [InlineData("in-addr.arpa")]
    [InlineData("ip6.arpa")]
    [InlineData("office..lt")]
    [InlineData("~office.lt")]
    [InlineData("-office.lt")]
    [InlineData("office-.lt")]
    [InlineData("off ice.lt")]
    [InlineData("office.lt\nnameserver 6.6.6.6")]
    [InlineData("bücher.example")]
    [InlineData("*.example.com")]
    public void HostileSuffix_IsLeftOut_AndTheOthersAreTaken(string wanted)
    {
        var problems = new List<string>();
        Assert.Equal(["office.lt"], RoutingDomains.Allowed(Scope(wanted, "office.lt"), problems));
        Assert.DoesNotContain('\n', Assert.Single(problems));
    }

    [Fact]
    public void LongOnes_AndTooMany_AreLeftOut()
    {
        var problems = new List<string>();
        string[] wanted = [.. Enumerable.Range(0, 70).Select(i => $"n{i}.lt"), new string('a', 64) + ".lt",
            string.Join('.', Enumerable.Repeat("abcdefg", 40))];
        Assert.Equal(RoutingDomains.Most, RoutingDomains.Allowed(Scope(wanted), problems).Count);
        Assert.Equal(3, problems.Count);
    }

    private static ResolverScope Scope(params string[] domains) => new("lt0", [LoopbackServers.At(0)], domains, AllNames: false);
}
