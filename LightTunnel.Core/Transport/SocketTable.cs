using LightTunnel.Addressing;

namespace LightTunnel.Transport;

/// <summary>
/// The sockets of one transport by their numbers. Looking one up takes no lock: a socket that was just closed may still be found, and its
/// handle then refuses to be used. Opening and closing are rare and wait for each other.
/// </summary>
/// <typeparam name="T">The transport's kind of socket.</typeparam>
internal sealed class SocketTable<T>
    where T : class
{
    private readonly T?[] _sockets = new T?[LocalEnd.MaximumFurther + 1];
    private readonly Lock _changing = new();
    private volatile int _further;
    private int _last;
    private volatile bool _closed;

    /// <param name="main">The node's own socket, number 0; it stays as long as the table.</param>
    public SocketTable(T main)
    {
        Main = main;
        _sockets[0] = main;
    }

    /// <summary>The node's own socket.</summary>
    public T Main { get; }

    /// <summary>True while there is more than <see cref="Main"/>.</summary>
    public bool HasFurther => _further > 0;

    /// <summary>True as soon as the transport is to end.</summary>
    public bool IsClosed => _closed;

    /// <summary>The socket of a number; null when it is not open.</summary>
    public T? Find(int number) => (uint)number < (uint)_sockets.Length ? Volatile.Read(ref _sockets[number]) : null;

    /// <summary>
    /// Opens a further socket, under the next number in turn; false when all are taken, the transport is closed, or opening it answered
    /// null.
    /// </summary>
    public bool TryAdd(Func<int, T?> open, out LocalEnd end)
    {
        lock (_changing)
        {
            end = default;
            if (_closed || _further == LocalEnd.MaximumFurther)
                return false;
            int number = _last;
            do
                number = (number % LocalEnd.MaximumFurther) + 1;
            while (_sockets[number] is not null);
            if (open(number) is not { } socket)
                return false;
            Volatile.Write(ref _sockets[number], socket);
            _further++;
            _last = number;
            end = LocalEnd.Further(number);
            return true;
        }
    }

    /// <summary>Takes a further socket out and closes it; nothing when it is not open.</summary>
    public void Remove(LocalEnd end, Action<T> close)
    {
        if (end.Kind == LocalEndKind.Further)
            Remove(end.Index, close);
    }

    /// <summary>Takes all further sockets out and closes them; from now on nothing is added.</summary>
    public void Close(Action<T> close)
    {
        lock (_changing)
        {
            _closed = true;
            for (int number = 1; HasFurther; number++)
                Remove(number, close);
        }
    }

    private void Remove(int number, Action<T> close)
    {
        lock (_changing)
        {
            if (Find(number) is not { } socket)
                return;
            Volatile.Write(ref _sockets[number], null);
            _further--;
            close(socket);
        }
    }
}
