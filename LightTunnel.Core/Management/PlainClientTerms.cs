using LightTunnel.Addressing;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Membership;
using LightTunnel.WireGuard;

namespace LightTunnel.Management;

/// <summary>What was asked for of a plain WireGuard client, checked as far as that needs no network.</summary>
/// <param name="Addresses">The addresses that it is to have.</param>
/// <param name="PublicKey">Its public key; null to have a pair made.</param>
/// <param name="Mtu">Longest packet that it sends, bytes.</param>
internal sealed record PlainClientTerms(IReadOnlyList<TunnelAddress> Addresses, PublicKey? PublicKey, int Mtu)
{
    /// <param name="request">What was asked for.</param>
    /// <param name="networkMtu">Longest packet that the network carries, bytes.</param>
    /// <exception cref="LightTunnelException">Something is wrong.</exception>
    public static PlainClientTerms Check(WireGuardClientRequest request, int networkMtu)
    {
        if (!NodeName.IsValid(request.Name))
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidName, $"'{request.Name}' is no name for a member.",
                $"Give 1 to {NodeName.MaximumLength} of a-z, A-Z, 0-9, - _ and ., beginning with a letter or digit.")
                {
                    Target = request.Name,
                };
        }

        int mtu = request.Mtu ?? networkMtu;
        if (mtu < TunnelOptions.MinimumMtu || mtu > networkMtu)
        {
            throw new LightTunnelException(
                LightTunnelError.InvalidOption, $"An MTU of {mtu} is out of range.",
                $"Give a number from {TunnelOptions.MinimumMtu} to {networkMtu}, which is the network's.") { Target = mtu };
        }

        PublicKey? key = null;
        if (request.PublicKey is { } text)
        {
            key = WireGuard.PublicKey.TryParse(text, out PublicKey parsed)
                ? parsed
                : throw new LightTunnelException(
                    LightTunnelError.InvalidKey, "The client's public key is none.",
                    "Give the public key that the app shows: 44 characters of base64.");
        }

        return new PlainClientTerms([.. request.Addresses.Select(ParseAddress)], key, mtu);
    }

    private static TunnelAddress ParseAddress(string text) => TunnelAddress.TryParse(text, out TunnelAddress address)
        ? address
        : throw new LightTunnelException(
            LightTunnelError.InvalidAddress, $"'{text}' is no address.", "Write it like 10.0.0.50, without a prefix length.")
            {
                Target = text,
            };
}
