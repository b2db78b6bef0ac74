using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Membership;
using LightTunnel.Membership.Store;
using LightTunnel.Tests.Membership.Store;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.Configuration;

public sealed class FileStoreTests : StoreConformanceTests, IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly TunnelLog _log = new("hub", TimeProvider.System);
    private StateStore _state;
    private FileStore _store;
    private volatile bool _isFull;
    private AtomicFileStep? _failsAt;
    private int _writes;

    public FileStoreTests() => (_state, _store) = Open();

    private protected override INetworkStore Store => _store;

    public void Dispose()
    {
        _store.Dispose();
        _state.Dispose();
        _log.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task DiskThatIsFull_TakesNothing_AndSaysSoOnce_UntilItHasRoom()
    {
        StoreCommit first = Commit([], Write("a", [1]));
        StoreExpectation asFirst = new("a", first.Version);
        await CommitAsync(first);
        _isFull = true;
        for (int i = 0; i < 2; i++)
        {
            CommitAnswer refused = await CommitAsync(Commit([asFirst], Write("a", [2])));
            Assert.Equal(CommitOutcome.Unavailable, refused.Outcome);
            Assert.Contains("No space left on device", refused.Reason, StringComparison.Ordinal);
        }

        Assert.Equal(CommitOutcome.Unavailable, (await CommitAsync(Commit([]))).Outcome);
        StoreEntry left = Assert.Single((await ReadAsync(0)).Entries);
        Assert.Equal([1], left.Value);
        Assert.Equal(CommitOutcome.Conflict, (await CommitAsync(Commit([Absent("a")], Write("a", [3])))).Outcome);

        _isFull = false;
        Assert.Equal(CommitOutcome.Applied, (await CommitAsync(Commit([asFirst], Write("a", [2])))).Outcome);
        Assert.Single(_log.Read(0, LogLevel.Error));
        Assert.Single(_log.Read(), entry => entry.Message == "The state is saved again");
    }

    [Fact]
    public async Task CommitsThatComeWhileTheDiskIsBusy_AreWrittenAsOne()
    {
        int before = Volatile.Read(ref _writes);
        using var busy = new ManualResetEventSlim();
        using var begun = new ManualResetEventSlim();
        Store.Commit(Commit([], Write("first", [1])), _ =>
        {
            begun.Set();
            busy.Wait(TestContext.Current.CancellationToken);
        });
        begun.Wait(TestContext.Current.CancellationToken);
        Task<CommitAnswer>[] more = [.. Enumerable.Range(0, 20).Select(number => CommitAsync(Commit([], Write($"{number}", [1]))))];
        busy.Set();
        CommitAnswer[] answers = await Task.WhenAll(more);

        Assert.All(answers, answer => Assert.Equal(CommitOutcome.Applied, answer.Outcome));
        Assert.Equal(2, Volatile.Read(ref _writes) - before);
    }

    /// <summary>
    /// The network's keys and its facts are in one file: a process that is ended at any moment leaves the ones of before or those of after,
    /// and what was committed in between is there with either.
    /// </summary>
    [Theory]
    [InlineData(null)]
    [InlineData(nameof(AtomicFileStep.Create))]
    [InlineData(nameof(AtomicFileStep.Flush))]
    [InlineData(nameof(AtomicFileStep.Rename))]
    [InlineData(nameof(AtomicFileStep.FlushFolder))]
    public async Task Keys_AreKeptWholeOrNotAtAll_WhereverTheWriteIsCutShort(string? at)
    {
        AtomicFileStep? step = at is null ? null : Enum.Parse<AtomicFileStep>(at);
        byte[] former = [.. Enumerable.Repeat((byte)1, 32)], next = [.. Enumerable.Repeat((byte)2, 32)];
        var before = new NetworkKeySet { Key = [.. former] };
        Assert.Null(await KeepAsync(before));
        await CommitAsync(Commit([], Write("a", [1])));

        _failsAt = step;
        string? failure = await KeepAsync(before.Follow(next, 7, DateTimeOffset.UnixEpoch, TimeSpan.FromDays(1)));
        Assert.Equal(step is null, failure is null);
        _failsAt = null;
        // Ended without a further write, as by a kill.
        _state.Dispose();
        (_state, _store) = Open();

        NodeState found = _state.Load(TunnelRole.Server)!;
        bool isChanged = step is null or AtomicFileStep.FlushFolder;
        Assert.Equal(isChanged ? next : former, found.NetworkKeys!.Key);
        Assert.Equal(isChanged ? [former] : [], found.NetworkKeys.Former.Select(key => key.Key));
        Assert.Equal("a", Assert.Single(found.Network.Entries).Key);

        await CommitAsync(Commit([], Write("b", [1])));
        Reopen();
        Assert.Equal(isChanged ? next : former, _state.Load(TunnelRole.Server)!.NetworkKeys!.Key);
    }

    /// <summary>What no key of now has is zeroed, in memory too, and not before it is off the disk.</summary>
    [Fact]
    public async Task Keys_ThatAreLetGo_AreZeroed_OnceTheyAreOffTheDisk()
    {
        var before = new NetworkKeySet { Key = [.. Enumerable.Repeat((byte)1, 32)] };
        await KeepAsync(before);
        NetworkKeySet next = before.Follow([.. Enumerable.Repeat((byte)2, 32)], 7, DateTimeOffset.UnixEpoch, TimeSpan.Zero);
        _isFull = true;
        Assert.NotNull(await KeepAsync(next));
        Assert.Equal(1, before.Key[0]);
        _isFull = false;
        Assert.Null(await KeepAsync(next));
        Assert.All(before.Key, value => Assert.Equal(0, value));
        Assert.Equal(2, next.Key[0]);
        string written = await File.ReadAllTextAsync(_state.FilePath, TestContext.Current.CancellationToken);
        Assert.DoesNotContain(
            Convert.ToBase64String([.. Enumerable.Repeat((byte)1, 32)]), written, StringComparison.Ordinal);
    }

    [Fact]
    public void Disposal_WritesWhatWasCommitted_AndZeroesTheSecrets()
    {
        _store.Commit(Commit([], Write("last", [1])), _ => { });
        Reopen();
        Assert.Equal("last", Assert.Single(_state.Load(TunnelRole.Server)!.Network.Entries).Key);
    }

    [Fact]
    public void Disposal_WhileTheDiskIsFull_Ends()
    {
        _isFull = true;
        CommitAnswer? answer = null;
        _store.Commit(Commit([], Write("last", [1])), given => answer = given);
        _store.Dispose();
        Assert.Equal(CommitOutcome.Unavailable, answer!.Outcome);
    }

    private protected override INetworkStore Reopen()
    {
        _store.Dispose();
        _state.Dispose();
        (_state, _store) = Open();
        return _store;
    }

    private async Task<string?> KeepAsync(NetworkKeySet keys)
    {
        var kept = new TaskCompletionSource<string?>(TaskCreationOptions.RunContinuationsAsynchronously);
        _store.Keep(keys, kept.SetResult);
        return await kept.Task.WaitAsync(TimeSpan.FromMinutes(2), TestContext.Current.CancellationToken);
    }

    private (StateStore State, FileStore Store) Open()
    {
        StateStore state = StateStore.Open(_folder.File("s"), step =>
        {
            if (step == AtomicFileStep.Create)
                Interlocked.Increment(ref _writes);
            if ((step == AtomicFileStep.Flush && _isFull) || step == _failsAt)
                throw new IOException("No space left on device");
        });
        return (state, new FileStore(
            state, state.Load(TunnelRole.Server) ?? new NodeState { Role = TunnelRole.Server, PrivateKey = new byte[32] }, _log));
    }
}
