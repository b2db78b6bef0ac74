using LightTunnel.Diagnostics;

namespace LightTunnel.Configuration;

/// <summary>
/// Writes states to a folder, and tells the log when that begins to fail and when it works again. Owned by whoever's turn it is to write.
/// </summary>
/// <param name="store">The folder.</param>
/// <param name="log">The log.</param>
internal sealed class StateWriter(StateStore store, TunnelLog log)
{
    private bool _isFailing;

    /// <summary>Null when the state is on the disk, or why it is not.</summary>
    public string? TrySave(NodeState next)
    {
        try
        {
            store.Save(next);
            if (_isFailing)
                log.Information("The state is saved again");
            _isFailing = false;
            return null;
        }
        catch (LightTunnelException exception)
        {
            if (!_isFailing)
            {
                log.Error(
                    exception,
                    "The state could not be saved, which is tried again until it succeeds; what has changed since then is lost "
                        + "at a restart");
            }

            _isFailing = true;
            return exception.Message;
        }
    }
}
