using LightTunnel.Management;
using Xunit;

namespace LightTunnel.Tests.Management;

public sealed class PipeAccessTests
{
    private const string User = "S-1-5-21-1-2-3-1001", Stranger = "S-1-5-21-1-2-3-1002";
    private const string Administrators = "S-1-5-32-544", LocalSystem = "S-1-5-18";

    [Fact]
    public void Pipe_OfAnElevatedProcess_BelongsToAdministrators_AndItsUserMayOnlyConnect() =>
        Assert.Equal(
            $"O:BAD:P(A;;0x1f019f;;;SY)(A;;0x1f019f;;;BA)(A;;0x12019b;;;{User})", PipeAccess.Describe(User, isAdministrator: true));

    [Fact]
    public void Pipe_OfAnotherProcess_IsItsUsersOwn() =>
        Assert.Equal(
            $"O:{User}D:P(A;;0x1f019f;;;SY)(A;;0x1f019f;;;BA)(A;;0x1f019f;;;{User})", PipeAccess.Describe(User, isAdministrator: false));

    [Theory]
    [InlineData(Administrators, true, true)]
    [InlineData(LocalSystem, true, true)]
    [InlineData(User, true, false)] // Made by a program of the same user that is not elevated.
    [InlineData(Stranger, true, false)]
    [InlineData(null, true, false)]
    [InlineData(Administrators, false, true)]
    [InlineData(LocalSystem, false, true)]
    [InlineData(User, false, true)]
    [InlineData(Stranger, false, false)]
    public void Owner_IsTrusted_IfNobodyWithLessRightsCouldBeIt(string? owner, bool isAdministrator, bool expected) =>
        Assert.Equal(expected, PipeAccess.IsTrusted(owner, User, isAdministrator));
}
