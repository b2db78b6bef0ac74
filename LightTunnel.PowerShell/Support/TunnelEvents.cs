using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Management;

namespace LightTunnel;

/// <summary>Changes of tunnels, as they happen.</summary>
internal static class TunnelFeed
{
    /// <summary>The number of the newest change: where to follow from to hear of the next one.</summary>
    public static async Task<long> NewestAsync(ITunnelHandle tunnel, CancellationToken cancellationToken)
    {
        IReadOnlyList<TunnelChange> newest = await tunnel.ReadChangesAsync(0, 1, cancellationToken).ConfigureAwait(false);
        return newest.Count == 0 ? 0 : newest[^1].Sequence;
    }

    /// <summary>Tells of each change after one; returns when the tunnel has stopped.</summary>
    public static async Task FollowAsync(ITunnelHandle tunnel, long after, Action<TunnelChange> tell, CancellationToken cancellationToken)
    {
        while (await tunnel.WaitForChangesAsync(after, cancellationToken).ConfigureAwait(false) is { Count: > 0 } changes)
        {
            foreach (TunnelChange change in changes)
                tell(change);
            after = changes[^1].Sequence;
        }
    }
}

/// <summary>
/// The events of a tunnel object. While somebody listens, one question waits at the tunnel, in this process or in another; it ends with the
/// last listener or with the tunnel. Listeners are called on threads of the pool, and what they throw is their own affair.
/// </summary>
internal sealed class TunnelEvents(LtTunnel sender, ITunnelHandle tunnel)
{
    private readonly Lock _gate = new();
    private EventHandler<LtRouteChangedEventArgs>? _routeChanged;
    private EventHandler<LtStateChangedEventArgs>? _stateChanged;
    private LtTunnelState _state = sender.State;
    private Action? _stopFollowing;

    public event EventHandler<LtRouteChangedEventArgs>? RouteChanged
    {
        add => Listen(() => _routeChanged += value);
        remove => Listen(() => _routeChanged -= value);
    }

    public event EventHandler<LtStateChangedEventArgs>? StateChanged
    {
        add => Listen(() => _stateChanged += value);
        remove => Listen(() => _stateChanged -= value);
    }

    private void Listen(Action change)
    {
        lock (_gate)
        {
            change();
            bool wanted = _routeChanged is not null || _stateChanged is not null;
            if (wanted && _stopFollowing is null)
            {
                var stop = new CancellationTokenSource();
                _stopFollowing = stop.Cancel;
                _ = FollowAsync(stop.Token);
            }
            else if (!wanted && _stopFollowing is not null)
            {
                _stopFollowing();
                _stopFollowing = null;
            }
        }
    }

    private async Task FollowAsync(CancellationToken cancellationToken)
    {
        try
        {
            // Asked before the one who listens goes on, so that nothing that happens from then on is missed.
            long newest = await TunnelFeed.NewestAsync(tunnel, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
            await TunnelFeed.FollowAsync(
                tunnel, newest, change => Tell(change, cancellationToken), cancellationToken).ConfigureAwait(false);
        }
        catch (LightTunnelException exception) when (exception.Error == LightTunnelError.Stopped)
        {
            // Told below, as when it stops later.
        }
        catch (Exception exception) when (exception is OperationCanceledException or LightTunnelException)
        {
            return; // Nobody listens any more, or the other process cannot be asked: there is nobody to be told of that.
        }

        // A process that was killed had no time to say it.
        if (_state is not (LtTunnelState.Stopped or LtTunnelState.Failed))
            Tell(new StateChange((TunnelState)_state, TunnelState.Stopped, null), DateTimeOffset.UtcNow);
    }

    private void Tell(TunnelChange change, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
            return;
        foreach (LtRouteChange route in LtRouteChange.Of(change))
            Raise(_routeChanged, new LtRouteChangedEventArgs(route));
        if (change.State is { } state)
            Tell(state, change.Time);
    }

    private void Tell(StateChange change, DateTimeOffset time)
    {
        _state = (LtTunnelState)change.New;
        Raise(_stateChanged, new LtStateChangedEventArgs(sender.Name, time, change));
    }

    private void Raise<T>(EventHandler<T>? listeners, T arguments)
    {
        foreach (EventHandler<T> listener in Delegate.EnumerateInvocationList(listeners))
        {
            try
            {
                listener(sender, arguments);
            }
            catch (Exception exception) when (exception is not OutOfMemoryException)
            {
                // The others are told all the same, and the tunnel never notices.
            }
        }
    }
}
