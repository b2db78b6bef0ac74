using LightTunnel.Internet.Fakes;
using LightTunnel.Membership.Store;
using Xunit;

namespace LightTunnel.Tests.Membership.Store;

public sealed class MemoryStoreTests : StoreConformanceTests
{
    private readonly MemoryStore _store = new();

    private protected override INetworkStore Store => _store;

    private protected override INetworkStore Reopen() =>
        new MemoryStore(StoreContents.Restore(_store.Contents.Entries, _store.Contents.Revision));

    [Fact]
    public async Task Faults_AreWhatWasAskedFor()
    {
        StoreCommit commit = Commit([Absent("a")], Write("a", [1]));
        _store.Fault = _ => StoreFault.CommitLost;
        Assert.Equal(CommitOutcome.Unknown, (await CommitAsync(commit)).Outcome);
        Assert.Equal(0, _store.Contents.Revision);
        _store.Fault = _ => StoreFault.AnswerLost;
        Assert.Equal(CommitOutcome.Unknown, (await CommitAsync(commit)).Outcome);
        Assert.Equal(1, _store.Contents.Revision);
        _store.Fault = null;
        CommitAnswer again = await CommitAsync(commit);
        Assert.Equal((CommitOutcome.Applied, 1L), (again.Outcome, again.Revision));

        _store.Failure = "down";
        CommitAnswer down = await CommitAsync(Commit([]));
        Assert.Equal((CommitOutcome.Unavailable, "down"), (down.Outcome, down.Reason));
        Assert.Equal("down", (await ReadAsync(0)).Failure);
    }

    [Fact]
    public async Task Slow_AnswersWhenItIsToldTo()
    {
        _store.IsSlow = true;
        Task<CommitAnswer> answer = CommitAsync(Commit([Absent("a")], Write("a", [1])));
        Assert.Equal((false, 1), (answer.IsCompleted, _store.Waiting));
        _store.Release();
        Assert.Equal(CommitOutcome.Applied, (await answer).Outcome);
    }
}
