using System.Buffers.Binary;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace LightTunnel.Lab.Demo;

/// <summary>
/// One TCP connection between two hosts on which a number is sent every 20 ms and comes back: shows whether an application's connection
/// lives through something, and how long it stood still.
/// </summary>
internal sealed class Heartbeat : IAsyncDisposable
{
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(20);

    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private readonly Socket _listener;
    private readonly Socket _client;
    private readonly Task _echoing;
    private readonly Task _sending;
    private readonly Task _receiving;
    private long _lastAnswer = Stopwatch.GetTimestamp();
    private TimeSpan _longestSilence;
    private long _sent;
    private long _answered;
    private TaskCompletionSource _progress = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private Heartbeat(Socket listener, Socket client, Socket server)
    {
        _listener = listener;
        _client = client;
        _echoing = Task.Run(() => EchoAsync(server));
        _sending = Task.Run(SendAsync);
        _receiving = Task.Run(ReceiveAsync);
    }

    /// <summary>Numbers that came back, each in its turn.</summary>
    public long Answered => Interlocked.Read(ref _answered);

    /// <summary>Longest time between two answers since the start or the last <see cref="Forget"/>.</summary>
    public TimeSpan LongestSilence
    {
        get
        {
            lock (_lock)
                return _longestSilence;
        }
    }

    /// <summary>Connects and begins.</summary>
    public static async Task<Heartbeat> StartAsync(LabHost from, LabHost to, IPAddress address, CancellationToken cancellationToken)
    {
        Socket listener = TcpTransfer.Listen(to, address);
        Socket client = TcpTransfer.Open(from, address.AddressFamily);
        try
        {
            await client.ConnectAsync(listener.LocalEndPoint!, cancellationToken).ConfigureAwait(false);
            return new Heartbeat(listener, client, await listener.AcceptAsync(cancellationToken).ConfigureAwait(false));
        }
        catch
        {
            client.Dispose();
            listener.Dispose();
            throw;
        }
    }

    /// <summary>Begins to measure the longest silence anew.</summary>
    public void Forget()
    {
        lock (_lock)
            _longestSilence = TimeSpan.Zero;
    }

    /// <summary>Waits until a number that is sent from now on has come back.</summary>
    /// <exception cref="TimeoutException">It did not.</exception>
    /// <exception cref="IOException">The connection broke.</exception>
    public async Task WaitForAnswerAsync(TimeSpan timeout, CancellationToken cancellationToken)
    {
        long wanted = Interlocked.Read(ref _sent) + 1;
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(timeout);
        try
        {
            while (Answered < wanted)
            {
                Task progress;
                lock (_lock)
                    progress = _progress.Task;
                if (Answered >= wanted)
                    return;
                if (await Task.WhenAny(progress, _receiving, _sending).WaitAsync(deadline.Token).ConfigureAwait(false) is { } ended
                    && ended != progress)
                {
                    await ended.ConfigureAwait(false);
                    throw new IOException("The connection was closed.");
                }
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"No answer for {timeout.TotalSeconds} s.");
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        _client.Dispose();
        _listener.Dispose();
        await Task.WhenAll(_echoing, _sending, _receiving).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private async Task EchoAsync(Socket server)
    {
        using Socket connection = server;
        connection.NoDelay = true;
        byte[] buffer = new byte[4096];
        int length;
        while ((length = await connection.ReceiveAsync(buffer, _stop.Token).ConfigureAwait(false)) > 0)
            await connection.SendAsync(buffer.AsMemory(0, length), _stop.Token).ConfigureAwait(false);
    }

    private async Task SendAsync()
    {
        byte[] message = new byte[sizeof(long)];
        using var timer = new PeriodicTimer(Period);
        while (await timer.WaitForNextTickAsync(_stop.Token).ConfigureAwait(false))
        {
            BinaryPrimitives.WriteInt64BigEndian(message, Interlocked.Increment(ref _sent));
            await _client.SendAsync(message, _stop.Token).ConfigureAwait(false);
        }
    }

    private async Task ReceiveAsync()
    {
        byte[] message = new byte[sizeof(long)];
        using var stream = new NetworkStream(_client, ownsSocket: false);
        while (true)
        {
            await stream.ReadExactlyAsync(message, _stop.Token).ConfigureAwait(false);
            long number = BinaryPrimitives.ReadInt64BigEndian(message);
            if (number != Answered + 1)
                throw new IOException($"{number} came back after {Answered}.");
            lock (_lock)
            {
                TimeSpan silence = Stopwatch.GetElapsedTime(_lastAnswer);
                _lastAnswer = Stopwatch.GetTimestamp();
                if (silence > _longestSilence)
                    _longestSilence = silence;
                Interlocked.Exchange(ref _answered, number);
                _progress.SetResult();
                _progress = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }
        }
    }
}
