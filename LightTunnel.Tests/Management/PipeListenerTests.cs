using LightTunnel.Management;
using Xunit;

namespace LightTunnel.Tests.Management;

/// <summary>How the control pipe of Windows goes from one client to the next; its instances are stand-ins.</summary>
public sealed class PipeListenerTests
{
    private readonly List<FakePipe> _made = [];
    private readonly List<string> _events = [];

    /// <summary>What the instances do, in the order in which they are made.</summary>
    private readonly Queue<Exception?> _faults = new();

    private readonly TaskCompletionSource _read = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task ClientThatLeavesAtOnce_CostsItsInstanceOnly()
    {
        _faults.Enqueue(new IOException("The pipe is being closed."));
        using PipeListener<FakePipe> listener = Listen();

        await Assert.ThrowsAsync<IOException>(() => listener.AcceptAsync(Token));
        Stream? second = await listener.AcceptAsync(Token);

        Assert.Same(_made[1], second);
        // The name was never free.
        Assert.Equal(["1 made", "2 made", "1 gone", "3 made"], _events);
    }

    [Fact]
    public async Task ClientThatLeavesAtOnce_IsNotTheLastThatIsServed()
    {
        _faults.Enqueue(new IOException("The pipe is being closed."));
        _faults.Enqueue(new IOException("The pipe is being closed."));
        using ControlSocketServer server = ControlSocketServer.Start(new FakeTransport(Listen), () => []);

        await _read.Task.WaitAsync(TimeSpan.FromMinutes(2), Token);
    }

    [Fact]
    public async Task InstanceThatCannotBeMade_IsTriedAgain_AndTheClientBeforeItIsServed()
    {
        int makes = 0;
        using var listener = new PipeListener<FakePipe>(
            _ => ++makes is 2 or 3 ? throw new UnauthorizedAccessException() : Make(), WaitAsync);

        Assert.Same(_made[0], await listener.AcceptAsync(Token));
        await Assert.ThrowsAsync<IOException>(() => listener.AcceptAsync(Token));
        Stream? second = await listener.AcceptAsync(Token);
        Assert.Same(_made[1], second);
        Assert.False(_made[0].IsGone);
    }

    [Fact]
    public void FirstInstance_IsAskedToBeTheOnlyOne_AndItsFailureIsTold()
    {
        Assert.Throws<UnauthorizedAccessException>(
            () => new PipeListener<FakePipe>(isFirst => isFirst ? throw new UnauthorizedAccessException() : Make(), WaitAsync));
        Assert.Empty(_made);
    }

    [Fact]
    public async Task Dispose_JustAsAClientComes_LeavesNoInstance()
    {
        PipeListener<FakePipe>? listener = null;
        listener = new PipeListener<FakePipe>(_ => Make(), (_, _) =>
        {
            listener!.Dispose();
            return Task.CompletedTask;
        });

        await listener.AcceptAsync(Token);

        Assert.Single(_made);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => listener.AcceptAsync(Token));
    }

    private PipeListener<FakePipe> Listen() => new(_ => Make(), WaitAsync);

    private FakePipe Make()
    {
        int number = _made.Count + 1;
        var pipe = new FakePipe(_read.TrySetResult, () => Note($"{number} gone"))
        {
            Number = number,
            Fault = _faults.TryDequeue(out Exception? fault) ? fault : null,
        };
        _made.Add(pipe);
        Note($"{number} made");
        return pipe;
    }

    private void Note(string what)
    {
        lock (_events)
            _events.Add(what);
    }

    /// <summary>Some clients come at once, but as on Windows an instance that has failed fails for ever.</summary>
    private static Task WaitAsync(FakePipe pipe, CancellationToken cancellationToken) =>
        pipe.Fault is { } fault ? Task.FromException(fault)
        : pipe.Number < 5 ? Task.CompletedTask
        : Task.Delay(Timeout.Infinite, cancellationToken);

    private sealed class FakePipe(Func<bool> onRead, Action onGone) : Stream
    {
        private bool _isGone;

        public int Number { get; init; }

        public Exception? Fault { get; init; }

        public bool IsGone => Volatile.Read(ref _isGone);

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override int Read(byte[] buffer, int offset, int count)
        {
            onRead();
            return 0;
        }

        public override void Write(byte[] buffer, int offset, int count)
        {
        }

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (!Interlocked.Exchange(ref _isGone, true))
                onGone();
            base.Dispose(disposing);
        }
    }

    private sealed class FakeTransport(Func<ControlListener> listen) : ControlTransport
    {
        public override IReadOnlyList<int> FindProcesses(ICollection<string> warnings) => [];

        public override Task<Stream?> ConnectAsync(int processId, CancellationToken cancellationToken) => Task.FromResult<Stream?>(null);

        public override ControlListener Listen() => listen();
    }
}
