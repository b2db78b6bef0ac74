using LightTunnel.WireGuard;
using LightTunnel.WireGuard.Ciphers;
using LightTunnel.WireGuard.Noise;
using Xunit;

namespace LightTunnel.Tests.WireGuard;

public sealed class PrimitiveTests
{
    private static readonly byte[] Input = [.. Enumerable.Range(0, 100).Select(i => (byte)i)];

    public static TheoryData<int, string, string, string, string, string, bool> XChaCha => WycheproofCases.XChaCha20Poly1305;

    [Fact]
    public void Hash_Rfc7693AppendixB_IsThePublishedDigest()
    {
        byte[] hash = new byte[32];
        Blake2s.Hash(hash, "a"u8, "bc"u8);
        Assert.Equal("508C5E8C327C14E2E1A72BA34EEB452F37458B209ED63A294D999B4C86675982", Convert.ToHexString(hash));
    }

    [Theory] // Expected values by another implementation, Python's hashlib.
    [InlineData(32, "0B67D33F8B859C3157FBABD9E6E47ED0")]
    [InlineData(16, "56301549E674C3B72A0E1DAFB7A2C620")]
    public void Mac_KeyOfEitherLength_IsWhatHashlibComputes(int keyLength, string expected)
    {
        byte[] mac = new byte[16];
        Blake2s.Mac(mac, Input.AsSpan(0, keyLength), Input);
        Assert.Equal(expected, Convert.ToHexString(mac));
    }

    [Fact] // Expected value by Python's hmac.
    public void Hmac_InputInTwoParts_IsWhatHashlibComputes()
    {
        byte[] mac = new byte[32];
        Blake2s.Hmac(mac, Input.AsSpan(0, 32), Input.AsSpan(0, 70), Input.AsSpan(70));
        Assert.Equal("A81C95080BA2A7C4ED1B7B4C21DEC2C4FD6DC9F03FF37B6D65289DC95A7D1EF1", Convert.ToHexString(mac));
    }

    [Fact]
    public void TryAgree_Rfc7748Section61_GivesThePublishedKeysAndSecret()
    {
        using var alice = new PrivateKey(Hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"));
        using var bob = new PrivateKey(Hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"));
        Assert.Equal("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a", Convert.ToHexStringLower(alice.PublicKey.Bytes));
        Assert.Equal("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f", Convert.ToHexStringLower(bob.PublicKey.Bytes));

        byte[] shared = new byte[32];
        Assert.True(alice.TryAgree(bob.PublicKey, shared));
        Assert.Equal("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742", Convert.ToHexStringLower(shared));
        Assert.True(bob.TryAgree(alice.PublicKey, shared));
        Assert.Equal("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742", Convert.ToHexStringLower(shared));
    }

    [Theory]
    [MemberData(nameof(XChaCha))]
    public void XChaCha20Poly1305_WycheproofCase_OpensOnlyWhatIsAuthentic(
        int id, string key, string nonce, string associatedData, string plaintext, string sealedText, bool valid)
    {
        byte[] output = new byte[plaintext.Length / 2];
        bool opened = XChaChaPoly.TryOpen(Hex(key), Hex(nonce), Hex(associatedData), Hex(sealedText), output);
        Assert.True(opened == valid, $"tcId {id}");
        if (!valid)
            return;
        Assert.Equal(plaintext, Convert.ToHexStringLower(output));
        byte[] again = new byte[sealedText.Length / 2];
        XChaChaPoly.Seal(Hex(key), Hex(nonce), Hex(associatedData), output, again);
        Assert.Equal(sealedText, Convert.ToHexStringLower(again));
    }

    [Fact]
    public void PrivateKey_Text_RoundTripsAndNeverShowsInToString()
    {
        using var key = PrivateKey.Generate();
        Assert.True(PrivateKey.TryParse(key.Reveal(), out PrivateKey? again));
        Assert.Equal(key.PublicKey, again.PublicKey);
        Assert.DoesNotContain(key.Reveal(), key.ToString(), StringComparison.Ordinal);
        again.Dispose();
        Assert.True(again.IsZeroed);
        Assert.False(PrivateKey.TryParse("c2hvcnQ=", out _));
        Assert.False(PrivateKey.TryParse(null, out _));
    }

    private static byte[] Hex(string text) => Convert.FromHexString(text);
}
