using System.Net;
using System.Runtime.Versioning;
using LightTunnel.Diagnostics;
using LightTunnel.Forwarding;
using Xunit;

namespace LightTunnel.Tests.Forwarding;

/// <summary>What is read of the system before a machine goes out by an exit node, and systems where none can.</summary>
[SupportedOSPlatform("linux")]
public sealed class ExitNodeSystemTests
{
    [Fact]
    public void LinesOfTheKernel_TellWhoHasBegun_AndOthersAreSurvived()
    {
        string[] lines =
        [
            "  sl  local_address rem_address   st tx_queue", "   0: 00000000:0016 00000000:0000 0A 00000000:00000000",
            "   1: 1401A8C0:0016 0901A8C0:D431 01 00000000:00000000", "   2: 1401A8C0:D431 0901A8C0:0016 01 00000000:00000000",
            "   3: 0000000000000000FFFF00001401A8C0:0016 0000000000000000FFFF00000A01A8C0:D432 01 0", "   4: nonsense:0016 x 01",
            "   5: :: : 01",
            "   6: 0100007F:0016 0100007F:D433 01 00000000:00000000",
        ];
        Assert.Equal(
            [new BegunSession(IPAddress.Parse("192.168.1.9"), 22, 54321), new BegunSession(IPAddress.Parse("192.168.1.10"), 22, 54322)],
            BegunSessions.Find(lines));
    }

    [Fact]
    public void OtherSystems_RefuseBeforeAnythingIsChanged()
    {
        var system = new UnknownExitSystem();
        system.Check(offers: false, takes: false, null);
        foreach ((bool offers, bool takes) in ((bool, bool)[])[(true, false), (false, true)])
        {
            LightTunnelException refused = Assert.Throws<LightTunnelException>(() => system.Check(offers, takes, null));
            Assert.Equal(LightTunnelError.ForwardingUnavailable, refused.Error);
            Assert.Contains("-ExitNode", refused.RecommendedAction, StringComparison.Ordinal);
        }
    }
}
