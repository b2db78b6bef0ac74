using LightTunnel.Addressing;
using LightTunnel.Tun;

namespace LightTunnel.Forwarding;

/// <summary>
/// By whom this machine has names looked up, for those that an exit node looks up names for: resolvers that others can be led to, which one
/// on the machine's own loopback address is not.
/// </summary>
internal static class SystemResolvers
{
    /// <summary>Longest file that is read, bytes.</summary>
    private const int LongestFile = 64 * 1024;

    /// <summary>resolv.conf(5), and where systemd-resolved tells whom it asks itself.</summary>
    private static readonly string[] Files = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

    /// <summary>The first of each family; none where all are loopback addresses.</summary>
    public static IReadOnlyList<TunnelAddress> Find()
    {
        HashSet<TunnelAddress> own = FindTunnelsOwn();
        TunnelAddress[] found = [.. Files.SelectMany(Read).Where(address => !own.Contains(address))];
        return [.. ((bool[])[true, false]).SelectMany(isIPv4 => found.Where(address => address.IsIPv4 == isIPv4).Take(1))];
    }

    /// <summary>The resolvers that a file names, but for those that only this machine can ask.</summary>
    internal static IEnumerable<TunnelAddress> Parse(string text)
    {
        foreach (string line in text.Split('\n'))
        {
            string[] words = line.Split((char[])[' ', '\t', '\r'], StringSplitOptions.RemoveEmptyEntries);
            if (words is ["nameserver", { } address, ..] && TunnelAddress.TryParse(address, out TunnelAddress resolver)
                && HostAddresses.WhyUnusable(resolver) is null)
            {
                yield return resolver;
            }
        }
    }

    /// <summary>
    /// Addresses of this machine in tunnels, where one may have its names looked up (systemd-resolved lists these, too): who asks there
    /// asks himself.
    /// </summary>
    private static HashSet<TunnelAddress> FindTunnelsOwn()
    {
        if (!OperatingSystem.IsLinux())
            return [];
        try
        {
            HashSet<string> tunnels = [.. InterfaceKinds.ReadLinux().Values
                .Where(link => link.Kind == InterfaceKind.Tunnel).Select(link => link.Name)];
            return [.. LocalAddresses.All().Where(local => tunnels.Contains(local.InterfaceName)).Select(local => local.Address.Address)];
        }
        catch (IOException)
        {
            return [];
        }
    }

    private static IEnumerable<TunnelAddress> Read(string path)
    {
        try
        {
            return new FileInfo(path) is { Exists: true, Length: <= LongestFile } ? Parse(File.ReadAllText(path)) : [];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}
