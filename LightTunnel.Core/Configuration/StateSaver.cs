using LightTunnel.Diagnostics;

namespace LightTunnel.Configuration;

/// <summary>
/// Writes a node's changed state to its folder in the background, so that the control loop never waits for the disk. Changes that come faster than
/// the disk takes them are written as one. Disposal writes the last change and zeroes the secrets.
/// </summary>
internal sealed class StateSaver(StateStore store, NodeState state, TunnelLog log) : IDisposable
{
    private readonly Lock _gate = new();
    private NodeState _state = state;
    private bool _changed;
    private Task _writer = Task.CompletedTask;

    /// <summary>Changes the state and has it written; any thread.</summary>
    public void Save(Func<NodeState, NodeState> change)
    {
        lock (_gate)
        {
            _state = change(_state);
            _changed = true;
            if (_writer.IsCompleted)
                _writer = Task.Run(WriteChanges);
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

    private void WriteChanges()
    {
        while (true)
        {
            NodeState next;
            lock (_gate)
            {
                if (!_changed)
                {
                    // Told from within the lock that this writer has ended, so that the next change starts another.
                    _writer = Task.CompletedTask;
                    return;
                }

                _changed = false;
                next = _state;
            }

            try
            {
                store.Save(next);
            }
            catch (LightTunnelException exception)
            {
                log.Error(exception, "The state could not be saved; addresses leased since then are lost at a restart");
            }
        }
    }
}
