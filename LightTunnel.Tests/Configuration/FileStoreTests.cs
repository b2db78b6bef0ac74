using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Membership;
using LightTunnel.Membership.Store;
using LightTunnel.Tests.Membership.Store;
using Xunit;

namespace LightTunnel.Tests.Configuration;

public sealed class FileStoreTests : StoreConformanceTests, IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly TunnelLog _log = new("hub", TimeProvider.System);
    private StateStore _state;
    private FileStore _store;
    private volatile bool _isFull;
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

    private (StateStore State, FileStore Store) Open()
    {
        StateStore state = StateStore.Open(_folder.File("s"), step =>
        {
            if (step == AtomicFileStep.Create)
                Interlocked.Increment(ref _writes);
            if (step == AtomicFileStep.Flush && _isFull)
                throw new IOException("No space left on device");
        });
        return (state, new FileStore(
            state, state.Load(TunnelRole.Server) ?? new NodeState { Role = TunnelRole.Server, PrivateKey = new byte[32] }, _log));
    }
}
