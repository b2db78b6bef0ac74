using System.Net;
using LightTunnel.Addressing;

namespace LightTunnel.Resolver;

/// <summary>Which names a tunnel answers on this machine, and where.</summary>
/// <param name="Interface">The tunnel's interface.</param>
/// <param name="Servers">
/// Where its responder answers, each at port 53: the tunnel's own addresses, and one of <see cref="LoopbackServers"/>. A system that can
/// ask several resolvers for different names (systemd-resolved, Windows) is given the former; /etc/resolv.conf the latter, and then the
/// responder refuses (RCODE 5) every name outside <paramref name="Domains"/>, at once, unless <paramref name="AllNames"/>.
/// </param>
/// <param name="Domains">The suffixes that it answers: "office.lt", "corp.example", "0.10.in-addr.arpa".</param>
/// <param name="AllNames">True when every other name goes there too, as through an exit node.</param>
internal sealed record ResolverScope(
    string Interface, IReadOnlyList<TunnelAddress> Servers, IReadOnlyList<string> Domains, bool AllNames)
{
    /// <summary>True when it answers at least one name.</summary>
    public bool HasNames => AllNames || Domains.Count > 0;

    /// <summary>The responder's addresses that this machine alone reaches, or those that others reach too.</summary>
    public IReadOnlyList<TunnelAddress> ServersAt(bool loopback) =>
        [.. Servers.Where(server => IPAddress.IsLoopback(server.ToIPAddress()) == loopback)];

    /// <inheritdoc/>
    public bool Equals(ResolverScope? other) => other is not null && Interface == other.Interface && AllNames == other.AllNames
        && Servers.SequenceEqual(other.Servers) && Domains.SequenceEqual(other.Domains);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Interface, AllNames, Servers.Count, Domains.Count);
}

/// <summary>
/// The addresses of the loopback network that responders of tunnels take, the first that is free: 127.76.84.1 and on. A nameserver that
/// stands in /etc/resolv.conf must be one whose absence is noticed at once: when the tunnel is gone the system refuses what is sent there
/// (the tunnel's own address would be asked for at somebody else's router, and each name would take five seconds).
/// </summary>
internal static class LoopbackServers
{
    /// <summary>How many there are.</summary>
    public const int Count = 32;

    private const uint First = 0x7F_4C_54_01; // 127.76.84.1, "LT"

    /// <summary>One of them.</summary>
    /// <param name="index">0 and on.</param>
    public static TunnelAddress At(int index) => TunnelAddress.FromIPv4(First + (uint)index);

    /// <summary>Whether the address is one of them.</summary>
    public static bool Contains(TunnelAddress address) =>
        address.IsIPv4 && (uint)(address.Bits >> 96) is >= First and < First + Count;
}
