using System.Net;
using System.Net.Sockets;
using LightTunnel.Addressing;
using LightTunnel.Membership;

namespace LightTunnel.Engine.Client;

/// <summary>Turns a host name into addresses; replaced in tests.</summary>
internal interface INameResolver
{
    /// <summary>All addresses of the name, in the order of preference.</summary>
    /// <exception cref="SocketException">The name does not exist or could not be looked up.</exception>
    Task<IReadOnlyList<IPAddress>> ResolveAsync(string host, CancellationToken cancellationToken);
}

/// <summary>The system's resolver; where it fails, or does not answer soon, this machine's resolvers are asked directly.</summary>
internal sealed class SystemNameResolver : INameResolver
{
    /// <summary>For so long the system alone is asked.</summary>
    private static readonly TimeSpan HeadStart = TimeSpan.FromSeconds(2);

    /// <inheritdoc/>
    public async Task<IReadOnlyList<IPAddress>> ResolveAsync(string host, CancellationToken cancellationToken)
    {
        if (IPAddress.TryParse(host, out IPAddress? literal))
            return [literal];
        Task<IPAddress[]> system = Dns.GetHostAddressesAsync(host, cancellationToken);
        try
        {
            return await system.WaitAsync(OperatingSystem.IsLinux() ? HeadStart : Timeout.InfiniteTimeSpan, cancellationToken)
                .ConfigureAwait(false);
        }
        catch (Exception exception) when (OperatingSystem.IsLinux() && exception is SocketException or TimeoutException)
        {
            IReadOnlyList<IPAddress> found = await DirectNameLookup.AskAsync(host, null, cancellationToken).ConfigureAwait(false);
            return found.Count > 0 ? found : await system.ConfigureAwait(false);
        }
    }
}

/// <summary>What became of looking a server's endpoints up.</summary>
/// <param name="Endpoints">Every endpoint to try, in order of preference, without doubles.</param>
/// <param name="Failure">Why one or more names could not be resolved, or null.</param>
internal sealed record ServerLocation(IReadOnlyList<UdpEndpoint> Endpoints, string? Failure);

/// <summary>
/// Looks a server's endpoints up, anew for each attempt to reach it: its address may have changed. A name that cannot be looked up now is
/// where it was last: a resolver that fails says nothing of the server. One look-up at a time.
/// </summary>
internal sealed class ServerLocator(IReadOnlyList<ServerEndpoint> servers, INameResolver resolver, bool useIPv6)
{
    /// <summary>Most endpoints that one attempt is sent to.</summary>
    private const int MaximumEndpoints = 8;

    private readonly Dictionary<ServerEndpoint, IReadOnlyList<IPAddress>> _lastGood = [];

    /// <summary>"vpn.example.org:9000, 192.0.2.1:9000".</summary>
    public string Description => string.Join(", ", servers);

    /// <summary>Resolves every name; never throws for a name that cannot be.</summary>
    public async Task<ServerLocation> LocateAsync(CancellationToken cancellationToken)
    {
        var endpoints = new List<UdpEndpoint>();
        string? failure = null;
        foreach (ServerEndpoint server in servers)
        {
            IReadOnlyList<IPAddress> addresses = [];
            try
            {
                addresses = await resolver.ResolveAsync(server.Host, cancellationToken).ConfigureAwait(false);
                if (addresses.Count == 0)
                    failure = $"The name '{server.Host}' has no address.";
            }
            catch (Exception exception) when (exception is SocketException or ArgumentException)
            {
                failure = $"The name '{server.Host}' could not be resolved: {exception.Message.TrimEnd('.')}.";
            }

            if (addresses.Count > 0)
                _lastGood[server] = addresses;
            foreach (IPAddress address in _lastGood.GetValueOrDefault(server) ?? [])
            {
                var endpoint = new UdpEndpoint(address, server.Port);
                if ((useIPv6 || endpoint.IsIPv4) && !endpoints.Contains(endpoint) && endpoints.Count < MaximumEndpoints)
                    endpoints.Add(endpoint);
            }
        }

        return new ServerLocation(endpoints, failure);
    }
}
