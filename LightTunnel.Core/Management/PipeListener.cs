namespace LightTunnel.Management;

/// <summary>
/// The instances of one named pipe: each client has one of its own, and one more waits for the next. The next one is made before the last
/// one can go, so that nobody else gets the name meanwhile.
/// </summary>
/// <typeparam name="TPipe">An instance.</typeparam>
internal sealed class PipeListener<TPipe> : ControlListener
    where TPipe : Stream
{
    private readonly Func<bool, TPipe> _create;
    private readonly Func<TPipe, CancellationToken, Task> _wait;
    private readonly Lock _gate = new();
    private TPipe? _next;
    private bool _isDisposed;

    /// <summary>Makes the first instance.</summary>
    /// <param name="create">Makes one; true for the first, which must not find others.</param>
    /// <param name="wait">Waits until one has a client.</param>
    public PipeListener(Func<bool, TPipe> create, Func<TPipe, CancellationToken, Task> wait)
    {
        _create = create;
        _wait = wait;
        _next = create(true);
    }

    /// <inheritdoc/>
    /// <exception cref="IOException">This client is lost; the next one may come.</exception>
    public override async Task<Stream?> AcceptAsync(CancellationToken cancellationToken)
    {
        TPipe pipe = Next();
        try
        {
            await _wait(pipe, cancellationToken).ConfigureAwait(false);
        }
        catch (IOException)
        {
            // A client that connected and left before it was waited for: Windows says so of this instance for ever (ERROR_NO_DATA).
            Replace();
            await pipe.DisposeAsync().ConfigureAwait(false);
            throw;
        }

        Replace();
        return pipe;
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        lock (_gate)
        {
            _isDisposed = true;
            _next?.Dispose();
            _next = null;
        }
    }

    private TPipe Next()
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            try
            {
                return _next ??= _create(false);
            }
            catch (UnauthorizedAccessException exception)
            {
                throw new IOException(exception.Message, exception);
            }
        }
    }

    private void Replace()
    {
        lock (_gate)
        {
            _next = null;
            if (_isDisposed)
                return;
            try
            {
                _next = _create(false);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // The client who has come is not to suffer; the next one's instance is tried again when it is waited for.
            }
        }
    }
}
