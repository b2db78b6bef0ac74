using System.Runtime.Versioning;
using LightTunnel.Engine.Client;
using Xunit;

namespace LightTunnel.Tests.Engine;

/// <summary>
/// What others say their addresses are lies in the local network, and nobody is there: the probes that go there hold up nothing else.
/// </summary>
[SupportedOSPlatform("linux")]
public sealed class AbsentCandidateTests : IDisposable
{
    private readonly LocalLan? _lan = OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess ? new LocalLan() : null;

    public void Dispose() => _lan?.Dispose();

    [Fact]
    public async Task MemberThatNamesOneAbsentNeighbourAfterAnother_StallsNobody()
    {
        Assert.SkipUnless(_lan is not null, "needs root");
        LanNode alice = _lan.AddClient("alice");
        await LocalLan.JoinedAsync(alice);
        TimeSpan calm = await LocalLan.PingAsync(alice, _lan.Server, 10);
        int limit = alice.Transport.SendQueue.Bytes;

        LanNode mallory = _lan.AddClient("mallory");
        await LocalLan.JoinedAsync(mallory);
        using var done = new CancellationTokenSource();
        Task attack = NameAbsentNeighboursAsync(mallory, done.Token);
        await LocalLan.UntilAsync(() => LocalLan.CountAbsent(_lan.OtherSpace) > 20);
        TimeSpan attacked = await LocalLan.PingAsync(alice, _lan.Server, 30);
        await done.CancelAsync();
        await attack;

        TestContext.Current.SendDiagnosticMessage(
            $"slowest ping: {calm.TotalMilliseconds:F1} ms, {attacked.TotalMilliseconds:F1} ms in the attack");
        Assert.Equal(0, ((ClientRole)alice.Node.Role).Reconnects);
        Assert.Equal(limit, alice.Transport.SendQueue.Bytes);
    }

    [Fact]
    public async Task ManyMembersFromHomesOfTheSamePrefix_Join_AndStallNobody()
    {
        Assert.SkipUnless(_lan is not null, "needs root");
        LanNode alice = _lan.AddClient("alice");
        await LocalLan.JoinedAsync(alice);
        TimeSpan calm = await LocalLan.PingAsync(alice, _lan.Server, 10);

        LanNode[] others =
            [.. Enumerable.Range(0, 27)
                .Select(number => _lan.AddClient($"home-{number}", $"10.77.0.{100 + number}", $"10.77.0.{150 + number}"))];
        TimeSpan joining = await LocalLan.PingAsync(alice, _lan.Server, 20);
        foreach (LanNode other in others)
            await LocalLan.JoinedAsync(other);
        await LocalLan.UntilAsync(() => LocalLan.CountAbsent(_lan.OtherSpace) > 20);
        TimeSpan joined = await LocalLan.PingAsync(alice, _lan.Server, 20);

        TestContext.Current.SendDiagnosticMessage(
            $"slowest ping: {calm.TotalMilliseconds:F1} ms, {joining.TotalMilliseconds:F1} ms while others join, "
                + $"{joined.TotalMilliseconds:F1} ms afterwards");
        Assert.Equal(0, ((ClientRole)alice.Node.Role).Reconnects);
    }

    /// <summary>Eight others each time, which all members are told of and try.</summary>
    private static async Task NameAbsentNeighboursAsync(LanNode mallory, CancellationToken done)
    {
        for (int round = 0; !done.IsCancellationRequested; round++)
        {
            mallory.Addresses.Replace(Enumerable.Range(0, 8).Select(i => $"10.77.0.{50 + (((round * 8) + i) % 200)}"));
            await Task.Delay(200, CancellationToken.None);
        }
    }
}
