using LightTunnel.Addressing;
using LightTunnel.Tun;
using LightTunnel.WindowsNetwork;

namespace LightTunnel.Engine.Probing;

/// <summary>What Windows itself does to a tunnel: its firewall and the network's category, and what it has beside the tunnel.</summary>
/// <param name="presence">What Windows was told of the tunnel.</param>
/// <param name="adapter">The GUID of the tunnel's adapter.</param>
/// <param name="read">Reads what Windows has; throws what an own call may.</param>
internal sealed class WindowsProblems(WindowsPresence presence, Guid adapter, Func<WindowsSurroundings> read)
{
    /// <summary>Looks now; may wait for services. Nothing of what Windows does not tell: a test goes on without.</summary>
    /// <param name="addresses">The tunnel's addresses.</param>
    /// <param name="report">What was measured.</param>
    public IReadOnlyList<NetworkProblem> Find(IReadOnlyList<InterfaceAddress> addresses, NetworkTestReport report)
    {
        IEnumerable<NetworkProblem> told =
            presence.FindProblems().Select(found => new NetworkProblem(found.Message, found.RecommendedAction));
        try
        {
            return [.. SurroundingProblems.Find(read(), adapter, addresses, report), .. told];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or System.Security.SecurityException)
        {
            return [.. told];
        }
    }
}
