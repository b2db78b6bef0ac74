using LightTunnel.Membership.Store;

namespace LightTunnel.Internet.Fakes;

/// <summary>What happens to a commit at a store that has trouble.</summary>
internal enum StoreFault
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>It is refused.</summary>
    Unavailable,

    /// <summary>It is made, but the answer is lost.</summary>
    AnswerLost,

    /// <summary>It is lost on its way there.</summary>
    CommitLost,
}

/// <summary>
/// A store in memory: answers within the call, or when it is told to, with the faults that it is told
/// to have. Owned by one thread.
/// </summary>
/// <param name="contents">What is in it from the beginning.</param>
internal sealed class MemoryStore(StoreContents? contents = null) : INetworkStore
{
    private readonly Queue<Action> _waiting = new();

    /// <summary>
    /// What is in the store. Set to what was in it earlier, the commits since then are lost, as when a standby that was behind takes a
    /// database's place.
    /// </summary>
    public StoreContents Contents { get; set; } = contents ?? StoreContents.Empty;

    /// <summary>What happens to each commit; nothing when null.</summary>
    public Func<StoreCommit, StoreFault>? Fault { get; set; }

    /// <summary>Why the store can be neither read nor written; null when it can.</summary>
    public string? Failure { get; set; }

    /// <summary>True when calls wait for <see cref="Release"/>.</summary>
    public bool IsSlow { get; set; }

    /// <summary>Calls that wait.</summary>
    public int Waiting => _waiting.Count;

    /// <summary>Commits that were sent here, those that came to nothing included.</summary>
    public int Commits { get; private set; }

    /// <inheritdoc/>
    public void Read(long afterRevision, Action<StoreChanges> done) =>
        Do(() => done(Failure is { } failure ? StoreChanges.Unavailable(failure) : Contents.ChangesAfter(afterRevision)));

    /// <inheritdoc/>
    public void Commit(StoreCommit commit, Action<CommitAnswer> done)
    {
        Commits++;
        Do(() => done(Answer(commit)));
    }

    /// <summary>Does what was asked for and waited.</summary>
    public void Release()
    {
        for (int left = _waiting.Count; left > 0; left--)
            _waiting.Dequeue()();
    }

    private CommitAnswer Answer(StoreCommit commit)
    {
        StoreFault fault = Fault?.Invoke(commit) ?? StoreFault.None;
        if (Failure is { } failure)
            return CommitAnswer.Unavailable(failure);
        if (fault == StoreFault.Unavailable)
            return CommitAnswer.Unavailable("It takes nothing at present.");
        if (fault == StoreFault.CommitLost)
            return CommitAnswer.Unknown("Nothing was heard of it.");
        Contents = Contents.Apply(commit, out CommitAnswer answer);
        return fault == StoreFault.AnswerLost ? CommitAnswer.Unknown("Nothing was heard of it.") : answer;
    }

    private void Do(Action work)
    {
        if (IsSlow)
            _waiting.Enqueue(work);
        else
            work();
    }
}
