namespace LightTunnel.WireGuard;

/// <summary>
/// A link's three sessions (paper section 6.3's bookkeeping): <c>current</c> seals; <c>previous</c> still opens what was under way at the
/// last change; <c>next</c> is what this node answered as responder and may not seal until the peer has shown that it has the keys. Changes
/// are rare and take a lock; readers take none.
/// </summary>
internal sealed class LinkSessions(SessionIndexTable indexes)
{
    private readonly Lock _lock = new();
    private volatile KeyPair? _current;
    private volatile KeyPair? _next;
    private KeyPair? _previous;

    public KeyPair? Current => _current;

    public KeyPair? Next => _next;

    public KeyPair? Previous => _previous;

    /// <summary>As initiator: the response proves that the peer has the keys, so they are used at once.</summary>
    public void InstallInitiated(KeyPair session)
    {
        lock (_lock)
        {
            Drop(_previous);
            if (_next is not null)
            {
                // Both sides initiated at once. What the peer may have begun to use must stay readable.
                Drop(_current);
                _previous = _next;
                _next = null;
            }
            else
            {
                _previous = _current;
            }

            indexes.AddSession(session);
            _current = session;
        }
    }

    /// <summary>As responder: readable from now on, used for sealing once confirmed.</summary>
    public void InstallResponded(KeyPair session)
    {
        lock (_lock)
        {
            Drop(_next);
            Drop(_previous);
            _previous = null;
            indexes.AddSession(session);
            _next = session;
        }
    }

    /// <summary>Any thread, after an authenticated message: true when this one made <c>next</c> the current session.</summary>
    public bool TryConfirm(KeyPair session)
    {
        if (_next != session)
            return false;
        lock (_lock)
        {
            if (_next != session)
                return false;
            Drop(_previous);
            _previous = _current;
            _current = session;
            _next = null;
            return true;
        }
    }

    /// <summary>Widens the windows of all.</summary>
    public void WidenWindows()
    {
        lock (_lock)
        {
            _previous?.WidenWindow();
            _current?.WidenWindow();
            _next?.WidenWindow();
        }
    }

    /// <summary>Zeroes and forgets all.</summary>
    public void Clear()
    {
        lock (_lock)
        {
            KeyPair?[] sessions = [_previous, _current, _next];
            _previous = null;
            _current = null;
            _next = null;
            foreach (KeyPair? session in sessions)
                Drop(session);
        }
    }

    private void Drop(KeyPair? session)
    {
        if (session is null)
            return;
        indexes.RemoveSession(session);
        session.Dispose();
    }
}
