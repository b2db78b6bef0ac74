using System.Collections.Concurrent;
using System.Management.Automation;
using LightTunnel.Diagnostics;

namespace LightTunnel;

/// <summary>
/// What all commands have in common: their work runs in the background, and whatever it wants to write waits in a queue that the
/// pipeline's thread empties. Ctrl+C cancels the work and returns at once, even if the work does not listen.
/// </summary>
public abstract class LtCommand : PSCmdlet, IDynamicParameters, IDisposable
{
    /// <summary>Time for cancelled work to end in order before it is left alone; Ctrl+C must return within a second.</summary>
    private static readonly TimeSpan DefaultGrace = TimeSpan.FromMilliseconds(500);

    private readonly CancellationTokenSource _stopping = new();
    private NetworkColumn? _networkColumn;
    private StrayArguments? _stray;

    internal LtCommand()
    {
    }

    /// <summary>Time that this command's work gets to end after Ctrl+C.</summary>
    private protected virtual TimeSpan StopGrace => DefaultGrace;

    /// <summary>True for a command that takes secrets: then no error repeats what belongs to no parameter.</summary>
    private protected virtual bool TakesSecrets => false;

    /// <summary>A parameter for what belongs to none. Only while the command runs, so that no syntax tells of it.</summary>
    public object? GetDynamicParameters() => MyInvocation.PipelineLength == 0 ? null : _stray = new StrayArguments();

    /// <inheritdoc/>
    protected override void BeginProcessing()
    {
        if (_stray?.Error(MyInvocation.MyCommand.Name, TakesSecrets) is { } error)
            ThrowTerminatingError(ErrorRecords.From(error, null));
    }

    /// <inheritdoc/>
    protected override void StopProcessing() => _stopping.Cancel();

    /// <inheritdoc/>
    public void Dispose()
    {
        _stopping.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>
    /// Runs the work in the background until it ends; writes what it writes. Its exceptions become errors of this command.
    /// </summary>
    /// <param name="work">Must not touch the command, only its <see cref="CommandOutput"/>.</param>
    /// <param name="target">What the command acts on, for error records.</param>
    /// <param name="terminating">Whether an exception ends the pipeline, or only this input object.</param>
    private protected void Run(Func<CommandOutput, CancellationToken, Task> work, object? target = null, bool terminating = false)
    {
        using var cancellation = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
        using var abandon = new CancellationTokenSource();
        using CancellationTokenRegistration grace = _stopping.Token.Register(() => abandon.CancelAfter(StopGrace));
        var queue = new BlockingCollection<Action<Cmdlet>>();
        var output = new CommandOutput(queue, _networkColumn ??= new NetworkColumn(MyInvocation.ExpectingInput));
        var task = Task.Run(() => WorkAsync(work, output, cancellation.Token), CancellationToken.None);
        Exception? failure;
        try
        {
            foreach (Action<Cmdlet> write in queue.GetConsumingEnumerable(abandon.Token))
                write(this);
            failure = task.GetAwaiter().GetResult();
        }
        catch (OperationCanceledException) when (abandon.IsCancellationRequested)
        {
            return;
        }
        finally
        {
            // Also when writing threw, because a later command of the pipeline wants no more.
            cancellation.Cancel();
        }

        if (failure is null || (failure is OperationCanceledException && _stopping.IsCancellationRequested))
            return;
        ErrorRecord record = ErrorRecords.From(failure, target);
        if (terminating)
            ThrowTerminatingError(record);
        WriteError(record);
    }

    /// <summary>A path of the file system, relative to the session's location, that need not exist.</summary>
    /// <exception cref="LightTunnelException">It is no path of the file system.</exception>
    internal string? ResolvePath(string? path, string parameter)
    {
        if (path is null)
            return null;
        try
        {
            string resolved = SessionState.Path.GetUnresolvedProviderPathFromPSPath(path, out ProviderInfo provider, out _);
            if (provider.Name == "FileSystem")
                return resolved;
        }
        catch (Exception exception) when (exception is SessionStateException or ArgumentException or ProviderInvocationException)
        {
            throw new LightTunnelException(
                LightTunnelError.FileAccess, $"-{parameter} '{path}' cannot be resolved: {exception.Message}",
                "Give a path of the file system.", exception)
            { Target = path };
        }

        throw new LightTunnelException(
            LightTunnelError.FileAccess, $"-{parameter} '{path}' is no path of the file system.", "Give a path of the file system.")
        { Target = path };
    }

    /// <summary>Returns the exception instead of throwing it: nobody may await an abandoned task.</summary>
    private static async Task<Exception?> WorkAsync(
        Func<CommandOutput, CancellationToken, Task> work, CommandOutput output, CancellationToken cancellationToken)
    {
        try
        {
            await work(output, cancellationToken).ConfigureAwait(false);
            return null;
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            return exception;
        }
        finally
        {
            output.Complete();
        }
    }
}

/// <summary>What background work may do to the pipeline. All members may be called from any thread.</summary>
internal sealed class CommandOutput(BlockingCollection<Action<Cmdlet>> queue, NetworkColumn networkColumn)
{
    /// <summary>Whether tables say of which tunnel a line is.</summary>
    public NetworkColumn NetworkColumn => networkColumn;

    public void WriteObject(object? value) => Post(command => command.WriteObject(networkColumn.Mark(value)));

    public void WriteWarning(string text) => Post(command => command.WriteWarning(text));

    public void WriteVerbose(string text) => Post(command => command.WriteVerbose(text));

    /// <summary>As Write-Host: to be seen, and not among the objects.</summary>
    public void WriteHost(string text) =>
        Post(command => command.WriteInformation(new HostInformationMessage { Message = text }, ["PSHOST"]));

    public void WriteProgress(ProgressRecord record) => Post(command => command.WriteProgress(record));

    public void WriteError(Exception exception, object? target) =>
        Post(command => command.WriteError(ErrorRecords.From(exception, target)));

    public void Complete() => queue.CompleteAdding();

    private void Post(Action<Cmdlet> write)
    {
        try
        {
            queue.Add(write);
        }
        catch (InvalidOperationException)
        {
            // The work ended already; what a straggler still has to say is too late.
        }
    }
}
