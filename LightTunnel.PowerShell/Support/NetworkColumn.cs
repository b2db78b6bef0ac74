using System.Management.Automation;
using LightTunnel.Management;

namespace LightTunnel;

/// <summary>
/// Whether what a command shows can be of several tunnels: then its tables have one more column, which says of which
/// (LightTunnel.Networks.Format.ps1xml).
/// </summary>
/// <param name="manyInputs">True for a command that takes its questions from the pipeline, each of which may be about another
/// tunnel.</param>
internal sealed class NetworkColumn(bool manyInputs)
{
    /// <summary>What the views with that column have behind the name of the type.</summary>
    private const string Suffix = "#Network";

    private volatile bool _isShown;

    /// <summary>Tells what was looked through.</summary>
    /// <param name="asked">The tunnels that are asked.</param>
    /// <param name="running">Those among which they were chosen.</param>
    public void Looked(IReadOnlyList<ITunnelHandle> asked, IReadOnlyList<ITunnelHandle> running) =>
        _isShown |= asked.Count > 1 || (manyInputs && running.Count > 1);

    /// <summary>The object as it is to be written. Scripts see no difference.</summary>
    public object? Mark(object? value)
    {
        if (!_isShown || value is not (LtPeer or LtMember or LtRoute or LtRouteChange or LtRule or LtLogEntry or LtAuditEntry
            or LtP2PResult))
        {
            return value;
        }

        var marked = PSObject.AsPSObject(value);
        marked.TypeNames.Insert(0, value.GetType().FullName + Suffix);
        return marked;
    }
}
