using LightTunnel.Diagnostics;
using LightTunnel.Membership.Store;
using LightTunnel.WireGuard;

namespace LightTunnel.Configuration;

/// <summary>
/// The facts of a network with one server, in that server's state file. Commits are written in the background; those that come while the
/// disk is busy are written as one, and answered when it has them. When it has not, the file and what can be read are as they were before:
/// nothing is tried again here, as who committed may want something else by then. Beside them are the network's keys. Disposal writes what
/// was committed and zeroes the secrets. Any thread.
/// </summary>
/// <param name="folder">The state folder.</param>
/// <param name="state">The server's state as it is there.</param>
/// <param name="log">Told once when writing fails, and when it works again.</param>
internal sealed class FileStore(StateStore folder, NodeState state, TunnelLog log) : INetworkStore, INetworkKeyStore, IDisposable
{
    private readonly Lock _gate = new();
    private readonly StateWriter _disk = new(folder, log);
    private List<(StoreCommit Commit, Action<CommitAnswer> Done)> _waiting = [];
    private (NetworkKeySet Keys, Action<string?> Done)? _keys;
    private Task _writer = Task.CompletedTask;
    private volatile NodeState _state = state;

    /// <inheritdoc/>
    public void Read(long afterRevision, Action<StoreChanges> done) => done(_state.Network.ChangesAfter(afterRevision));

    /// <inheritdoc/>
    public void Commit(StoreCommit commit, Action<CommitAnswer> done)
    {
        lock (_gate)
        {
            _waiting.Add((commit, done));
            if (_writer.IsCompleted)
                _writer = Task.Run(Write);
        }
    }

    /// <inheritdoc/>
    public void Keep(NetworkKeySet keys, Action<string?> done)
    {
        lock (_gate)
        {
            if (_keys is { } before)
                before.Done("Other keys took their place.");
            _keys = (keys, done);
            if (_writer.IsCompleted)
                _writer = Task.Run(Write);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Task writer;
        lock (_gate)
            writer = _writer;
        writer.Wait();
        _state.Dispose();
    }

    private void Write()
    {
        while (true)
        {
            List<(StoreCommit Commit, Action<CommitAnswer> Done)> commits;
            (NetworkKeySet Keys, Action<string?> Done)? keys;
            lock (_gate)
            {
                if (_waiting.Count == 0 && _keys is null)
                {
                    // Told from within the lock that this writer has ended, so that the next commit starts another.
                    _writer = Task.CompletedTask;
                    return;
                }

                (commits, _waiting) = (_waiting, []);
                (keys, _keys) = (_keys, null);
            }

            if (keys is { } kept)
                kept.Done(WriteKeys(kept.Keys));
            if (commits.Count > 0)
                WriteTogether(commits);
        }
    }

    private string? WriteKeys(NetworkKeySet keys)
    {
        NodeState changed = _state with { NetworkKeys = keys };
        if (_disk.TrySave(changed) is { } failure)
            return failure;
        _state.NetworkKeys?.ZeroOthersThan(keys);
        _state = changed;
        return null;
    }

    private void WriteTogether(List<(StoreCommit Commit, Action<CommitAnswer> Done)> commits)
    {
        StoreContents next = _state.Network;
        var answers = new List<(Action<CommitAnswer> Done, CommitAnswer Answer)>();
        bool asks = false;
        foreach ((StoreCommit commit, Action<CommitAnswer> done) in commits)
        {
            next = next.Apply(commit, out CommitAnswer answer);
            answers.Add((done, answer));
            asks |= commit.Write.Count == 0; // Whether the disk takes anything is found out by writing.
        }

        string? failure = null;
        if (asks || next != _state.Network)
        {
            NodeState changed = _state with { Network = next };
            failure = _disk.TrySave(changed);
            if (failure is null)
                _state = changed;
        }

        foreach ((Action<CommitAnswer> done, CommitAnswer answer) in answers)
            done(failure is null ? answer : CommitAnswer.Unavailable(failure));
    }
}
