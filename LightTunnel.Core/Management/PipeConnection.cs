using System.IO.Pipes;

namespace LightTunnel.Management;

/// <summary>Connects to a named pipe, or says that there is none; by itself the framework's client waits for one to be made.</summary>
internal static class PipeConnection
{
    /// <summary>How long to wait for a free instance before it is asked again whether there is a pipe.</summary>
    private static readonly TimeSpan Attempt = TimeSpan.FromMilliseconds(250);

    /// <summary>
    /// Connects as soon as an instance of the pipe is free: a process that serves many waits for one of them to leave, and hangs like one
    /// that does not answer.
    /// </summary>
    /// <param name="pipe">A client that is not connected.</param>
    /// <param name="isThere">Whether anybody has made the pipe.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <returns>False when there is no such pipe.</returns>
    public static async Task<bool> TryConnectAsync(
        NamedPipeClientStream pipe, Func<bool> isThere, CancellationToken cancellationToken)
    {
        while (isThere())
        {
            try
            {
                await pipe.ConnectAsync(Attempt, cancellationToken).ConfigureAwait(false);
                return true;
            }
            catch (TimeoutException)
            {
                // All instances have clients, or the last one has gone meanwhile.
            }
        }

        return false;
    }
}
