using System.Management.Automation;
using LightTunnel.Diagnostics;
using LightTunnel.Management;
using LightTunnel.Membership;

namespace LightTunnel;

/// <summary>A tunnel and where it stood when it was asked.</summary>
internal sealed record FoundTunnel(ITunnelHandle Handle, TunnelStatus Status)
{
    public LtTunnel ToObject() => Status.Role == TunnelRole.Server
        ? new LtServer(Handle, Status, DateTimeOffset.UtcNow)
        : new LtNetwork(Handle, Status, DateTimeOffset.UtcNow);
}

/// <summary>From what a person wrote to tunnels: by name with wildcards, or by an object that a command returned earlier.</summary>
internal static class TunnelFinder
{
    private const string Remedy = "Get-LtServer and Get-LtNetwork show what runs.";

    /// <summary>How long a search goes on before the person at the prompt is told.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Tunnels by name; no names means all. Each name without wildcards that is not there becomes an error; while a process does not answer
    /// that is the error, for what is missing may be there.
    /// </summary>
    public static async Task<IReadOnlyList<ITunnelHandle>> ByNameAsync(
        CommandOutput output, TunnelRole? role, string[]? names, CancellationToken cancellationToken) =>
        (await SearchAsync(output, role, names, cancellationToken).ConfigureAwait(false)).Tunnels;

    /// <summary>
    /// As <see cref="ByNameAsync"/>, for commands that have nothing to do without a tunnel: that there is none at all is an error.
    /// </summary>
    public static async Task<IReadOnlyList<ITunnelHandle>> AnyByNameAsync(
        CommandOutput output, TunnelRole? role, string[]? names, CancellationToken cancellationToken)
    {
        TunnelSearch search = await SearchAsync(output, role, names, cancellationToken).ConfigureAwait(false);
        if (search is { Tunnels.Count: 0, NotAnswering.Count: 0 } && names is null)
            output.WriteError(None(role), null);
        return search.Tunnels;
    }

    /// <summary>The tunnel that an object was made from; an error when it has stopped since.</summary>
    public static async Task<IReadOnlyList<ITunnelHandle>> ByObjectAsync(
        CommandOutput output, LtTunnel tunnel, CancellationToken cancellationToken)
    {
        TunnelRole role = tunnel is LtServer ? TunnelRole.Server : TunnelRole.Client;
        TunnelSearch all = await AllAsync(output, role, cancellationToken).ConfigureAwait(false);
        ITunnelHandle[] found =
            [.. all.Tunnels.Where(handle => handle.ProcessId == tunnel.ProcessId && NameFilter.Same(handle.Name, tunnel.Name))];
        output.NetworkColumn.Looked(found, all.Tunnels);
        if (found.Length == 0 && !all.NotAnswering.Any(error => Equals(error.Target, tunnel.ProcessId)))
            output.WriteError(ErrorRecords.NotFound(WordFor(role), tunnel.Name, "It was stopped meanwhile. " + Remedy), tunnel);
        return found;
    }

    /// <summary>By object when there is one, otherwise by name.</summary>
    public static Task<IReadOnlyList<ITunnelHandle>> FindAsync(
        CommandOutput output, TunnelRole? role, string[]? names, LtTunnel? tunnel, CancellationToken cancellationToken) =>
        tunnel is null ? ByNameAsync(output, role, names, cancellationToken) : ByObjectAsync(output, tunnel, cancellationToken);

    /// <summary>
    /// Asks each tunnel at the same time; one that stopped meanwhile is left out, one that cannot answer becomes an error.
    /// </summary>
    public static async Task<IReadOnlyList<T>> AskAllAsync<T>(
        CommandOutput output, IReadOnlyList<ITunnelHandle> tunnels, Func<ITunnelHandle, Task<IReadOnlyList<T>>> question)
    {
        IReadOnlyList<T>[] answers = await Task.WhenAll(tunnels.Select(AskAsync)).ConfigureAwait(false);
        return [.. answers.SelectMany(answer => answer)];

        async Task<IReadOnlyList<T>> AskAsync(ITunnelHandle tunnel)
        {
            try
            {
                return await question(tunnel).ConfigureAwait(false);
            }
            catch (LightTunnelException exception) when (exception.Error == LightTunnelError.Stopped)
            {
                return [];
            }
            catch (LightTunnelException exception)
            {
                output.WriteError(exception, tunnel.Name);
                return [];
            }
        }
    }

