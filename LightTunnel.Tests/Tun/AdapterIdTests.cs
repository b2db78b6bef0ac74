using LightTunnel.Tun;
using Xunit;

namespace LightTunnel.Tests.Tun;

public sealed class AdapterIdTests
{
    /// <summary>Windows knows a node's network by it from one version of LightTunnel to the next, so what it is may never change.</summary>
    [Theory]
    [InlineData("0000000000000000000000000000000000000000000000000000000000000000", "0dda952c-12ea-8ae1-a998-c5d59552d700")]
    [InlineData("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "c1ab6ae0-63b7-8571-8fd6-e0af2258c16e")]
    public void Of_IsTheSameForEver(string key, string expected) =>
        Assert.Equal(new Guid(expected), AdapterId.Of(Convert.FromHexString(key)));

    [Fact]
    public void Of_EachKeyHasItsOwn_OfVersion8()
    {
        var seen = new HashSet<Guid>();
        byte[] key = new byte[32];
        for (int bit = 0; bit < 256; bit++)
        {
            key.AsSpan().Clear();
            key[bit / 8] = (byte)(1 << (bit % 8));
            Guid id = AdapterId.Of(key);
            Assert.True(seen.Add(id));
            Assert.Equal((8, 8), (id.Version, id.Variant & 0xC));
        }
    }
}
