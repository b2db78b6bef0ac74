using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Management;
using LightTunnel.Membership;

namespace LightTunnel;

/// <summary>Waits for something to become true of tunnels, some of which may not be there yet.</summary>
internal static class TunnelWait
{
    /// <summary>Between two looks for a tunnel that is not there: nothing tells of one that begins.</summary>
    private static readonly TimeSpan SearchInterval = TimeSpan.FromMilliseconds(500);

    /// <summary>
    /// Looks again after so long although nothing changed: a member of a large network hears of others only when it asks.
    /// </summary>
    private static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(5);

    /// <summary>Changes that come in a rush cost one look.</summary>
    public static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(100);

    /// <summary>
    /// Searches until there is a tunnel that is asked for, then looks at each after every change until something is seen at one.
    /// </summary>
    /// <param name="role">Only servers or only clients; null for both.</param>
    /// <param name="names">Which tunnels; null for all.</param>
    /// <param name="found">Told of each search.</param>
    /// <param name="look">What is looked for; null means not yet.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async Task<T> AnyAsync<T>(
        TunnelRole? role, string[]? names, Action<TunnelSearch> found, Func<ITunnelHandle, CancellationToken, Task<T?>> look,
        CancellationToken cancellationToken)
        where T : class
    {
        while (true)
        {
            TunnelSearch search = await SearchAsync(role, names, cancellationToken).ConfigureAwait(false);
            found(search);
            using var enough = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            var looking = search.Tunnels.Select(tunnel => UntilAsync(tunnel, look, enough.Token)).ToList();
            // A tunnel that begins meanwhile is seen by the next search.
            Task again = Task.Delay(search.Tunnels.Count == 0 ? SearchInterval : LookAgain, enough.Token);
            try
            {
                while (looking.Count > 0)
                {
                    Task first = await Task.WhenAny(looking.Append(again)).ConfigureAwait(false);
                    if (first is not Task<T?> done)
                        break;
                    looking.Remove(done);
                    if (await done.ConfigureAwait(false) is { } seen)
                        return seen;
                }

                await again.ConfigureAwait(false);
            }
            finally
            {
                await enough.CancelAsync().ConfigureAwait(false);
                foreach (Task<T?> left in looking)
                {
                    _ = left.ContinueWith(
                        task => task.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
                }
            }
        }
    }

    /// <summary>The tunnels that are asked for; that there are none is no error.</summary>
    public static async Task<TunnelSearch> SearchAsync(TunnelRole? role, string[]? names, CancellationToken cancellationToken)
    {
        TunnelSearch all = await TunnelCatalog.FindAsync(role, cancellationToken).ConfigureAwait(false);
        NameFilter? filter = names is null ? null : new NameFilter(names);
        return all with { Tunnels = [.. all.Tunnels.Where(tunnel => filter?.Accepts(tunnel.Name) ?? true)] };
    }

    /// <summary>Looks after each change; null when the tunnel stops or does not answer.</summary>
    public static async Task<T?> UntilAsync<T>(
        ITunnelHandle tunnel, Func<ITunnelHandle, CancellationToken, Task<T?>> look, CancellationToken cancellationToken)
        where T : class
    {
        try
        {
            while (true)
            {
                // Asked before the look, so that no change falls between.
                long newest = await TunnelFeed.NewestAsync(tunnel, cancellationToken).ConfigureAwait(false);
                if (await look(tunnel, cancellationToken).ConfigureAwait(false) is { } seen)
                    return seen;
                await Task.Delay(Pace, cancellationToken).ConfigureAwait(false);
                IReadOnlyList<TunnelChange> changes = await tunnel.WaitForChangesAsync(newest, cancellationToken).ConfigureAwait(false);
                if (changes.Count == 0)
                    return null;
            }
        }
        catch (LightTunnelException)
        {
            // It stopped, or cannot answer now: who still waits searches again.
            return null;
        }
    }

    /// <summary>Runs until it ends or time is over; false when time is over.</summary>
    public static async Task<bool> WithinAsync(TimeSpan limit, Func<CancellationToken, Task> work, CancellationToken cancellationToken)
    {
        using var timer = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        timer.CancelAfter(limit);
        try
        {
            await work(timer.Token).ConfigureAwait(false);
            return true;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }
}
