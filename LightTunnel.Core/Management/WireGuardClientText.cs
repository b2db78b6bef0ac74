using System.Globalization;
using System.Text;
using LightTunnel.Addressing;
using LightTunnel.Membership;
using LightTunnel.WireGuard;

namespace LightTunnel.Management;

/// <summary>What a plain WireGuard client is to be.</summary>
/// <param name="Name">Its name in the network.</param>
/// <param name="Addresses">The tunnel addresses that it is to have; any where none is named.</param>
/// <param name="PublicKey">The public key of a pair that the client has made itself, base64; null to have one made.</param>
/// <param name="Endpoint">"host:port" at which it reaches the server; null for what the server was started with.</param>
/// <param name="Mtu">Longest packet that it sends, bytes; null for the network's.</param>
/// <param name="MadeBy">The user who makes it, for the log.</param>
public sealed record WireGuardClientRequest(
    string Name, IReadOnlyList<string> Addresses, string? PublicKey = null, string? Endpoint = null, int? Mtu = null, string MadeBy = "");

/// <summary>A plain WireGuard client that was made, with its configuration.</summary>
/// <param name="Name">Its name in the network.</param>
/// <param name="Network">The network's name.</param>
/// <param name="Addresses">Its tunnel addresses.</param>
/// <param name="PublicKey">Its public key, base64: what it is known by.</param>
/// <param name="Endpoint">"host:port" at which it reaches the server.</param>
/// <param name="Text">The configuration, as every WireGuard app reads it: a secret, which is kept nowhere.</param>
public sealed record WireGuardClientText(
    string Name, string Network, IReadOnlyList<string> Addresses, string PublicKey, string Endpoint, string Text)
{
    /// <summary>The configuration without what is for people only, for a QR code that is to be small: a secret.</summary>
    public string ToCompactText() =>
        string.Join('\n', Text.Split('\n').Where(line => line.Length > 0 && !line.StartsWith('#'))) + '\n';

    /// <summary>Never the secret.</summary>
    public override string ToString() => $"(configuration of {Name})";
}

/// <summary>Writes configurations in the form of wg-quick(8), which WireGuard's apps import as files and QR codes.</summary>
internal static class WireGuardConfiguration
{
    /// <summary>What stands for a private key that only the client has.</summary>
    public const string PrivateKeyPlaceholder = "(your private key)";

    /// <summary>Seconds between keepalives: what WireGuard recommends to keep a NAT's mapping.</summary>
    private const int Keepalive = 25;

    /// <param name="name">The client's name.</param>
    /// <param name="network">The network's name.</param>
    /// <param name="privateKey">The client's private key; null for one that only the client has.</param>
    /// <param name="addresses">Its tunnel addresses.</param>
    /// <param name="mtu">Longest packet that it sends, bytes.</param>
    /// <param name="serverKey">The server's public key.</param>
    /// <param name="presharedKey">The pre-shared key of the two.</param>
    /// <param name="endpoint">Where it reaches the server.</param>
    /// <param name="prefixes">What it reaches through the server: the network.</param>
    public static string Write(
        string name, string network, PrivateKey? privateKey, IEnumerable<TunnelAddress> addresses, int mtu, in PublicKey serverKey,
        PresharedKey presharedKey, ServerEndpoint endpoint, IEnumerable<IpPrefix> prefixes)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"# {name} in the network {network}. Who has this is that member: keep it secret.\n");
        text.Append("[Interface]\n");
        text.Append(CultureInfo.InvariantCulture, $"PrivateKey = {privateKey?.Reveal() ?? PrivateKeyPlaceholder}\n");
        text.Append(CultureInfo.InvariantCulture, $"Address = {string.Join(", ", addresses.Select(IpPrefix.Host))}\n");
        text.Append(CultureInfo.InvariantCulture, $"MTU = {mtu}\n\n");
        text.Append("[Peer]\n");
        text.Append(CultureInfo.InvariantCulture, $"PublicKey = {serverKey}\n");
        text.Append(CultureInfo.InvariantCulture, $"PresharedKey = {presharedKey.Reveal()}\n");
        text.Append(CultureInfo.InvariantCulture, $"Endpoint = {endpoint}\n");
        text.Append(CultureInfo.InvariantCulture, $"AllowedIPs = {string.Join(", ", prefixes)}\n");
        text.Append(CultureInfo.InvariantCulture, $"PersistentKeepalive = {Keepalive}\n");
        return text.ToString();
    }
}
