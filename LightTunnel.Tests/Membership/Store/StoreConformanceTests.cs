using System.Collections.Concurrent;
using LightTunnel.Membership.Store;
using Xunit;

namespace LightTunnel.Tests.Membership.Store;

/// <summary>What every store promises, whatever it keeps its entries in.</summary>
public abstract class StoreConformanceTests
{
    private static readonly byte[] One = [1];
    private static readonly byte[] Two = [2];

    private protected abstract INetworkStore Store { get; }

    /// <summary>The same facts, by a store that was opened anew.</summary>
    private protected abstract INetworkStore Reopen();

    [Fact]
    public async Task Read_NothingWritten_IsEmpty()
    {
        StoreChanges changes = await ReadAsync(0);
        Assert.Equal((0L, null), (changes.Revision, changes.Failure));
        Assert.Empty(changes.Entries);
    }

    [Fact]
    public async Task Commit_AllAsExpected_MakesTheNextRevision()
    {
        StoreCommit first = Commit([Absent("a"), Absent("b")], Write("a", One), Write("b", Two));
        Assert.Equal(1, await AppliedAsync(first));
        Assert.Equal(2, await AppliedAsync(Commit([new("a", first.Version)], Write("a", Two))));

        StoreChanges all = await ReadAsync(0);
        Assert.Equal(2, all.Revision);
        Assert.Equal([("b", "02", 1L), ("a", "02", 2L)], all.Entries.Select(Text));
    }

    [Fact]
    public async Task Commit_AnythingNotAsExpected_ChangesNothing_AndTellsWhatIsThere()
    {
        StoreCommit first = Commit([], Write("a", One));
        await AppliedAsync(first);
        await AppliedAsync(Commit([], Write("b", One)));

        CommitAnswer answer = await CommitAsync(
            Commit([new("a", first.Version), Absent("b"), new("c", 1), Absent("d")], Write("a", Two), Write("d", Two)));

        Assert.Equal(CommitOutcome.Conflict, answer.Outcome);
        Assert.Equal([("b", "01", 2L), ("c", null, 0)], answer.Conflicts.Select(Text));
        Assert.Equal(StoreExpectation.Absent, answer.Conflicts[1].Version);
        StoreChanges all = await ReadAsync(0);
        Assert.Equal([("a", "01", 1L), ("b", "01", 2L)], all.Entries.Select(Text));
        Assert.Equal(2, all.Revision);
    }

    [Fact]
    public async Task Commit_OfAKeyThatWasDeleted_FindsItAbsent_AndGivesItAnotherVersion()
    {
        StoreCommit first = Commit([Absent("a")], Write("a", One));
        StoreExpectation asFirst = new("a", first.Version);
        await AppliedAsync(first);
        await AppliedAsync(Commit([asFirst], Write("a", null)));
        Assert.Equal(CommitOutcome.Conflict, (await CommitAsync(Commit([asFirst], Write("a", Two)))).Outcome);
        Assert.Equal(3, await AppliedAsync(Commit([Absent("a")], Write("a", One))));

        Assert.Equal(CommitOutcome.Conflict, (await CommitAsync(Commit([asFirst], Write("a", Two)))).Outcome);
        Assert.Equal([("a", "01", 3L)], (await ReadAsync(0)).Entries.Select(Text));
    }

    [Fact]
    public async Task Commit_SentAgainUnderItsId_IsMadeOnce()
    {
        StoreCommit commit = Commit([Absent("a")], Write("a", One));
        Assert.Equal(1, await AppliedAsync(commit));
        await AppliedAsync(Commit([new("a", commit.Version)], Write("a", Two)));

        Assert.Equal(1, await AppliedAsync(commit));
        Assert.Equal([("a", "02", 2L)], (await ReadAsync(0)).Entries.Select(Text));
    }

    [Fact]
    public async Task Commit_WithNothingToWrite_AsksAndMakesNoRevision()
    {
        await AppliedAsync(Commit([], Write("a", One)));
        Assert.Equal(CommitOutcome.Applied, (await CommitAsync(Commit([]))).Outcome);
        Assert.Equal(1, (await ReadAsync(0)).Revision);
    }

    [Fact]
    public async Task Read_AfterARevision_TellsWhatChangedSince_DeletionsToo()
    {
        await AppliedAsync(Commit([], Write("a", One), Write("b", One), Write("c", One)));
        long known = (await ReadAsync(0)).Revision;
        await AppliedAsync(Commit([], Write("c", Two)));
        await AppliedAsync(Commit([], Write("b", null), Write("never", null)));

        StoreChanges since = await ReadAsync(known);
        Assert.False(since.IsWhole);
        Assert.Equal([("c", "02", 2L), ("b", null, 3L)], since.Entries.Select(Text));
        Assert.Empty((await ReadAsync(since.Revision)).Entries);
    }

