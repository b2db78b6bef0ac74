using System.Net.NetworkInformation;
using LightTunnel.Lab.Namespaces;
using Xunit;

namespace LightTunnel.Tests.Namespaces;

public sealed class NetworkNamespaceTests
{
    [Fact]
    public void Run_InNewNamespace_SeesOnlyThatNamespacesInterfaces()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess, "needs root");
        string name = "ltxns" + Environment.ProcessId;
        NetworkNamespace.Create(name);
        try
        {
            NetworkNamespace.Ip("-n", name, "link", "add", "ltxdummy", "type", "veth", "peer", "name", "ltxother");

            string[] inside = NetworkNamespace.Run(name, InterfaceNames);
            string[] outside = InterfaceNames();

            Assert.Contains("ltxdummy", inside);
            Assert.DoesNotContain("ltxdummy", outside);
        }
        finally
        {
            NetworkNamespace.Delete(name);
        }

        Assert.False(File.Exists("/run/netns/" + name));
    }

    [Fact]
    public void Run_BodyThrows_CallerGetsTheSameException()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess, "needs root");
        var missing = Assert.Throws<InvalidOperationException>(() => NetworkNamespace.Run("ltx-no-such-namespace", () => 0));
        Assert.Contains("ltx-no-such-namespace", missing.Message, StringComparison.Ordinal);
    }

    private static string[] InterfaceNames() => [.. NetworkInterface.GetAllNetworkInterfaces().Select(i => i.Name)];
}
