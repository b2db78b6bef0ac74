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
    private readonly T?[] _sockets = new T?[LocalSockets.MaximumFurther + 1];
    private readonly Lock _changing = new();
    private volatile int _further;
    private volatile bool _closed;

    /// <param name="main">The node's own socket, number 0; it stays as long as the table.</param>
    public SocketTable(T main)
    {
        Main = main;
        _sockets[0] = main;
    }

    /// <summary>Socket 0.</summary>
    public T Main { get; }

    /// <summary>True while there is more than <see cref="Main"/>.</summary>
    public bool HasFurther => _further > 0;

    /// <summary>True as soon as the transport is to end.</summary>
    public bool IsClosed => _closed;

    /// <summary>The socket of a number; null when it is not open.</summary>
    public T? Find(int number) => (uint)number < (uint)_sockets.Length ? Volatile.Read(ref _sockets[number]) : null;

    /// <summary>Opens a further socket if its number is free and the transport not closed; false when not, or when opening it answered null.</summary>
    public bool TryAdd(int number, Func<T?> open)
    {
        lock (_changing)
        {
            if (_closed || number is < 1 or > LocalSockets.MaximumFurther || _sockets[number] is not null || open() is not { } socket)
                return false;
            Volatile.Write(ref _sockets[number], socket);
            _further++;
            return true;
        }
    }

    /// <summary>Takes a further socket out and closes it; nothing when it is not open.</summary>
    public void Remove(int number, Action<T> close)
    {
        lock (_changing)
        {
            if (number == 0 || Find(number) is not { } socket)
                return;
            Volatile.Write(ref _sockets[number], null);
            _further--;
            close(socket);
        }
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
}
