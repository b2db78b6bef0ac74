namespace LightTunnel.Management;

/// <summary>What was opened so far, disposed in the reverse order unless all went well.</summary>
internal sealed class Undo : IDisposable
{
    private Stack<IDisposable> _opened = new();

    /// <summary>Remembers something that was opened.</summary>
    public T Add<T>(T opened)
        where T : IDisposable
    {
        _opened.Push(opened);
        return opened;
    }

    /// <summary>All went well: what was opened lives on, and is disposed with the result.</summary>
    public IDisposable Keep()
    {
        var kept = new Undo { _opened = _opened };
        _opened = new Stack<IDisposable>();
        return kept;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        while (_opened.TryPop(out IDisposable? last))
            last.Dispose();
    }
}
