using LightTunnel.Diagnostics;

namespace LightTunnel.Configuration;

/// <summary>
/// Writes a client's changed state to its folder in the background, so that the control loop never waits for the disk. Changes that come
/// faster than the disk takes them are written as one. A write that failed is tried again, more and more rarely, until it succeeds.
/// Disposal writes the last change and zeroes the secrets.
/// </summary>
/// <param name="store">The folder.</param>
/// <param name="state">The state as it is there.</param>
/// <param name="log">Told once when writing fails, and when it works again.</param>
/// <param name="time">The clock; the system's when null.</param>
internal sealed class StateSaver(StateStore store, NodeState state, TunnelLog log, TimeProvider? time = null) : IDisposable
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    private readonly Lock _gate = new();
    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly CancellationTokenSource _stopping = new();
    private readonly StateWriter _disk = new(store, log);
    private NodeState _state = state;
    private bool _changed;
    private List<Action> _told = [];
    private Task _writer = Task.CompletedTask;

    /// <summary>Changes the state and has it written; any thread.</summary>
    /// <param name="change">Makes the change.</param>
    /// <param name="written">Called, on any thread, once it is on the disk; null for nobody.</param>
    public void Save(Func<NodeState, NodeState> change, Action? written = null)
    {
        lock (_gate)
        {
            _state = change(_state);
            _changed = true;
            if (written is not null)
                _told.Add(written);
            if (_writer.IsCompleted)
                _writer = Task.Run(WriteChangesAsync);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Task writer;
        lock (_gate)
            writer = _writer;
        _stopping.Cancel();
        writer.Wait();
        _state.Dispose();
        _stopping.Dispose();
    }

    private async Task WriteChangesAsync()
    {
        TimeSpan pause = FirstPause;
        while (true)
        {
            NodeState next;
            List<Action> told;
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
                (told, _told) = (_told, []);
            }

            bool isLast = _stopping.IsCancellationRequested;
            if (_disk.TrySave(next) is null)
            {
                pause = FirstPause;
                told.ForEach(written => written());
                continue;
            }

            if (isLast)
                return; // There is nobody to wait for a disk that may never have room again.
            lock (_gate)
            {
                _changed = true;
                _told.InsertRange(0, told);
            }

            await Task.Delay(pause, _time, _stopping.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            pause = pause * 2 > LongestPause ? LongestPause : pause * 2;
        }
    }
}
