namespace LightTunnel.Membership.Store;

/// <summary>
/// Where a network's facts last: the one thing that servers of a network share. It knows entries, not what they mean. Every commit that
/// writes makes the next revision, and commits take effect one after the other. Neither call waits, and nothing is ever answered twice; an
/// answer may come on any thread, within the call too, so that whoever owns state posts it to the loop that does.
/// </summary>
internal interface INetworkStore
{
    /// <summary>Before the first revision: what to read after when all is wanted.</summary>
    const long Everything = -1;

    /// <summary>Reads what changed.</summary>
    /// <param name="afterRevision">The revision of the reader's replica, or <see cref="Everything"/>.</param>
    /// <param name="done">Takes the answer.</param>
    void Read(long afterRevision, Action<StoreChanges> done);

    /// <summary>Makes a change, if all is as expected. Applied is said when it is where it outlasts the process and the power.</summary>
    /// <param name="commit">The change.</param>
    /// <param name="done">Takes the answer.</param>
    void Commit(StoreCommit commit, Action<CommitAnswer> done);
}
