using System.Diagnostics;

namespace LightTunnel.Engine.Control;

/// <summary>
/// The thread that runs a node's control loop, and so owns what the loop owns. In debug builds, which all tests run, whatever says "owned
/// by the control loop" and is central enough asserts here that nobody else touches it. While no thread has claimed a node, as in tests
/// that run one by hand, anybody may.
/// </summary>
internal sealed class ControlThread
{
    private volatile int _id;

    /// <summary>The calling thread owns the node from now on.</summary>
    public void Claim() => _id = Environment.CurrentManagedThreadId;

    /// <summary>The control loop has ended: whoever takes the node down owns it.</summary>
    public void Release() => _id = 0;

    /// <summary>Fails, in debug builds, on any other thread than the one that has claimed the node.</summary>
    /// <exception cref="InvalidOperationException">Another thread owns this.</exception>
    [Conditional("DEBUG")]
    public void Assert()
    {
        if (_id != 0 && _id != Environment.CurrentManagedThreadId)
            throw new InvalidOperationException("This belongs to the control loop: use Node.Post or Node.AskAsync.");
    }
}