    [Fact]
    public async Task Read_MoreDeletionsThanAreRemembered_TellsEverything()
    {
        for (int i = 0; i < 2; i++)
        {
            StoreWrite[] many = [.. Enumerable.Range(0, StoreContents.MostDeletions).Select(number => Write($"{i}/{number}", One))];
            await AppliedAsync(Commit([], many));
            await AppliedAsync(Commit([], [.. many.Select(write => Write(write.Key, null))]));
        }

        Assert.True((await ReadAsync(1)).IsWhole);
        Assert.Empty((await ReadAsync(1)).Entries);
        StoreChanges since = await ReadAsync(3);
        Assert.False(since.IsWhole);
        Assert.Equal(StoreContents.MostDeletions, since.Entries.Count);
    }

    [Fact]
    public async Task Read_AheadOfTheStore_TellsEverything()
    {
        await AppliedAsync(Commit([], Write("a", One)));
        StoreChanges whole = await ReadAsync(7);
        Assert.True(whole.IsWhole);
        Assert.Equal((1L, 1), (whole.Revision, whole.Entries.Count));
    }

    [Fact]
    public async Task Reopened_HasWhatWasApplied_AndGoesOn()
    {
        StoreCommit first = Commit([], Write("a", One), Write("b", One));
        await AppliedAsync(first);
        await AppliedAsync(Commit([], Write("b", null)));
        INetworkStore again = Reopen();

        Assert.Equal([("a", "01", 1L)], (await ReadAsync(0, again)).Entries.Select(Text));
        Assert.Equal(3, (await CommitAsync(Commit([new("a", first.Version), Absent("b")], Write("a", Two)), again)).Revision);
    }

    [Fact]
    public async Task Replica_OfAnyHistory_IsTheStore()
    {
        var random = new Random(5);
        var replica = new StoreReplica();
        for (int round = 0; round < 60; round++)
        {
            StoreWrite[] writes = [.. Enumerable.Range(0, random.Next(1, 4))
                .Select(_ => Write($"{random.Next(12)}", random.Next(3) == 0 ? null : [(byte)random.Next(9)]))
                .DistinctBy(write => write.Key)];
            StoreCommit commit = Commit([.. writes.Select(write => replica.Expect(write.Key))], writes);
            CommitAnswer answer = await CommitAsync(commit);
            if (answer.Outcome == CommitOutcome.Applied)
                replica.Apply(commit, answer.Revision);
            if (random.Next(3) == 0)
                await CommitAsync(Commit([], Write($"{random.Next(12)}", One))); // Another server's.
            if (answer.Outcome == CommitOutcome.Conflict || random.Next(5) == 0)
                replica.Apply(await ReadAsync(replica.Revision));
        }

        replica.Apply(await ReadAsync(replica.Revision));
        StoreChanges all = await ReadAsync(0);
        Assert.Equal(all.Revision, replica.Revision);
        Assert.All(
            Enumerable.Range(0, 12),
            key => Assert.Equal(all.Entries.SingleOrDefault(entry => entry.Key == $"{key}")?.Value, replica.Find($"{key}")));
    }

    [Fact]
    public async Task Commits_OfManyAtOnce_ForOneKey_AreGrantedOnce()
    {
        var answers = new ConcurrentBag<CommitAnswer>();
        using var all = new CountdownEvent(50);
        for (int i = 0; i < 50; i++)
        {
            Store.Commit(Commit([Absent("a/10.0.0.2"), Absent($"m/{i}")], Write("a/10.0.0.2", [(byte)i]), Write($"m/{i}", One)), answer =>
            {
                answers.Add(answer);
                all.Signal();
            });
        }

        await Task.Run(() => all.Wait(TestContext.Current.CancellationToken), TestContext.Current.CancellationToken);
        Assert.Single(answers, answer => answer.Outcome == CommitOutcome.Applied);
        Assert.Equal(2, (await ReadAsync(0)).Entries.Count);
    }

    private protected static StoreExpectation Absent(string key) => new(key, StoreExpectation.Absent);

    private protected static StoreWrite Write(string key, byte[]? value) => new(key, value);

    private protected static StoreCommit Commit(StoreExpectation[] expect, params StoreWrite[] writes) =>
        new(Guid.NewGuid(), expect, writes);

    private protected async Task<CommitAnswer> CommitAsync(StoreCommit commit, INetworkStore? store = null)
    {
        var done = new TaskCompletionSource<CommitAnswer>(TaskCreationOptions.RunContinuationsAsynchronously);
        (store ?? Store).Commit(commit, done.SetResult);
        return await done.Task.WaitAsync(TestContext.Current.CancellationToken);
    }

    private protected async Task<StoreChanges> ReadAsync(long afterRevision, INetworkStore? store = null)
    {
        var done = new TaskCompletionSource<StoreChanges>(TaskCreationOptions.RunContinuationsAsynchronously);
        (store ?? Store).Read(afterRevision, done.SetResult);
        return await done.Task.WaitAsync(TestContext.Current.CancellationToken);
    }

    private async Task<long> AppliedAsync(StoreCommit commit)
    {
        CommitAnswer answer = await CommitAsync(commit);
        Assert.Equal(CommitOutcome.Applied, answer.Outcome);
        return answer.Revision;
    }

    private static (string Key, string? Value, long Revision) Text(StoreEntry entry) =>
        (entry.Key, entry.Value is null ? null : Convert.ToHexString(entry.Value), entry.Revision);
}
