using LightTunnel.WireGuard;

namespace LightTunnel.Configuration;

/// <summary>Makes keys for networks.</summary>
public static class NetworkKeys
{
    /// <summary>A new random network key, 44 characters of base64. Who has it may join the network.</summary>
    public static Secret Generate()
    {
        using PresharedKey key = PresharedKey.Generate();
        return new Secret(key.Reveal());
    }
}
