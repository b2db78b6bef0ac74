using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Membership;

namespace LightTunnel.Engine.Client;

/// <summary>
/// What a server may set on this node: prefixes that a person agreed to, by an invitation or by name, or that were taken before. Without
/// any, those of the first registration are agreed to. A prefix becomes a route of the system, so that a server which may name any draws
/// other networks' traffic into the tunnel. Members have addresses inside the network's prefixes only. Owned by the control loop.
/// </summary>
/// <param name="agreed">Prefixes that were agreed to, none when nobody has said anything yet.</param>
internal sealed class NetworkPrefixes(IReadOnlyList<IpPrefix> agreed)
{
    /// <summary>Members that are named in the log, at most; a server can make up any number.</summary>
    private const int MostNamed = 16;

    private readonly HashSet<string> _named = [];
    private IReadOnlyList<IpPrefix> _agreed = agreed;
    private IpPrefix[] _network = [];

    /// <summary>Why a registration is not to be taken, or null. One that is has its prefixes agreed to from now on.</summary>
    public LightTunnelException? Take(RegisteredMessage registered)
    {
        foreach (InterfaceAddress own in registered.Addresses)
        {
            if (HostAddresses.WhyUnusable(own.Address) is { } why)
                return Unusable($"The server gives this node the address {own}, which {why}.");
            if (HostAddresses.IsTooShort(own.Prefix))
            {
                return Unusable(
                    $"The server gives this node the address {own}: a network of such a prefix would take addresses of the internet.");
            }
            if (_agreed.Count > 0 && !_agreed.Any(prefix => prefix.Length <= own.PrefixLength && prefix.Contains(own.Address)))
            {
                return new LightTunnelException(
                    LightTunnelError.PrefixNotAgreed,
                    $"The server gives this node the address {own}, outside of what was agreed on: {string.Join(" and ", _agreed)}.",
                    $"Ask the server's admin. If the network has another prefix now, join with a new invitation, or once with "
                        + $"-AcceptPrefix {own.Prefix}.")
                { Target = own.Prefix.ToString() };
            }
        }

        IpPrefix[] network = [.. registered.Addresses.Select(own => own.Prefix)];
        foreach (TunnelAddress server in registered.ServerAddresses)
        {
            if (!network.Any(prefix => prefix.Contains(server)))
            {
                return Unusable(
                    $"The server says that its own address is {server}, which lies outside of its network "
                        + $"{string.Join(" and ", network)}.");
            }
        }

        _network = network;
        if (_agreed.Count == 0)
            _agreed = network;
        return null;
    }

    /// <summary>The page without members whose addresses lie outside of the network; who was known before counts as removed.</summary>
    /// <param name="page">A page of the directory.</param>
    /// <param name="refused">Told of each such member, once.</param>
    public DirectoryMessage Filter(DirectoryMessage page, Action<DirectoryEntry> refused)
    {
        List<DirectoryEntry>? outside = null;
        foreach (DirectoryEntry entry in page.Changed)
        {
            if (entry.Addresses.All(address => _network.Any(prefix => prefix.Contains(address))))
                continue;
            (outside ??= []).Add(entry);
            if (_named.Count < MostNamed && _named.Add(entry.Name))
                refused(entry);
        }

        return outside is null ? page : page with
        {
            Changed = [.. page.Changed.Except(outside)],
            Removed = [.. page.Removed, .. outside.Select(entry => entry.MemberId)],
        };
    }

    private static LightTunnelException Unusable(string message) =>
        new(LightTunnelError.PrefixNotAgreed, message, "Ask the server's admin: the server is set up wrongly, or somebody else's.");
}
