using LightTunnel.Configuration;
using LightTunnel.Management;

namespace LightTunnel;

/// <summary>
/// A plain WireGuard client that was made a member. Its text, as a string or in a file, is its configuration; tables, lists and
/// serialization never show that.
/// </summary>
public sealed class LtWireGuardClient
{
    private readonly Secret _text;

    internal LtWireGuardClient(WireGuardClientText client)
    {
        _text = new Secret(client.Text);
        Name = client.Name;
        Network = client.Network;
        Address = client.Addresses[0];
        Addresses = new(client.Addresses);
        Endpoint = client.Endpoint;
        PublicKey = client.PublicKey;
    }

    /// <summary>The member's name.</summary>
    public string Name { get; }

    /// <summary>Name of the network.</summary>
    public string Network { get; }

    /// <summary>The member's tunnel address.</summary>
    public string Address { get; }

    /// <summary>All its tunnel addresses, IPv4 and IPv6.</summary>
    public LtList<string> Addresses { get; }

    /// <summary>"host:port" at which it reaches the server.</summary>
    public string Endpoint { get; }

    /// <summary>The member's public key, base64: what it is known by.</summary>
    public string PublicKey { get; }

    /// <summary>The configuration as WireGuard's apps read it: a secret, for who holds it is that member.</summary>
    public override string ToString() => _text.Reveal();
}
