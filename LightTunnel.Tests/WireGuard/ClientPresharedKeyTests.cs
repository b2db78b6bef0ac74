using System.Security.Cryptography;
using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.WireGuard;

public sealed class ClientPresharedKeyTests
{
    [Fact]
    public void Derive_IsHkdfAsTheDocumentSays()
    {
        using PresharedKey network = new([.. Enumerable.Range(0, 32).Select(value => (byte)value)]);
        PublicKey server = new([.. Enumerable.Repeat((byte)1, 32)]), client = new([.. Enumerable.Repeat((byte)2, 32)]);
        using PresharedKey derived = ClientPresharedKey.Derive(network, server, client);

        // RFC 5869 section 2, by hand: no salt is a salt of zeros, and 32 bytes are one block.
        byte[] extracted = HMACSHA256.HashData(new byte[32], network.Bytes);
        byte[] info = [.. "LightTunnel plain WireGuard client 1"u8, .. server.Bytes, .. client.Bytes];
        Assert.Equal(HMACSHA256.HashData(extracted, (byte[])[.. info, 1]), derived.Bytes.ToArray());
        using PresharedKey other = ClientPresharedKey.Derive(network, client, server);
        Assert.NotEqual(other, derived);
    }
}
