namespace LightTunnel.Internet.Simulation;

/// <summary>
/// A turn of a node's control loop, in which the simulated system is not to be used: what a turn wants of it are outputs, which are carried
/// out afterwards.
/// </summary>
public static class ControlTurn
{
    [ThreadStatic]
    private static bool s_isRunning;

    /// <summary>Runs a turn.</summary>
    public static T Run<T>(Func<T> turn)
    {
        s_isRunning = true;
        try
        {
            return turn();
        }
        finally
        {
            s_isRunning = false;
        }
    }

    /// <summary>Fails when the calling thread runs a turn.</summary>
    /// <exception cref="InvalidOperationException">It does.</exception>
    public static void ThrowIfRunning()
    {
        if (s_isRunning)
            throw new InvalidOperationException("The control loop used the system within its turn: make it an output (TurnOutputs).");
    }
}
