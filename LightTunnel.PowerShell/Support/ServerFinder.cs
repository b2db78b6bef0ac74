using LightTunnel.Diagnostics;
using LightTunnel.Management;
using LightTunnel.Membership;

namespace LightTunnel;

/// <summary>From what a person wrote, or did not, to the one server of this machine that is meant.</summary>
internal static class ServerFinder
{
    /// <summary>The server; null when that is not known, and an error was written.</summary>
    /// <param name="output">Takes errors.</param>
    /// <param name="name">The server's name, or null.</param>
    /// <param name="server">The server, as a command returned it, or null.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <exception cref="LightTunnelException">There is none, or several are and none was named.</exception>
    public static async Task<ITunnelHandle?> OneAsync(
        CommandOutput output, string? name, LtServer? server, CancellationToken cancellationToken)
    {
        if (name is null && server is null)
        {
            TunnelSearch search = await TunnelFinder.SearchAsync(output, TunnelRole.Server, null, cancellationToken).ConfigureAwait(false);
            // Which server is meant is not known where one does not answer, and that was said.
            return search.NotAnswering.Count > 0 ? null : Only(search.Tunnels);
        }

        IReadOnlyList<ITunnelHandle> found = await TunnelFinder.FindAsync(
            output, TunnelRole.Server, name is null ? null : [name], server, cancellationToken).ConfigureAwait(false);
        return found.Count == 0 ? null : Only(found);
    }

    private static ITunnelHandle Only(IReadOnlyList<ITunnelHandle> servers) => servers.Count switch
    {
        1 => servers[0],
        0 => throw new LightTunnelException(
            LightTunnelError.NotFound, "No server runs on this machine.",
            "Start one with Start-LtServer, or run this on the server's machine."),
        _ => throw new LightTunnelException(
            LightTunnelError.InvalidOption,
            $"Several servers run on this machine: {string.Join(", ", servers.Select(server => server.Name))}.",
            "Name one with -Server."),
    };
}
