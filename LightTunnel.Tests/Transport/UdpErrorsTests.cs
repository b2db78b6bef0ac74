using LightTunnel.Diagnostics;
using LightTunnel.Transport;
using Xunit;

namespace LightTunnel.Tests.Transport;

public sealed class UdpErrorsTests
{
    [Fact]
    public void AccessDenied_OnWindows_NamesTheReservedRanges_AndNoPrivilege()
    {
        LightTunnelException error = UdpErrors.AccessDenied(9000, isWindows: true);

        Assert.Equal((LightTunnelError.PortInUse, 9000), (error.Error, error.Target));
        Assert.Contains("UDP port 9000", error.Message, StringComparison.Ordinal);
        Assert.Contains("netsh int ipv4 show excludedportrange protocol=udp", error.RecommendedAction, StringComparison.Ordinal);
        Assert.DoesNotContain("administrator", error.RecommendedAction, StringComparison.Ordinal);
    }

    [Fact]
    public void AccessDenied_Elsewhere_IsAMatterOfPrivilege()
    {
        LightTunnelException error = UdpErrors.AccessDenied(900, isWindows: false);

        Assert.Equal((LightTunnelError.PrivilegeRequired, 900), (error.Error, error.Target));
        Assert.Contains("1023", error.RecommendedAction, StringComparison.Ordinal);
    }
}
