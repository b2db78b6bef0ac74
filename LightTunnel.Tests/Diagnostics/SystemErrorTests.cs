using LightTunnel.Diagnostics;
using Xunit;

namespace LightTunnel.Tests.Diagnostics;

public sealed class SystemErrorTests
{
    [Theory]
    [InlineData("The parameter is incorrect.", "The parameter is incorrect (error 87)")]
    [InlineData("Falscher Parameter.\r\n", "Falscher Parameter (error 87)")]
    [InlineData("Unknown error (0x57)", "error 87")]
    [InlineData("Unknown error 87", "error 87")]
    [InlineData("", "error 87")]
    public void Describe_IsPartOfASentence_AndSaysNothingTwice(string message, string expected) =>
        Assert.Equal(expected, SystemError.Describe(87, message));

    [Fact]
    public void Describe_NumberOfNoError_IsTheNumberAlone() => Assert.Equal("error 99999", SystemError.Describe(99999));
}
