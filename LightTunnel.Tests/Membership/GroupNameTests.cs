using LightTunnel.Diagnostics;
using LightTunnel.Membership;
using Xunit;

namespace LightTunnel.Tests.Membership;

/// <summary>Names of groups: as people write them and as they are kept.</summary>
public sealed class GroupNameTests
{
    [Theory]
    [InlineData("office", "office")]
    [InlineData(" Office ", "office")]
    [InlineData("2nd.floor_a-b", "2nd.floor_a-b")]
    public void Name_IsKeptInLowerCase(string written, string kept)
    {
        Assert.Equal(kept, GroupName.Read(written));
        Assert.True(GroupName.IsValid(kept));
    }

    [Theory]
    [InlineData("")]
    [InlineData(" ")]
    [InlineData("-a")]
    [InlineData("a b")]
    [InlineData("a,b")]
    [InlineData("group:office")]
    [InlineData("büro")]
    [InlineData("a\nb")]
    public void WhatIsNoName_IsAnErrorThatRepeatsIt(string written)
    {
        LightTunnelException error = Assert.Throws<LightTunnelException>(() => GroupName.Read(written));
        Assert.Equal((LightTunnelError.InvalidName, (object)written), (error.Error, error.Target));
        Assert.Contains("letters, digits", error.RecommendedAction, StringComparison.Ordinal);
        Assert.False(GroupName.IsValid(written));
    }

    [Fact]
    public void LongestName_Is64Characters()
    {
        Assert.True(GroupName.IsValid(new string('a', 64)));
        Assert.False(GroupName.IsValid(new string('a', 65)));
        Assert.False(GroupName.IsValid("Office"));
    }

    [Fact]
    public void Groups_AreKeptOnceEach_InOrder_UpToSixteen()
    {
        Assert.Equal(["a", "office"], GroupName.Read(["Office", "a", "office"]));
        string[] many = [.. Enumerable.Range(0, 16).Select(i => $"g{i:00}")];
        Assert.Equal(many, GroupName.Read(many));
        LightTunnelException error = Assert.Throws<LightTunnelException>(() => GroupName.Read([.. many, "more"]));
        Assert.Contains("17", error.Message, StringComparison.Ordinal);
    }
}
