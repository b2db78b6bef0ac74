using LightTunnel.WireGuard;
using Xunit;

namespace LightTunnel.Tests.WireGuard;

/// <summary>Fingerprints are what they are said to be.</summary>
public sealed class KeyFingerprintTests
{
    /// <summary>Computed by other means: <c>sha256sum</c> of the 32 bytes, the first 20 digits, five bits at a time.</summary>
    [Theory]
    [InlineData("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "CSM7-NBFR-CAYQ-EV4F")]
    [InlineData("AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=", "NRGP-RBQN-4HX3-F0P1")]
    [InlineData("no key", "")]
    public void Of_IsTheBeginningOfTheDigest(string key, string expected) => Assert.Equal(expected, KeyFingerprint.Of(key));
}