    /// <summary>The status of each tunnel, as <see cref="AskAllAsync"/>.</summary>
    public static Task<IReadOnlyList<FoundTunnel>> StatusOfAllAsync(
        CommandOutput output, IReadOnlyList<ITunnelHandle> tunnels, CancellationToken cancellationToken) =>
        AskAllAsync<FoundTunnel>(output, tunnels, async tunnel =>
            [new FoundTunnel(tunnel, await tunnel.GetStatusAsync(cancellationToken).ConfigureAwait(false))]);

    /// <summary>As <see cref="ByNameAsync"/>, with who did not answer.</summary>
    public static async Task<TunnelSearch> SearchAsync(
        CommandOutput output, TunnelRole? role, string[]? names, CancellationToken cancellationToken)
    {
        TunnelSearch all = await AllAsync(output, role, cancellationToken).ConfigureAwait(false);
        NameFilter? filter = names is null ? null : new NameFilter(names);
        ITunnelHandle[] found = [.. all.Tunnels.Where(tunnel => filter?.Accepts(tunnel.Name) ?? true)];
        output.NetworkColumn.Looked(found, all.Tunnels);
        if (filter is not null && all.NotAnswering.Count == 0)
        {
            foreach (string missing in filter.Unmatched)
                output.WriteError(ErrorRecords.NotFound(WordFor(role), missing, Remedy), missing);
        }

        return all with { Tunnels = found };
    }

    private static async Task<TunnelSearch> AllAsync(CommandOutput output, TunnelRole? role, CancellationToken cancellationToken)
    {
        Task<TunnelSearch> searching = TunnelCatalog.FindAsync(role, cancellationToken);
        TunnelSearch search = await WithProgressAsync(output, searching).ConfigureAwait(false);
        foreach (string warning in search.Warnings)
            output.WriteWarning(warning);
        foreach (LightTunnelException error in search.NotAnswering)
            output.WriteError(error, error.Target);
        KnownNames.RememberTunnels(search.Tunnels);
        return search;
    }

    /// <summary>A process that is slow to answer is waited for in view.</summary>
    private static async Task<TunnelSearch> WithProgressAsync(CommandOutput output, Task<TunnelSearch> searching)
    {
        if (await Task.WhenAny(searching, Task.Delay(Patience, CancellationToken.None)).ConfigureAwait(false) == searching)
            return await searching.ConfigureAwait(false);
        const string Activity = "Looking for tunnels";
        output.WriteProgress(new ProgressRecord(1, Activity, "A process of this machine is slow to answer."));
        try
        {
            return await searching.ConfigureAwait(false);
        }
        finally
        {
            output.WriteProgress(new ProgressRecord(1, Activity, "Done") { RecordType = ProgressRecordType.Completed });
        }
    }

    private static LightTunnelException None(TunnelRole? role) => new(
        LightTunnelError.NotFound,
        role switch
        {
            TunnelRole.Client => "This machine has joined no network.",
            TunnelRole.Server => "No server runs on this machine.",
            _ => "No tunnel runs on this machine.",
        },
        role == TunnelRole.Client
            ? "Run the command on a member of the network, or join one with Connect-LtNetwork."
            : "Connect-LtNetwork joins a network, Start-LtServer makes one.");

    private static string WordFor(TunnelRole? role) => role switch
    {
        TunnelRole.Server => "server",
        TunnelRole.Client => "joined network",
        _ => "tunnel",
    };
}

/// <summary>Names that a person wrote, wildcards allowed; knows afterwards which of them matched nothing.</summary>
internal sealed class NameFilter(string[] names)
{
    private readonly (string Name, WildcardPattern? Pattern)[] _entries =
        [.. names.Select(name =>
            (name, WildcardPattern.ContainsWildcardCharacters(name) ? new WildcardPattern(name, WildcardOptions.IgnoreCase) : null))];

    private readonly HashSet<string> _matched = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Names without wildcards that nothing matched so far.</summary>
    public IEnumerable<string> Unmatched =>
        _entries.Where(entry => entry.Pattern is null && !_matched.Contains(entry.Name)).Select(entry => entry.Name);

    public static bool Same(string left, string right) => string.Equals(left, right, StringComparison.OrdinalIgnoreCase);

    /// <summary>True when one of the names matches one of the values.</summary>
    public bool Accepts(params IEnumerable<string> values)
    {
        bool accepted = false;
        foreach (string value in values)
        {
            foreach ((string name, WildcardPattern? pattern) in _entries)
            {
                if (pattern?.IsMatch(value) ?? Same(name, value))
                {
                    accepted = true;
                    _matched.Add(name);
                }
            }
        }

        return accepted;
    }
}
